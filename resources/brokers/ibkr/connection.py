"""Synchronous calls to TWS or IB Gateway, from any thread."""

import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError
from functools import cache
from typing import Any, TypeVar

from resources.brokers.ibkr.errors import GatewayDown, NoAnswer
from resources.brokers.ibkr.loop_thread import LoopThread
from resources.brokers.ibkr.session import Address, Session

_T = TypeVar("_T")
_GRACE = 5.0  # for the loop itself to give up, seconds


class Connection:
    """Connects when first called, and again after the connection was lost; one thread while it is connected.

    Args:
        readonly: only requests for data may be sent; see :meth:`resources.brokers.ibkr.session.Session.log_on`.
        connect_seconds: within which a connection must stand.
        idle_seconds: after which, unused, it is closed by itself, so that its client id is free for another process;
            None keeps it until :meth:`close`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        client_id: int,
        *,
        readonly: bool = True,
        connect_seconds: float = 15.0,
        idle_seconds: float | None = None,
    ) -> None:
        self.address = Address(host, port, client_id)
        self._readonly = readonly
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._open: tuple[LoopThread, Session] | None = None
        self._callers = 0
        self._timer: threading.Timer | None = None

    def call(self, work: Callable[[Any], Awaitable[_T]], seconds: float) -> _T:
        """What ``work`` gives; it gets the library's client on the client's own thread.

        Raises:
            GatewayDown: no connection, or it was lost meanwhile.
            NoAnswer: none within ``seconds``.
            RequestRefused: an error message came for this request.
        """
        thread, session = self._borrow()
        try:
            return run_on(thread, session.request(work, seconds), self.address, seconds)
        finally:
            self._give_back()

    def close(self) -> None:
        """Log off and end the thread; a later call connects again."""
        with self._lock:
            self._close()

    def _borrow(self) -> tuple[LoopThread, Session]:
        with self._lock:
            if self._open is not None and self._open[1].is_over:
                self._close()
            if self._open is None:
                self._open = self._connect()
            self._stop_timer()
            self._callers += 1
            return self._open

    def _give_back(self) -> None:
        with self._lock:
            self._callers -= 1
            if self._callers == 0 and self._idle_seconds is not None and self._open is not None:
                self._stop_timer()
                self._timer = threading.Timer(self._idle_seconds, self._close_if_idle)
                self._timer.daemon = True
                self._timer.start()

    def _close_if_idle(self) -> None:
        with self._lock:
            if self._callers == 0 and threading.current_thread() is self._timer:
                self._close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _connect(self) -> tuple[LoopThread, Session]:
        thread = LoopThread(f"ibkr {self.address} client {self.address.client_id}")
        try:
            log_on = Session.log_on(self.address, readonly=self._readonly, seconds=self._connect_seconds)
            return thread, run_on(thread, log_on, self.address, self._connect_seconds)
        except BaseException:
            thread.stop()
            raise

    def _close(self) -> None:
        self._stop_timer()
        if self._open is not None:
            thread, session = self._open
            self._open = None
            try:
                run_on(thread, session.log_off(), self.address, 1.0)
            finally:
                thread.stop()


@cache
def reading_connection(host: str, port: int, client_id: int, idle_seconds: float = 10.0) -> Connection:
    """The process's one connection for data as this client; TWS takes each client id once."""
    return Connection(host, port, client_id, readonly=True, idle_seconds=idle_seconds)


def run_on(thread: LoopThread, work: Coroutine[Any, Any, _T], address: Address, seconds: float) -> _T:
    """What ``work`` gives on ``thread``; NoAnswer and GatewayDown where that ends."""
    try:
        return thread.run(work, seconds + _GRACE)
    except TimeoutError as error:
        raise NoAnswer(f"nothing from {address} within {seconds:g} s") from error
    except CancelledError as error:
        raise GatewayDown(f"the connection to {address} was closed meanwhile") from error
