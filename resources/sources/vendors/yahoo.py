"""Daily bars of Yahoo Finance, through yfinance: benchmark series.

Yahoo's prices and volumes are adjusted for all splits up to the day on which they are asked for, whatever one asks;
dividends are not in them. They are good to compare with, and no prices that anybody traded at.
"""

import datetime as dt
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl
from pydantic import Field, PositiveInt

from resources.sources.context import SourceContext
from resources.sources.downloads.spans import Span
from resources.sources.downloads.vendor import Page, SymbolRefused
from resources.sources.errors import SourceError
from resources.sources.vendors.candles import shortened
from resources.sources.vendors.download_config import DownloadConfig
from resources.sources.vendors.json_bars import FIELDS, bars_of
from resources.sources.vendors.pace import Pace, pace_of
from resources.sources.vendors.patience import Again, Patience, retry_after
from trading.contracts import PRICES
from trading.ports.sources import Step

if TYPE_CHECKING:
    from resources.sources.downloads.source import DownloadedSource
    from resources.sources.vendors.yahoo_session import YahooSession

_log = logging.getLogger(__name__)

_HOST = "https://query2.finance.yahoo.com"
_DAY = dt.timedelta(days=1)
_LONGEST_SPAN = dt.timedelta(days=3650)
_WITHOUT_VOLUME = frozenset({"INDEX", "CURRENCY"})
_NO_SUCH_DAYS = "Data doesn't exist"
_NOTHING: Mapping[str, str] = MappingProxyType({})


