"""Polygon, which is called Massive now, over REST: aggregates of a minute and of a day, not adjusted for splits.

Described at https://massive.com/docs/rest/stocks/aggregates/custom-bars. A minute without an eligible trade has no bar.
"""

import datetime as dt
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from zoneinfo import ZoneInfo, available_timezones

import polars as pl
from pydantic import Field, field_validator

from resources.sources.context import SourceContext
from resources.sources.downloads.spans import Span
from resources.sources.downloads.vendor import Page
from resources.sources.errors import SourceError
from resources.sources.vendors.config import Days, VendorConfig
from resources.sources.vendors.http import JsonRequests
from resources.sources.vendors.json_bars import NullVolume, bars_of, whole_numbers
from resources.sources.vendors.keyed_config import PerMinute, Variable
from trading.ports.sources import Step

if TYPE_CHECKING:
    from resources.sources.downloads.source import DownloadedSource

_FIELDS = {"Open": "o", "High": "h", "Low": "l", "Close": "c", "Volume": "v"}
_PER_PAGE = 50_000  # the most that one answer has
_MILLISECOND = dt.timedelta(milliseconds=1)
_GOOD = ("OK", "DELAYED")


class PolygonConfig(VendorConfig):
    """Bars of Polygon/Massive; see :class:`VendorConfig` for what all vendors have in common.

    Args:
        base_url: of the API; ``https://api.massive.com`` is the same under the new name.
        requests_per_minute: 5 is what a key without a paid plan may; raise it for others.
        volume_unit: what one unit of our Volume is of theirs; below 1 where theirs are fractional (crypto).
        zone: whose midnight the days begin at: New York's for stocks, UTC for crypto.
    """

    kind: Literal["polygon"]
    base_url: str = "https://api.polygon.io"
    key_env: Variable = "POLYGON_API_KEY"
    requests_per_minute: PerMinute = 5
    longest_span_days: Days = 60
    volume_unit: float = Field(1.0, gt=0)
    zone: str = "America/New_York"

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError(f"{zone!r} is no time zone; it must be one like America/New_York or UTC")
        return zone

    def open(self, context: SourceContext) -> "DownloadedSource":
        vendor = PolygonBars(
            self.requests(context),
            step=self.step,
            longest_span=self.longest_span,
            tickers=self.tickers,
            volume_unit=self.volume_unit,
            null_volume=self.null_volume,
            zone=self.zone,
        )
        return self.source(vendor, context)


class PolygonBars:
    """Implements :class:`resources.sources.downloads.vendor.Vendor`; a cursor is the path and query of the next page."""

    name = "polygon"

    def __init__(
        self,
        requests: JsonRequests,
        *,
        step: Step,
        longest_span: dt.timedelta,
        tickers: dict[str, str] | None = None,
        volume_unit: float = 1.0,
        null_volume: NullVolume = "refuse",
        zone: str = "America/New_York",
    ) -> None:
        self.step = step
        self.longest_span = longest_span
        self._requests = requests
        self._tickers = dict(tickers or {})
        self._volume_unit = volume_unit
        self._null_volume = null_volume
        self._zone = ZoneInfo(zone)

    def asked_as(self, symbol: str) -> str:
        ticker = self._tickers.get(symbol, symbol)
        unit = f"volume in {self._volume_unit:g}, a missing one: {self._null_volume}"
        return f"{ticker}, {unit}, days of {self._zone.key}" if self.step == "1d" else f"{ticker}, {unit}"

    def pages(self, symbol: str, start: dt.datetime, end: dt.datetime, cursor: str | None = None) -> Iterator[Page]:
        ticker = self._tickers.get(symbol, symbol)
        asked = f"{ticker} {Span(start, end)}"
        following: str | None = cursor or self._first(ticker, start, end)
        while following is not None:
            body, said = self._requests.get(following, asked=asked, wrong=_wrong)
            if said.get("adjusted"):
                raise SourceError(
                    f"polygon: {asked}: prices are adjusted for splits though adjusted=false was asked for"
                )
            page = Page(body, self._requests.shown(following), _path_and_query(said.get("next_url")))
            yield page
            following = page.cursor

    def _first(self, ticker: str, start: dt.datetime, end: dt.datetime) -> str:
        last = end - _MILLISECOND  # both bounds are theirs included
        if self.step == "1m":
            span = f"minute/{_milliseconds(start)}/{_milliseconds(last)}"
        else:
            span = f"day/{start:%Y-%m-%d}/{last:%Y-%m-%d}"
        query = urlencode({"adjusted": "false", "sort": "asc", "limit": _PER_PAGE})
        return f"/v2/aggs/ticker/{quote(ticker, safe=':')}/range/1/{span}?{query}"

    def rows(self, symbol: str, body: bytes) -> pl.DataFrame:  # noqa: ARG002 - the ticker is theirs
        listed = json.loads(body).get("results") or []
        starts = pl.from_epoch(whole_numbers(listed, "t"), "ms").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        if self.step == "1d":
            days = starts.dt.convert_time_zone(self._zone.key).dt.date()
            starts = days.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        return bars_of(listed, starts, _FIELDS, volume_unit=self._volume_unit, null_volume=self._null_volume)


def _wrong(said: Any) -> str | None:
    if not isinstance(said, dict) or said.get("status") not in _GOOD:
        return f"it answers with {str(said)[:200]!r} in place of bars with status OK"
    listed, counted = said.get("results") or [], said.get("resultsCount", 0)
    if not isinstance(listed, list) or len(listed) != counted:
        return f"the answer says {counted} bars and holds {len(listed)}"
    return None


def _path_and_query(url: Any) -> str | None:
    """Of the page after this one, to be asked for where this one was: its host is not where the key has to go."""
    if not url:
        return None
    parts = urlsplit(str(url))
    query = [(name, value) for name, value in parse_qsl(parts.query) if name.lower() != "apikey"]
    return f"{parts.path}?{urlencode(query)}"


def _milliseconds(instant: dt.datetime) -> int:
    return int(instant.timestamp() * 1000)
