"""Historical bars of Interactive Brokers, one request at a time and within the limits of its historical data."""

import datetime as dt
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeVar

from resources.brokers.ibkr.connection import Connection
from resources.brokers.ibkr.contracts import ContractSpec
from resources.brokers.ibkr.errors import GatewayDown, NoAnswer, RequestRefused
from resources.brokers.ibkr.library import library
from resources.brokers.ibkr.pace import HistoricalPace

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

Show = Literal["TRADES", "AGGTRADES", "MIDPOINT", "BID", "ASK", "BID_ASK"]
"""What bars are made of. ADJUSTED_LAST is not among them: it cannot be asked for up to a day in the past."""

BarSize = Literal["1 min", "1 day", "5 secs"]

_HISTORICAL = 162
_NO_SECURITY = 200
_NOT_FOUND = 366
_NOT_ALLOWED = (354, 10089, 10168, 10186, 10187)  # data that this login has not subscribed to
_NOT_NOW = (_NOT_FOUND, 322, 502, 504, 10182, 10197)  # no connection, too much at once, or the login is used elsewhere

_NO_DATA = ("no data", "no historical data")
_PACING = "pacing violation"
_PASSING = ("different ip address", "cancel", "connect", "farm", "time out", "timed out", "timeout", "unavailable")

_PENALTY = 60.0  # after a pacing violation, seconds
_PENALTIES = 11  # the longest window is ten minutes


class ContractRefused(RequestRefused):
    """Interactive Brokers does not have this contract, or not for this login; others are not concerned."""


@dataclass(frozen=True)
class Contract:
    """One instrument, found out.

    Attributes:
        con_id: its number.
        expiry: last trading day, ``YYYYMMDD``, or empty.
    """

    con_id: int
    symbol: str
    sec_type: str
    exchange: str
    primary_exchange: str
    currency: str
    expiry: str
    local_symbol: str
    trading_class: str
    multiplier: str

    def __str__(self) -> str:
        where = self.primary_exchange or self.exchange
        parts = (self.local_symbol or self.symbol, self.sec_type, where, self.currency, self.expiry)
        return " ".join([*filter(None, parts), f"con_id {self.con_id}"])


