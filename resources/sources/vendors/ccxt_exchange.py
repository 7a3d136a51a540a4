"""One-minute bars of crypto exchanges, through ccxt. Public data: no key."""

import datetime as dt
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit, urlunsplit

import polars as pl
from pydantic import Field, PositiveFloat, PositiveInt

from resources.sources.context import SourceContext
from resources.sources.downloads.vendor import Page, SymbolRefused
from resources.sources.errors import SourceError
from resources.sources.vendors.candles import UNREADABLE, CandleReader, instant, library, milliseconds, shortened
from resources.sources.vendors.download_config import DownloadConfig
from resources.sources.vendors.pace import Pace, pace_of
from resources.sources.vendors.patience import Again, Patience, retry_after
from trading.errors import ConfigError
from trading.ports.sources import Step

if TYPE_CHECKING:
    from requests import Response

    from resources.sources.downloads.source import DownloadedSource
    from resources.sources.vendors.bounded_session import BoundedSession

_MINUTE = dt.timedelta(minutes=1)
_ROWS_UNKNOWN = 300  # what an exchange gives at least whose own limit ccxt does not state
_ROWS_MOST = 1000
_KEPT = ("id", "symbol", "base", "quote", "baseId", "quoteId", "type", "spot", "active")
_NOTHING: Mapping[str, Any] = MappingProxyType({})

_Unit = Annotated[PositiveFloat, Field(allow_inf_nan=False)]


