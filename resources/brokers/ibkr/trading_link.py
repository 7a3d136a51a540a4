"""The trading connection: explicit to open, checked when it stands, and suspect after every outage."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from resources.brokers.ibkr.access import Access, AccountRefused
from resources.brokers.ibkr.connection import run_on
from resources.brokers.ibkr.errors import GatewayDown, RequestRefused
from resources.brokers.ibkr.loop_thread import LoopThread
from resources.brokers.ibkr.said import Said
from resources.brokers.ibkr.session import Address, Session
from trading.ports.broker import BrokerError, BrokerUnavailable

_T = TypeVar("_T")


class TradingLink:
    """One login for orders, on a thread of its own; works from a Dagster step, a script and a router process alike.

    Args:
        seconds: within which TWS must answer.
    """

    def __init__(self, address: Address, access: Access, seconds: float) -> None:
        self._address, self._access, self._seconds = address, access, seconds
        self._open: tuple[LoopThread, Session, Said] | None = None
        self._trusted: int | None = None

    def connect(self) -> None:
        """Log on, unless the connection stands.

        Raises:
            BrokerUnavailable: no way to Interactive Brokers now.
            AccountRefused: not this account; nothing but the log-on was sent.
        """
        self._trusted = None
        if self._open is not None and not self._open[1].is_over:
            return
        self.close()
        thread = LoopThread(f"ibkr {self._address} client {self._address.client_id}")
        try:
            self._open = (thread, *run_on(thread, self._log_on(), self._address, self._seconds))
        except GatewayDown as error:
            thread.stop()
            raise BrokerUnavailable(str(error)) from error
        except BaseException:
            thread.stop()
            raise

    def trust(self) -> None:
        """The broker's answers since the last :meth:`connect` are complete: orders may be sent."""
        self._trusted = self._open[1].outages if self._open is not None else None

    @property
    def is_trusted(self) -> bool:
        """Whether nothing was lost since :meth:`trust`."""
        return self._open is not None and not self._open[1].is_over and self._trusted == self._open[1].outages

    def call(self, work: Callable[[Any, Said], Awaitable[_T]], seconds: float | None = None) -> _T:
        """What ``work`` gives; it gets the library's client and what TWS has said, on the client's own thread.

        Raises:
            BrokerUnavailable: no connection, no answer in time, or it was lost meanwhile.
            BrokerError: TWS refuses the request.
        """
        if self._open is None:
            raise BrokerUnavailable(f"not connected to {self._address}; connect comes first")
        thread, session, said = self._open
        bound = self._seconds if seconds is None else seconds
        try:
            return run_on(thread, session.request(lambda ib: work(ib, said), bound), self._address, bound)
        except GatewayDown as error:
            self._trusted = None
            raise BrokerUnavailable(str(error)) from error
        except RequestRefused as error:
            raise BrokerError(str(error)) from error

    def close(self) -> None:
        """Log off; orders stay as they are."""
        if self._open is not None:
            thread, session, _ = self._open
            self._open = None
            try:
                with suppress(GatewayDown):
                    run_on(thread, session.log_off(), self._address, 1.0)
            finally:
                thread.stop()

    async def _log_on(self) -> tuple[Session, Said]:
        session = await Session.log_on(self._address, readonly=False, seconds=self._seconds)
        try:
            self._access.check_login(list(session.ib.client.getAccounts()))
        except AccountRefused:
            await session.log_off()
            raise
        await asyncio.sleep(0)
        return session, Said(session.ib, self._access.number)