class YahooDays:
    """Implements :class:`resources.sources.downloads.vendor.Vendor`; one answer holds a whole span.

    Args:
        pace: between requests.
        tickers: Yahoo's ticker by Symbol, where it is another, e.g. ``^GSPC``.
        base_url: takes the place of Yahoo's hosts.
        sleep: seconds, between attempts.
    """

    name = "yahoo"
    step: Step = "1d"
    longest_span = _LONGEST_SPAN

    def __init__(
        self,
        pace: Pace,
        *,
        tickers: Mapping[str, str] = _NOTHING,
        base_url: str | None = None,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pace = pace
        self._tickers = tickers
        self._base_url = base_url
        self._patience = patience or Patience()
        self._sleep = sleep

    def pages(
        self,
        symbol: str,
        start: dt.datetime,
        end: dt.datetime,
        cursor: str | None = None,  # noqa: ARG002 - there is one page
    ) -> Iterator[Page]:
        """See :meth:`resources.sources.downloads.vendor.Vendor.pages`.

        A day more on either side is asked for: Yahoo counts by the exchange's open, which in Sydney lies on the UTC day
        before.
        """
        ticker = self._ticker(symbol)
        path = f"/v8/finance/chart/{quote(ticker, safe='')}"
        params = {
            "period1": str(int((start - _DAY).timestamp())),
            "period2": str(int((end + _DAY).timestamp())),
            "interval": "1d",
            "includePrePost": "false",
            "events": "div,splits",
        }
        asked = f"{ticker} {Span(start, end)}"
        body = self._patience.keep_asking(
            lambda: self._once(symbol, path, params, asked), self.name, asked, self._sleep
        )
        for split in _splits(body, Span(start, end)):
            _log.warning(
                "yahoo: %s has split %s: days that were downloaded before then are adjusted for one split less than those "
                "after; load its whole history again",
                ticker,
                split,
            )
        yield Page(body, f"GET {path}?{urlencode(params)}")

    def rows(self, symbol: str, body: bytes) -> pl.DataFrame:
        """See :meth:`resources.sources.downloads.vendor.Vendor.rows`.

        Adjusted for splits. Figures that Yahoo holds as 32-bit floats become the decimals that these stand for, so that
        123.45 is not 123.44999694824219. An index or a currency without volume has volume 0.
        """
        chart = _chart(body)
        if chart is None:
            return bars_of([], pl.Series([], dtype=pl.Datetime("us", "UTC")), _SAME_NAMES)
        ticker = self._ticker(symbol)
        meta = _part(chart, "meta", dict)
        if str(meta.get("symbol", ticker)).upper() != ticker.upper():
            raise SourceError(f"yahoo: the answer is about {meta['symbol']!r}; it must be about {ticker!r}")
        if meta.get("dataGranularity", "1d") != "1d":
            raise SourceError(f"yahoo: the answer's bars are of {meta['dataGranularity']!r}; they must be of '1d'")
        listed, days = _listed(chart, _zone(meta))
        no_volume = meta.get("instrumentType") in _WITHOUT_VOLUME
        frame = bars_of(listed, days, _SAME_NAMES, null_volume="zero" if no_volume else "refuse")
        return frame.with_columns(_shortest(pl.col(name)) for name in PRICES)

    def asked_as(self, symbol: str) -> str:
        """What decides which ticker is asked for and how its answers read."""
        return self._ticker(symbol)

    def _ticker(self, symbol: str) -> str:
        return self._tickers.get(symbol, symbol)

    def _once(self, symbol: str, path: str, params: Mapping[str, str], asked: str) -> bytes:
        from resources.sources.vendors.yahoo_session import NO_ANSWER, refusals

        self._pace.wait()
        reason = wait = None
        try:
            answer = self._client.get(f"{_HOST}{path}", params=dict(params), timeout=self._patience.read)
        except refusals() as error:
            reason, wait = str(error), retry_after(self._session.last_headers)
        except NO_ANSWER as error:
            reason = f"no whole answer: {shortened(str(error))}"
        if reason is not None:
            raise Again(reason, wait)
        body: bytes = answer.content
        status = answer.status_code
        if status in (401, 403, 429) or status >= 500:
            raise Again(f"status {status} ({shortened(answer.text)})", retry_after(self._session.last_headers))
        try:
            self.rows(symbol, body)
        except (SymbolRefused, _Refused) as error:
            raise type(error)(f"yahoo: {asked}: {error}") from error
        except SourceError as error:
            raise Again(f"status {status}: {error}") from error
        return body

    @cached_property
    def _session(self) -> "YahooSession":
        from resources.sources.vendors.yahoo_session import YahooSession

        return YahooSession(self._base_url)

    @cached_property
    def _client(self) -> Any:
        from resources.sources.vendors.yahoo_session import yahoo_client

        return yahoo_client(self._session)


class YahooConfig(DownloadConfig):
    """Daily benchmark series of Yahoo Finance; see :class:`DownloadConfig` for what all downloads have in common.

    Args:
        adjusted: for what Yahoo has adjusted prices and volumes; here to be seen, there is no other choice.
        tickers: Yahoo's ticker by Symbol, where it is another, e.g. ``SPX: ^GSPC``.
        base_url: takes the place of Yahoo's hosts.
        requests_per_minute: that this process sends at most, to all its Symbols together.
    """

    kind: Literal["yahoo"] = "yahoo"
    step: Literal["1d"] = "1d"
    adjusted: Literal["splits"] = "splits"
    tickers: dict[str, str] = Field(default_factory=dict)
    base_url: Annotated[str, Field(pattern=r"^https?://[^/]+")] | None = None
    requests_per_minute: PositiveInt = 30

    def open(self, context: SourceContext) -> "DownloadedSource":
        """The source; asks nobody yet. ConfigError where the universe names no Symbols."""
        vendor = YahooDays(
            pace_of(f"yahoo {self.base_url}", self.requests_per_minute),
            tickers=self.tickers,
            base_url=self.base_url,
            patience=self.patience,
        )
        return self.source(vendor, context)


class _Refused(SourceError):
    """Yahoo understood the question and says no."""


_SAME_NAMES = {name: name for name in FIELDS}


def _chart(body: bytes) -> dict[str, Any] | None:
    """The one result of an answer; None where Yahoo says that there are no such days."""
    try:
        said = json.loads(body)
    except ValueError:
        text = body.decode(errors="replace")
        raise SourceError(f"yahoo: the answer is not whole JSON, {len(body)} bytes: {shortened(text)}") from None
    chart = _part(said, "chart", dict)
    error = chart.get("error")
    if isinstance(error, dict):
        code, why = str(error.get("code")), str(error.get("description"))
        if why.startswith(_NO_SUCH_DAYS):
            return None
        if code == "Not Found":
            raise SymbolRefused(f"{why}; check the ticker, or map it (tickers)")
        if code in ("Bad Request", "Unprocessable Entity"):
            raise _Refused(f"{code}: {why}")
        raise SourceError(f"yahoo answers {code!r}: {shortened(why)}")
    results = _part(chart, "result", list)
    if len(results) != 1 or not isinstance(results[0], dict):
        raise SourceError(f"yahoo: the answer has {len(results)} results; it must have one")
    return results[0]


def _listed(chart: Mapping[str, Any], zone: ZoneInfo) -> tuple[list[dict[str, Any]], pl.Series]:
    """Bars, and midnight UTC of each one's date on the exchange's clock.

    A day's last row comes twice while Yahoo has not settled it: with its open for a time, and then with the time of the
    last trade. The second is the newer one and takes the place of the first.
    """
    times = chart.get("timestamp", [])
    quotes = _part(_part(chart, "indicators", dict), "quote", list)
    columns = quotes[0] if quotes and isinstance(quotes[0], dict) else {}
    if not times and not any(columns.values()):
        return [], pl.Series([], dtype=pl.Datetime("us", "UTC"))
    figures = {name: _part(columns, name.lower(), list) for name in FIELDS}
    for name, values in figures.items():
        if len(values) != len(times):
            raise SourceError(
                f"yahoo: {len(values)} values of {name.lower()} for {len(times)} times; it must be as many"
            )
    if not all(type(at) is int for at in times):
        raise SourceError("yahoo: a timestamp is no whole number; it must be seconds since 1970")
    listed = [dict(zip(figures, row, strict=True)) for row in zip(*figures.values(), strict=True)]
    stamps = pl.from_epoch(pl.Series(times, dtype=pl.Int64), "s").dt.replace_time_zone("UTC")
    days = stamps.dt.convert_time_zone(zone.key).dt.date()
    if len(days) > 1 and days[-1] == days[-2]:
        del listed[-2]
        days = days.gather([*range(len(days) - 2), len(days) - 1])
    return listed, days.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _splits(body: bytes, span: Span) -> list[str]:
    """Splits that an answer tells of within ``span``, e.g. ``4:1 on 2020-08-31``."""
    events = (_chart(body) or {}).get("events")
    listed = events.get("splits") if isinstance(events, dict) else None
    found = []
    for split in listed.values() if isinstance(listed, dict) else ():
        at = split.get("date") if isinstance(split, dict) else None
        if type(at) is int and span.start.timestamp() <= at < span.end.timestamp():
            found.append(f"{split.get('splitRatio')} on {dt.datetime.fromtimestamp(at, dt.UTC):%Y-%m-%d}")
    return found


def _zone(meta: Mapping[str, Any]) -> ZoneInfo:
    try:
        return ZoneInfo(_part(meta, "exchangeTimezoneName", str))
    except (ZoneInfoNotFoundError, ValueError):
        raise SourceError(
            f"yahoo: exchangeTimezoneName is {meta['exchangeTimezoneName']!r}; it must be a zone like America/New_York"
        ) from None


def _part(said: Any, name: str, kind: type) -> Any:
    value = said.get(name) if isinstance(said, dict) else None
    if not isinstance(value, kind):
        raise SourceError(f"yahoo: {name} is {shortened(repr(value))}; it must be a {kind.__name__}")
    return value


def _shortest(price: pl.Expr) -> pl.Expr:
    """The shortest decimal that a 32-bit float stands for, where the figure is one."""
    narrow = price.cast(pl.Float32)
    return pl.when(narrow.cast(pl.Float64) == price).then(narrow.cast(pl.String).cast(pl.Float64)).otherwise(price)