class HistoricalBars:
    """Bars of contracts over one connection.

    Args:
        connection: to TWS or IB Gateway.
        pace: the login's.
        seconds: within which one request must be answered.
        sleep: seconds; after a pacing violation.
    """

    def __init__(
        self,
        connection: Connection,
        pace: HistoricalPace,
        *,
        seconds: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = connection
        self._pace = pace
        self._seconds = seconds
        self._sleep = sleep
        self._found: dict[ContractSpec, Contract] = {}
        self._lock = threading.Lock()

    def contract(self, spec: ContractSpec) -> Contract:
        """The one instrument that ``spec`` describes; asked for once.

        Raises:
            ContractRefused: there is none, or more than one; the message names them.
            GatewayDown: no answer.
        """
        with self._lock:
            found = self._found.get(spec)
        if found is None:
            found = self._look_up(spec)
            with self._lock:
                self._found[spec] = found
        return found

    def bars(
        self, contract: Contract, end: dt.datetime, duration: str, size: BarSize, show: Show, *, regular_hours: bool
    ) -> list[Mapping[str, Any]]:
        """Bars up to ``end`` as the library delivers them, oldest first: date (datetime in UTC of the start, or the
        date of a daily bar), open, high, low, close, volume, average, barCount. Empty where there are none.

        Args:
            end: UTC.
            duration: back from ``end``, e.g. ``1 D`` or ``14400 S``.
            regular_hours: leave out the extended ones.

        Raises:
            ContractRefused: not for this contract or login.
            RequestRefused: not as it was asked for.
            GatewayDown: no answer.
        """
        what = (contract.con_id, contract.exchange, show)
        request = (*what, end, duration, size, regular_hours)
        weight = 2 if show == "BID_ASK" else 1
        for _ in range(_PENALTIES):
            self._pace.wait(what, request, weight)
            try:
                return self._ask(contract, end, duration, size, show, regular_hours)
            except _PacingViolation as error:
                _log.warning("ibkr: %s; asked again in %.0f s", error, _PENALTY)
                self._sleep(_PENALTY)
        raise GatewayDown(
            f"Interactive Brokers still reports a pacing violation after {_PENALTIES * _PENALTY:.0f} s; see whether "
            "another program asks for historical data with this login"
        )

    def _ask(
        self, contract: Contract, end: dt.datetime, duration: str, size: BarSize, show: Show, regular_hours: bool
    ) -> list[Mapping[str, Any]]:
        async def ask(ib: Any) -> list[Mapping[str, Any]]:
            found = library().Contract(
                conId=contract.con_id, exchange=contract.exchange, includeExpired=contract.sec_type == "FUT"
            )
            # A time-out of the library's own would come as an empty answer; ours is an error.
            bars = await ib.reqHistoricalDataAsync(
                found, end, duration, size, show, regular_hours, formatDate=2, timeout=0
            )
            return [asdict(bar) for bar in bars]

        try:
            return self._call(ask)
        except RequestRefused as error:
            if error.code == _HISTORICAL and any(words in error.text.lower() for words in _NO_DATA):
                return []
            raise _meaning(error) from error

    def _look_up(self, spec: ContractSpec) -> Contract:
        async def ask(ib: Any) -> list[Any]:
            details: list[Any] = await ib.reqContractDetailsAsync(library().Contract(**spec.fields()))
            return details

        try:
            return one_contract(spec, [details.contract for details in self._call(ask)])
        except ContractRefused:
            raise
        except RequestRefused as error:
            raise _meaning(error) from error

    def _call(self, ask: Callable[[Any], Awaitable[_T]]) -> _T:
        try:
            return self._connection.call(ask, self._seconds)
        except NoAnswer:
            self._connection.close()  # half open, perhaps: the next request connects anew
            raise


class _PacingViolation(RequestRefused):
    """Too many requests; those of other programs with the same login count too."""


def one_contract(spec: ContractSpec, answers: Sequence[Any]) -> Contract:
    """The only one of the library's contracts, routed as ``spec`` asks: SMART is no exchange on which a contract is listed.

    Raises:
        ContractRefused: there is none, or more than one; the message names them.
    """
    listed = [_contract(found) for found in answers]
    if not listed:
        raise ContractRefused(_NO_SECURITY, f"Interactive Brokers has no contract {spec}")
    if len(listed) > 1:
        shown = "; ".join(str(contract) for contract in listed[:5])
        more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
        raise ContractRefused(
            _NO_SECURITY,
            f"{spec} is ambiguous: it may be {shown}{more}. Say which by con_id, or by primary_exchange, expiry, "
            "trading_class or multiplier",
        )
    return replace(listed[0], exchange=spec.exchange)


def _contract(found: Any) -> Contract:
    return Contract(
        con_id=found.conId,
        symbol=found.symbol,
        sec_type=found.secType,
        exchange=found.exchange,
        primary_exchange=found.primaryExchange,
        currency=found.currency,
        expiry=(found.lastTradeDateOrContractMonth or "").partition(" ")[0],
        local_symbol=found.localSymbol,
        trading_class=found.tradingClass,
        multiplier=found.multiplier,
    )


def _meaning(error: RequestRefused) -> Exception:
    """What a message code says about the gateway, the contract or the request."""
    text = error.text.lower()
    if error.code == _HISTORICAL and _PACING in text:
        return _PacingViolation(error.code, error.text)
    if error.code in _NOT_NOW or (error.code == _HISTORICAL and any(words in text for words in _PASSING)):
        return GatewayDown(f"Interactive Brokers does not deliver now: {error}")
    if error.code in _NOT_ALLOWED:
        return ContractRefused(error.code, f"{error.text}; subscribe to this market's data for the login")
    if error.code in (_HISTORICAL, _NO_SECURITY):
        return ContractRefused(error.code, error.text)
    return error