class CcxtExchange:
    """A spot exchange as a :class:`resources.sources.downloads.vendor.Vendor`.

    Every request names a window that fits one answer, and what an answer leaves of its window is asked for again, so
    that neither a gap nor half an answer ends a download early. The minute that is under way is never asked for.

    Which market a Symbol is comes from the exchange's list once and stays in ``markets.json``; after that, reading and
    downloading need the list no more.

    Args:
        exchange: ccxt's id.
        directory: where ``markets.json`` is.
        clock: the time, UTC.
        markets: ccxt's name of a Symbol's market, where it is not the Symbol with ``/`` for its last ``-``.
        volume_unit: what Volume counts, in the base currency.
        volume_units: the same, for single Symbols.
        base_url: in place of the exchange's own host; its path goes before that of each request.
        pace: between requests; None leaves it to ccxt, which knows each exchange's limit.
        sleep: seconds, between attempts.
    """

    step: Step = "1m"

    def __init__(
        self,
        exchange: str,
        directory: Path,
        *,
        clock: Callable[[], dt.datetime],
        markets: Mapping[str, str] = _NOTHING,
        volume_unit: float = 1e-8,
        volume_units: Mapping[str, float] = _NOTHING,
        base_url: str | None = None,
        pace: Pace | None = None,
        patience: Patience | None = None,
        longest_span: dt.timedelta = dt.timedelta(days=7),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = exchange
        self.longest_span = longest_span
        self._file = directory / "markets.json"
        self._clock = clock
        self._names = markets
        self._unit = volume_unit
        self._units = volume_units
        self._base_url = base_url
        self._pace = pace
        self._patience = patience or Patience()
        self._sleep = sleep
        self._known: dict[str, dict[str, Any]] = {}

    def pages(self, symbol: str, start: dt.datetime, end: dt.datetime, cursor: str | None = None) -> Iterator[Page]:
        """See :meth:`resources.sources.downloads.vendor.Vendor.pages`; a cursor is the first minute still to come."""
        market = self._market(symbol)
        at = start if cursor is None else instant(int(cursor))
        now = self._clock()
        end = min(end, now.replace(second=0, microsecond=0))
        while at < end:
            until = min(at + self._rows_in_answer * _MINUTE, end)
            body, request, following = self._window(symbol, market, at, until)
            at = following
            yield Page(body, request, str(milliseconds(at)) if at < end else None)

    def rows(self, symbol: str, body: bytes) -> pl.DataFrame:
        """See :meth:`resources.sources.downloads.vendor.Vendor.rows`; Volume in units, rounded to the nearest."""
        return self._reader.rows(self._market(symbol), body, self._unit_of(symbol))

    def asked_as(self, symbol: str) -> str:
        """What decides which market is asked for and how its answers read."""
        return f"{self._names.get(symbol, symbol)}, volume in {self._unit_of(symbol)}"

    # -- one request --

    def _window(
        self, symbol: str, market: Mapping[str, Any], at: dt.datetime, until: dt.datetime
    ) -> tuple[bytes, str, dt.datetime]:
        """Body, request, and from where on to ask next."""
        asked = f"{symbol} {at:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"
        minutes = (until - at) // _MINUTE

        def ask() -> tuple[bytes, dt.datetime]:
            self._call(
                asked,
                lambda: self._exchange.fetch_ohlcv(
                    market["symbol"], "1m", milliseconds(at), minutes, {"until": milliseconds(until) - 1}
                ),
            )
            body = self._last_answer.content
            try:
                stamps = self.rows(symbol, body)["Timestamp"]
            except SourceError as error:
                raise Again(str(error)) from error
            return body, self._following(stamps, at, until, asked)

        body, following = self._patience.keep_asking(ask, self.name, asked, self._sleep)
        parts = urlsplit(self._last_answer.url)
        return body, f"GET {parts.path}?{parts.query}", following

    @property
    def _last_answer(self) -> "Response":
        answer = self._session.answer
        if answer is None:
            raise Again("nothing was asked, or the answer did not come whole")
        return answer

    def _following(self, stamps: pl.Series, at: dt.datetime, until: dt.datetime, asked: str) -> dt.datetime:
        last = stamps.filter((stamps >= at) & (stamps < until)).max()
        if isinstance(last, dt.datetime):
            return last + _MINUTE
        earliest = stamps.min()
        if isinstance(earliest, dt.datetime) and earliest >= until:
            raise SourceError(
                f"{self.name}: {asked} is asked for, and it answers with minutes from {earliest:%Y-%m-%d %H:%M} on: it "
                "serves recent minutes only; take an exchange that has the history, or begin later (first_session)"
            )
        return until

    def _call(self, asked: str, call: Callable[[], Any]) -> Any:
        """What ccxt returns; its refusals as ours. The answer itself stays with the session.

        Raises:
            Again: no usable answer this time.
            SymbolRefused: no such market.
            SourceError: it says no.
        """
        ccxt, exchange = library(), self._exchange
        if self._pace is not None:
            self._pace.wait()
        try:
            return call()
        except ccxt.BadSymbol as error:
            raise SymbolRefused(f"{self.name}: {asked}: {shortened(str(error))}") from error
        except ccxt.OperationFailed as error:
            answer = self._session.answer
            if answer is None:
                raise Again(shortened(str(error))) from error
            if answer.status_code == 451:
                raise SourceError(
                    f"{self.name} does not serve the place that this machine is in (status 451); set base_url to a host "
                    "that does (binance: https://data-api.binance.vision), or take another exchange"
                ) from error
            reason = f"status {answer.status_code} ({shortened(answer.text)})"
            raise Again(reason, retry_after(answer.headers)) from error
        except ccxt.BaseError as error:
            raise SourceError(f"{self.name}: {asked}: {type(error).__name__}: {shortened(str(error))}") from error
        except UNREADABLE as error:
            raise Again(f"an answer that is not as {exchange.id} documents it ({type(error).__name__})") from error

    def _unit_of(self, symbol: str) -> Decimal:
        return Decimal(repr(self._units.get(symbol, self._unit)))

    # -- which market a Symbol is --

    def _market(self, symbol: str) -> Mapping[str, Any]:
        """ccxt's description of the market, known to the exchange object too."""
        if symbol not in self._known:
            self._known = self._read_known()
        market = self._known.get(symbol)
        if market is None or market["symbol"] != self._market_name(symbol):
            market = self._look_up(symbol)
            self._keep_known({**self._read_known(), symbol: market})
        if market["symbol"] not in (self._exchange.markets or {}):
            self._exchange.set_markets([*(self._exchange.markets or {}).values(), market])
        return market

    def _market_name(self, symbol: str) -> str:
        if symbol in self._names:
            return self._names[symbol]
        base, dash, quote = symbol.rpartition("-")
        if not (base and dash and quote):
            raise SymbolRefused(
                f"{symbol}: no market of {self.name}: write base and quote with a dash (BTC-USDT), or say which market it "
                f"is (markets: {{{symbol}: BTC/USDT}})"
            )
        return f"{base}/{quote}"

    def _look_up(self, symbol: str) -> dict[str, Any]:
        wanted = self._market_name(symbol)
        listed = self._listed
        found = listed.get(wanted)
        if found is None or found.get("spot") is not True:
            alike = sorted(name for name, market in listed.items() if _is_alike(market, wanted))[:5]
            hint = f"; it has {', '.join(alike)}" if alike else ""
            raise SymbolRefused(
                f"{self.name} has no spot market {wanted!r} (Symbol {symbol}){hint}; check the Symbol, or map it (markets)"
            )
        return {name: found.get(name) for name in _KEPT}

    @cached_property
    def _listed(self) -> dict[str, dict[str, Any]]:
        """All markets of the exchange by ccxt's name; asked for at most once."""
        asked = "its list of markets"

        def ask() -> dict[str, Any]:
            markets: dict[str, Any] = self._call(asked, lambda: self._exchange.load_markets(True))
            if not markets:
                raise Again(f"the list is empty ({shortened(self._last_answer.text)})")
            return markets

        loaded = self._patience.keep_asking(ask, self.name, asked, self._sleep)
        return {str(name): dict(market) for name, market in loaded.items()}

    def _read_known(self) -> dict[str, dict[str, Any]]:
        try:
            known: dict[str, dict[str, Any]] = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            raise SourceError(f"{self._file} is no JSON any more; remove it, and it is made again") from None
        return known

    def _keep_known(self, known: dict[str, dict[str, Any]]) -> None:
        self._known = known
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_name(f"{self._file.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(known, indent=1, sort_keys=True))
        temporary.replace(self._file)

    # -- ccxt --

    @cached_property
    def _exchange(self) -> Any:
        exchange = self._new({"session": self._session})
        if self._base_url is not None:
            exchange.urls["api"] = _moved(exchange.urls["api"], self._base_url)
        return exchange

    @cached_property
    def _session(self) -> "BoundedSession":
        from resources.sources.vendors.bounded_session import BoundedSession

        patience = self._patience
        return BoundedSession(connect=patience.connect, read=patience.read, whole=patience.seconds)

    @cached_property
    def _reader(self) -> CandleReader:
        return CandleReader(self._new({}))

    @cached_property
    def _rows_in_answer(self) -> int:
        described = self._exchange.features or {}
        for name in ("spot", "fetchOHLCV"):
            described = described.get(name) or {}
        return min(int(described.get("limit") or _ROWS_UNKNOWN), _ROWS_MOST)

    def _new(self, settings: Mapping[str, Any]) -> Any:
        ccxt = library()
        if self.name not in ccxt.exchanges:
            raise ConfigError(f"exchange {self.name!r} is unknown to ccxt {ccxt.__version__}; one it knows is binance")
        exchange = getattr(ccxt, self.name)(
            {
                "enableRateLimit": self._pace is None,
                **settings,
            }
        )
        if exchange.has["fetchOHLCV"] is not True:  # or it would be made up of single trades
            raise ConfigError(f"exchange {self.name!r} gives no bars (ccxt: fetchOHLCV); take another one")
        lists = exchange.options.get("fetchMarkets")
        if isinstance(lists, dict) and isinstance(lists.get("types"), list) and "spot" in lists["types"]:
            lists["types"] = ["spot"]  # not the long lists of derivatives as well
        return exchange


class CcxtConfig(DownloadConfig):
    """A universe's minutes from a crypto exchange; see :class:`DownloadConfig` for what all downloads have in common.

    The universe's ``calendar`` is ``24/7``.

    Args:
        exchange: ccxt's id.
        markets: ccxt's name of a Symbol's market, where it is not the Symbol with ``/`` for its last ``-``.
        volume_unit: what one unit of Volume is, in the base currency.
        volume_units: the same for single Symbols, where 64 bits are too few for the volume in ``volume_unit``.
        base_url: in place of the exchange's own host.
        requests_per_minute: null leaves the pace to ccxt, which knows each exchange's limit.
        longest_span_days: how many days one download holds at most.
    """

    kind: Literal["ccxt"] = "ccxt"
    step: Literal["1m"] = "1m"
    exchange: str = Field("binance", pattern=r"^[a-z0-9]+$")
    markets: dict[str, str] = Field(default_factory=dict)
    volume_unit: _Unit = 1e-8
    volume_units: dict[str, _Unit] = Field(default_factory=dict)
    base_url: str | None = Field(None, pattern=r"^https?://[^/]+")
    requests_per_minute: PositiveInt | None = None
    longest_span_days: PositiveInt = 7

    def open(self, context: SourceContext) -> "DownloadedSource":
        """The source; asks nobody yet. ConfigError where the universe names no Symbols."""
        per_minute = self.requests_per_minute
        vendor = CcxtExchange(
            self.exchange,
            self.directory(context, self.exchange),
            clock=context.clock,
            markets=self.markets,
            volume_unit=self.volume_unit,
            volume_units=self.volume_units,
            base_url=self.base_url,
            pace=pace_of(self.base_url or self.exchange, per_minute) if per_minute else None,
            patience=self.patience,
            longest_span=dt.timedelta(days=self.longest_span_days),
        )
        return self.source(vendor, context)


def _moved(urls: Any, base_url: str) -> Any:
    """The same URLs on another host."""
    if isinstance(urls, dict):
        return {name: _moved(url, base_url) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    base = urlsplit(base_url)
    parts = urlsplit(urls)
    return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + parts.path, parts.query, parts.fragment))


def _is_alike(market: Mapping[str, Any], wanted: str) -> bool:
    """Whether it is another spot market of the same base currency."""
    return market.get("spot") is True and market.get("base") == wanted.partition("/")[0]
