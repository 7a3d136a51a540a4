"""EODHD over REST: minutes of ``/api/intraday`` and days of ``/api/eod``, prices as they were traded.

Described at https://eodhd.com/financial-apis/intraday-historical-data-api and .../api-for-historical-data-and-volumes.
"""

import datetime as dt
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import polars as pl
from pydantic import Field

from resources.sources.context import SourceContext
from resources.sources.downloads.spans import Span
from resources.sources.downloads.vendor import Page
from resources.sources.errors import SourceError
from resources.sources.vendors.config import Days, VendorConfig
from resources.sources.vendors.http import JsonRequests
from resources.sources.vendors.json_bars import NullVolume, bars_of, present, whole_numbers
from resources.sources.vendors.keyed_config import PerMinute, Variable
from trading.ports.sources import Step

if TYPE_CHECKING:
    from resources.sources.downloads.source import DownloadedSource

_FIELDS = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Volume": "volume"}
_SECOND = dt.timedelta(seconds=1)


class EodhdConfig(VendorConfig):
    """Bars of EODHD; see :class:`VendorConfig` for what all vendors have in common.

    Args:
        exchange: EODHD's code behind the dot of a ticker, ``AAPL.US``.
        longest_span_days: EODHD answers at most 120 days of minutes at once.
    """

    kind: Literal["eodhd"]
    base_url: str = "https://eodhd.com"
    key_env: Variable = "EODHD_API_KEY"
    exchange: str = Field("US", pattern=r"^[A-Za-z0-9]+$")
    requests_per_minute: PerMinute = 900
    longest_span_days: Days = Field(120, le=120)

    def open(self, context: SourceContext) -> "DownloadedSource":
        vendor = EodhdBars(
            self.requests(context, parameter="api_token"),
            step=self.step,
            longest_span=self.longest_span,
            exchange=self.exchange,
            tickers=self.tickers,
            null_volume=self.null_volume,
        )
        return self.source(vendor, context)


class EodhdBars:
    """Implements :class:`resources.sources.downloads.vendor.Vendor`; one answer holds a whole span."""

    name = "eodhd"

    def __init__(
        self,
        requests: JsonRequests,
        *,
        step: Step,
        longest_span: dt.timedelta,
        exchange: str = "US",
        tickers: dict[str, str] | None = None,
        null_volume: NullVolume = "refuse",
    ) -> None:
        self.step = step
        self.longest_span = longest_span
        self._requests = requests
        self._exchange = exchange
        self._tickers = dict(tickers or {})
        self._null_volume = null_volume

    def asked_as(self, symbol: str) -> str:
        return f"{self._ticker(symbol)}, a missing volume: {self._null_volume}"

    def _ticker(self, symbol: str) -> str:
        return self._tickers.get(symbol, f"{symbol}.{self._exchange}")

    def pages(
        self,
        symbol: str,
        start: dt.datetime,
        end: dt.datetime,
        cursor: str | None = None,  # noqa: ARG002 - there is one page
    ) -> Iterator[Page]:
        ticker = self._ticker(symbol)
        last = end - _SECOND  # both bounds are theirs included
        if self.step == "1m":
            path = f"/api/intraday/{quote(ticker)}"
            span = {"interval": "1m", "from": str(int(start.timestamp())), "to": str(int(last.timestamp()))}
        else:
            path = f"/api/eod/{quote(ticker)}"
            span = {"period": "d", "order": "a", "from": f"{start:%Y-%m-%d}", "to": f"{last:%Y-%m-%d}"}
        params = {**span, "fmt": "json"}
        body, _ = self._requests.get(path, params, asked=f"{ticker} {Span(start, end)}", wrong=_wrong)
        yield Page(body, self._requests.shown(path, params))

    def rows(self, symbol: str, body: bytes) -> pl.DataFrame:  # noqa: ARG002 - an answer names none
        listed = json.loads(body)
        timestamps = _minutes(listed) if self.step == "1m" else _days(listed)
        return bars_of(listed, timestamps, _FIELDS, null_volume=self._null_volume)


def _wrong(said: Any) -> str | None:
    return None if isinstance(said, list) else f"it answers with {str(said)[:200]!r} in place of a list of bars"


def _minutes(listed: list[Any]) -> pl.Series:
    for row, bar in enumerate(listed):
        if present(bar, "gmtoffset", row) not in (0, None):
            raise SourceError(
                f"row {row + 1}: gmtoffset is {bar['gmtoffset']!r}; it must be 0, the timestamps being UTC"
            )
    return pl.from_epoch(whole_numbers(listed, "timestamp"), "s").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _days(listed: list[Any]) -> pl.Series:
    days: list[dt.date] = []
    for row, bar in enumerate(listed):
        given = present(bar, "date", row)
        try:
            days.append(dt.date.fromisoformat(given))
        except (TypeError, ValueError):
            raise SourceError(f"row {row + 1}: date is {given!r}; it must be YYYY-MM-DD") from None
    return pl.Series("date", days, dtype=pl.Date).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
