"""Bars of Interactive Brokers, through a running TWS or IB Gateway.

Its bars are asked for backwards from the end of a span. The body of an answer is the bars as the library that speaks
TWS's protocol delivers them, as JSON, with the contract and the request: that is this source's raw payload.
"""

import datetime as dt
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import polars as pl
from pydantic import Field, PositiveFloat

from resources.brokers.ibkr.connection import reading_connection
from resources.brokers.ibkr.contracts import ContractSpec
from resources.brokers.ibkr.errors import GatewayDown, RequestRefused
from resources.brokers.ibkr.history import BarSize, Contract, ContractRefused, HistoricalBars, Show
from resources.brokers.ibkr.pace import historical_pace
from resources.sources.context import SourceContext
from resources.sources.downloads.vendor import Page, SymbolRefused
from resources.sources.errors import SourceError
from resources.sources.vendors.download_config import DownloadConfig
from resources.sources.vendors.json_bars import numbers, present
from resources.sources.vendors.patience import Again, Patience
from trading.contracts import INSTANT, PRICES
from trading.ports.sources import Step

if TYPE_CHECKING:
    from resources.sources.downloads.source import DownloadedSource

_Answer = TypeVar("_Answer")

_DAY = dt.timedelta(days=1)
_SECOND = dt.timedelta(seconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MOST_DAYS = 365  # more has to be asked for in years
_SIZES: dict[Step, BarSize] = {"1m": "1 min", "1d": "1 day"}
_TRADES = ("TRADES", "AGGTRADES")
_COUNTED = ("STK", "FUT", "CRYPTO")  # whose bars count trades; an index has none
_LARGEST = 2**63


class IbkrBars:
    """Implements :class:`resources.sources.downloads.vendor.Vendor`; a cursor is where the next page ends, epoch seconds.

    Args:
        history: whom to ask.
        clock: the time, UTC. The minute that is under way is never asked for.
        contracts: the instrument of each Symbol that is not ``default`` under its own name.
        regular_hours: leave out the extended ones.
        volume_unit: what one unit of Volume is of theirs.
        days_per_request: of minutes.
        patience: with a gateway that does not answer.
        sleep: seconds, between attempts.
    """

    name = "ibkr"

    def __init__(
        self,
        history: HistoricalBars,
        *,
        step: Step,
        clock: Callable[[], dt.datetime],
        contracts: Mapping[str, ContractSpec],
        default: ContractSpec,
        show: Show = "TRADES",
        regular_hours: bool = False,
        volume_unit: float = 1.0,
        days_per_request: int = 1,
        longest_span: dt.timedelta = dt.timedelta(days=30),
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.step = step
        self.longest_span = longest_span
        self._history = history
        self._clock = clock
        self._contracts = contracts
        self._default = default
        self._show = show
        self._regular_hours = regular_hours
        self._unit = Decimal(repr(volume_unit))
        self._days = days_per_request
        self._patience = patience or Patience()
        self._sleep = sleep

    def asked_as(self, symbol: str) -> str:
        """See :meth:`resources.sources.downloads.vendor.Vendor.asked_as`."""
        hours = "regular hours" if self._regular_hours else "all hours"
        return f"{self._spec(symbol)}, {self._show}, {hours}, volume in {self._unit}"

    def pages(self, symbol: str, start: dt.datetime, end: dt.datetime, cursor: str | None = None) -> Iterator[Page]:
        """See :meth:`resources.sources.downloads.vendor.Vendor.pages`; the last bars come first."""
        at = end if cursor is None else _EPOCH + dt.timedelta(seconds=int(cursor))
        if self.step == "1m":
            at = min(at, self._clock().replace(second=0, microsecond=0))
        contract = self._keep_asking(lambda: self._history.contract(self._spec(symbol)), symbol, f"{symbol}'s contract")
        while at > start:
            duration, days = self._duration(at - start)
            listed = self._ask(symbol, contract, at, duration)
            page_end, at = at, self._following(listed, at, at - days)
            request = {
                "from": start.isoformat(),
                "end": page_end.isoformat(),
                "duration": duration,
                "bar_size": _SIZES[self.step],
                "what_to_show": self._show,
                "use_rth": self._regular_hours,
            }
            told = f"{contract}: {duration} of {_SIZES[self.step]} {self._show} up to {page_end:%Y-%m-%d %H:%M} UTC"
            yield Page(
                _body(contract, request, listed),
                f"reqHistoricalData {told}",
                str((at - _EPOCH) // _SECOND) if at > start else None,
            )

    def rows(self, symbol: str, body: bytes) -> pl.DataFrame:  # noqa: ARG002 - the answer names its contract
        """See :meth:`resources.sources.downloads.vendor.Vendor.rows`.

        Bars before the span or after the end that was asked for belong to no page: IBKR counts its days from the
        sessions that there are, and so answers with more than was asked for.
        """
        said = json.loads(body)
        listed, request = said["bars"], said["request"]
        timestamps = pl.Series("Timestamp", [_instant(bar, row) for row, bar in enumerate(listed)], dtype=INSTANT)
        prices = [numbers(listed, name.lower()).alias(name) for name in PRICES]
        volumes = _volumes(listed, self._unit, is_quoted=request["what_to_show"] not in _TRADES)
        frame = pl.DataFrame([timestamps, *prices, volumes])
        if request["what_to_show"] in _TRADES and said["contract"]["sec_type"] in _COUNTED:
            untraded = (numbers(listed, "barCount") == 0) & (volumes == 0).fill_null(value=False)
            frame = frame.with_columns(pl.when(~untraded).then(pl.col(*PRICES)))
        first, end = (dt.datetime.fromisoformat(request[bound]) for bound in ("from", "end"))
        return frame.filter(pl.col("Timestamp").is_between(first, end, closed="left"))

    # -- one request --

    def _spec(self, symbol: str) -> ContractSpec:
        return self._contracts.get(symbol, self._default).named(symbol)

    def _duration(self, left: dt.timedelta) -> tuple[str, dt.timedelta]:
        """As IBKR writes it, and how far it reaches back at least."""
        if left < _DAY:
            return f"{left // _SECOND} S", left
        days = min(left // _DAY, self._days) if self.step == "1m" else min(math.ceil(left / _DAY), _MOST_DAYS)
        return f"{days} D", days * _DAY

    def _ask(self, symbol: str, contract: Contract, at: dt.datetime, duration: str) -> list[Mapping[str, Any]]:
        return self._keep_asking(
            lambda: self._history.bars(
                contract, at, duration, _SIZES[self.step], self._show, regular_hours=self._regular_hours
            ),
            symbol,
            f"{symbol} {duration} up to {at:%Y-%m-%d %H:%M} UTC",
        )

    def _following(self, listed: list[Mapping[str, Any]], at: dt.datetime, otherwise: dt.datetime) -> dt.datetime:
        """Where the page before ends: at the first bar of this one; where it has none, as far back as it looked."""
        stamps = [stamp for row, bar in enumerate(listed) if (stamp := _instant(_plain(bar), row)) < at]
        return min(stamps) if stamps else otherwise

    def _keep_asking(self, ask: Callable[[], _Answer], symbol: str, asked: str) -> _Answer:
        def once() -> _Answer:
            try:
                return ask()
            except GatewayDown as error:
                raise Again(str(error)) from error
            except ContractRefused as error:
                raise SymbolRefused(f"ibkr: {symbol}: {error}") from error
            except RequestRefused as error:
                raise SourceError(f"ibkr: {asked}: {error}") from error

        return self._patience.keep_asking(once, self.name, asked, self._sleep)


def _body(contract: Contract, request: Mapping[str, Any], listed: list[Mapping[str, Any]]) -> bytes:
    said = {"contract": vars(contract), "request": request, "bars": [_plain(bar) for bar in listed]}
    return json.dumps(said, separators=(",", ":")).encode()


def _plain(bar: Mapping[str, Any]) -> dict[str, Any]:
    """With the time as text."""
    return {name: value.isoformat() if isinstance(value, dt.date) else value for name, value in bar.items()}


def _instant(bar: Any, row: int) -> dt.datetime:
    given = present(bar, "date", row)
    try:
        instant = dt.datetime.fromisoformat(given)
    except (TypeError, ValueError):
        raise SourceError(f"row {row + 1}: date is {given!r}; it must be a date or an instant") from None
    return instant.replace(tzinfo=instant.tzinfo or dt.UTC)


def _volumes(listed: list[Any], unit: Decimal, *, is_quoted: bool) -> pl.Series:
    """Whole multiples of ``unit``; of quotes 0, which IBKR writes as -1, and of trades null where it is -1."""
    whole: list[int | None] = []
    for row, (bar, given) in enumerate(zip(listed, numbers(listed, "volume"), strict=True)):
        if given is None or given < 0:
            whole.append(0 if is_quoted else None)
            continue
        units = Decimal(repr(given)) / unit
        if units != units.to_integral_value() or units >= _LARGEST:
            raise SourceError(
                f"row {row + 1} ({bar['date']}): volume {given:g} is no whole number below 2^63 of {unit}; set "
                "volume_unit to the smallest size that trades, and download it anew"
            )
        whole.append(int(units))
    return pl.Series("Volume", whole, dtype=pl.Int64)


class IbkrConfig(DownloadConfig):
    """A universe's bars from Interactive Brokers; see :class:`DownloadConfig` for what all downloads have in common.

    The connection only reads: no order can be sent over it, whatever the settings of TWS allow.

    Args:
        host, port: where TWS (7496 live, 7497 paper) or IB Gateway (4001 live, 4002 paper) listens.
        client_id: which of its API clients we are: one for each source that asks at the same time. None is 71 for
            minutes and 72 for days.
        contracts: the instrument of each Symbol that is not ``contract`` under its own name.
        contract: what Symbols are that are not among ``contracts``.
        what_to_show: what bars are made of; forex has no ``TRADES``, take ``MIDPOINT``.
        use_rth: only the regular hours. None is all hours for minutes, the regular ones for days.
        volume_unit: what one unit of Volume is of theirs; below 1 where theirs are fractional.
        requests_per_10_minutes: of historical data, by all sources of this process at this host and port together.
        days_per_request: of minutes. IBKR documents 1; it often gives more.
        longest_span_days: of minutes in one download.
        request_seconds: within which one request must be answered.
    """

    kind: Literal["ibkr"] = "ibkr"
    step: Step = "1m"
    host: str = Field("127.0.0.1", min_length=1)
    port: int = Field(4002, ge=1, le=65535)
    client_id: int | None = Field(None, ge=1)
    contracts: dict[str, ContractSpec] = Field(default_factory=dict)
    contract: ContractSpec = ContractSpec()
    what_to_show: Show = "TRADES"
    use_rth: bool | None = None
    volume_unit: Annotated[PositiveFloat, Field(allow_inf_nan=False)] = 1.0
    requests_per_10_minutes: int = Field(60, ge=2)
    days_per_request: int = Field(1, ge=1, le=30)
    longest_span_days: int = Field(30, ge=2)
    request_seconds: float = Field(60.0, gt=0)

    def open(self, context: SourceContext) -> "DownloadedSource":
        """The source; asks nobody yet. ConfigError where the universe names no Symbols."""
        minutes = self.step == "1m"
        client_id = self.client_id if self.client_id is not None else 71 if minutes else 72
        history = HistoricalBars(
            reading_connection(self.host, self.port, client_id),
            historical_pace(f"{self.host}:{self.port}", self.requests_per_10_minutes),
            seconds=self.request_seconds,
        )
        vendor = IbkrBars(
            history,
            step=self.step,
            clock=context.clock,
            contracts=self.contracts,
            default=self.contract,
            show=self.what_to_show,
            regular_hours=self.use_rth if self.use_rth is not None else not minutes,
            volume_unit=self.volume_unit,
            days_per_request=self.days_per_request,
            longest_span=dt.timedelta(days=self.longest_span_days if minutes else _MOST_DAYS),
            patience=self.patience,
        )
        return self.source(vendor, context)
