"""One logged-on connection to TWS or IB Gateway; all of it happens on its event loop's thread."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from resources.brokers.ibkr.errors import GatewayDown, NoAnswer, NotOnReadOnlyConnection, RequestRefused
from resources.brokers.ibkr.library import library

_T = TypeVar("_T")

_ID_IN_USE = 326
_LOST = (1100, 2110)
_RESTORED = (1101, 1102)

# Types of the messages that read data or manage the connection: contract details, historical data and its cancelling,
# current time, live bars, account summary (the library asks for it after an outage), start, head time stamp, ticks.
_READING = frozenset({9, 20, 25, 49, 50, 51, 62, 63, 71, 87, 90, 97, 98})


@dataclass(frozen=True)
class Address:
    """Where TWS or IB Gateway listens, and as which of its API clients we come."""

    host: str
    port: int
    client_id: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Session:
    """Made by :meth:`log_on`.

    Attributes:
        ib: the library's client, logged on.
        outages: how often TWS has lost Interactive Brokers since.
    """

    def __init__(self, ib: Any, address: Address) -> None:
        self.ib = ib
        self._address = address
        self.outages = 0
        self._down: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        ib.errorEvent += self._on_message
        ib.disconnectedEvent += self._on_end

    @classmethod
    async def log_on(cls, address: Address, *, readonly: bool, seconds: float) -> "Session":
        """Connect as far as requests may be sent.

        Args:
            readonly: nothing but requests for data may be sent. Either way nothing is asked for yet: what the library
                would read by itself may be incomplete without a word.

        Raises:
            GatewayDown: not within ``seconds``, or refused.
        """
        ib = library().IB()
        ib.RaiseRequestErrors = True
        if readonly:
            _guard(ib.client)
        refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def on_message(_id: int, code: int, text: str, _contract: Any) -> None:
            if code == _ID_IN_USE and not refused.done():
                refused.set_result(
                    f"API client id {address.client_id} is in use at {address} ({text}); give each source and program "
                    "that connects at the same time its own client_id"
                )

        def on_end(text: str) -> None:
            if not refused.done():
                refused.set_result(
                    f"TWS or IB Gateway at {address} ends the connection ({text}); see whether another program has API "
                    f"client id {address.client_id}, and whether this is TWS or IB Gateway 10.12 or newer"
                )

        ib.errorEvent += on_message
        ib.client.apiError += on_end
        at = (address.host, address.port, address.client_id)
        ib.wrapper.clientId = address.client_id
        connecting = asyncio.ensure_future(ib.client.connectAsync(*at, None))
        try:
            await asyncio.wait({connecting, refused}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done() and connecting.exception() is None:
                return cls(ib, address)
            if refused.done() and not connecting.done():
                raise GatewayDown(refused.result())
            if connecting.done() and isinstance(connecting.exception(), OSError | ConnectionError):
                raise GatewayDown(_nobody(address, connecting.exception())) from connecting.exception()
            raise GatewayDown(_silent(address, seconds))
        finally:
            ib.errorEvent -= on_message
            ib.client.apiError -= on_end
            if not connecting.done():
                connecting.cancel()
                await asyncio.gather(connecting, return_exceptions=True)

    @property
    def is_over(self) -> bool:
        return not self.ib.isConnected()

    async def request(self, work: Callable[[Any], Awaitable[_T]], seconds: float) -> _T:
        """What ``work`` gives, which gets the library's client.

        Raises:
            NoAnswer: nothing within ``seconds``.
            GatewayDown: the connection ended, or that of TWS to Interactive Brokers did.
            RequestRefused: an error message came for this request.
        """
        if self._down.done():
            raise GatewayDown(self._down.result())
        answer: asyncio.Future[_T] | None = None
        try:
            answer = asyncio.ensure_future(work(self.ib))
            either: set[asyncio.Future[Any]] = {answer, self._down}
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
        except library().RequestError as error:
            raise RequestRefused(error.code, error.message) from error
        except ConnectionError as error:
            raise GatewayDown(_ended(self._address)) from error
        finally:
            if answer is not None:
                answer.cancel()
        if self._down.done():
            raise GatewayDown(self._down.result())
        raise NoAnswer(f"TWS or IB Gateway at {self._address} has not answered within {seconds:g} s")

    async def log_off(self) -> None:
        transport = self.ib.client.conn.transport
        self.ib.client.disconnect()
        for _ in range(20):
            if self.ib.client.conn.transport is None:
                return
            await asyncio.sleep(0.01)
        transport.abort()  # it does not read what we sent
        await asyncio.sleep(0)

    def _on_message(self, _id: int, code: int, text: str, _contract: Any) -> None:
        if code in _LOST:
            self.outages += 1
            self._is_down(
                f"TWS or IB Gateway at {self._address} has lost its own connection to Interactive Brokers ({text}); it "
                "connects again by itself unless its window asks for something"
            )
        elif code in _RESTORED and self._down.done() and not self.is_over:
            self._down = asyncio.get_running_loop().create_future()

    def _on_end(self) -> None:
        self._is_down(_ended(self._address))

    def _is_down(self, why: str) -> None:
        if not self._down.done():
            self._down.set_result(why)


def _guard(client: Any) -> None:
    """Let nothing but requests for data pass, whoever asks: no order can leave through this client."""
    send = client.send

    def send_if_reading(*fields: Any, **options: Any) -> None:
        if fields[0] not in _READING:
            raise NotOnReadOnlyConnection(
                f"message type {fields[0]} was about to be sent to TWS over a connection that only reads data"
            )
        send(*fields, **options)

    client.send = send_if_reading


def _ended(address: Address) -> str:
    return f"TWS or IB Gateway at {address} ended the connection; see whether it still runs"


def _nobody(address: Address, error: BaseException | None) -> str:
    return (
        f"no TWS or IB Gateway at {address} ({error}): start it and log in, allow API clients in its settings (API, "
        "Settings: socket clients, socket port, trusted IPs), and set host and port to it"
    )


def _silent(address: Address, seconds: float) -> str:
    return (
        f"{address} takes the connection and does not let us log on within {seconds:g} s: see whether a window of TWS "
        "asks to accept an API client, whether this machine is among its trusted IPs, and whether it has logged in"
    )
