"""Polygon/Massive aggregates on loopback, as https://massive.com/docs/rest/stocks/aggregates/custom-bars describes them."""

import base64
import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from harness.vendor_bars import Bar
from harness.vendor_server import Asked, Reply, VendorServer, vendor_server

KEY = "pCanaryKeyOfPolygon_77aZ"

_NEW_YORK = ZoneInfo("America/New_York")


@dataclass
class Polygon:
    """What it has, by ticker. ``overlap`` bars at the end of a page come again at the beginning of the next."""

    minutes: dict[str, list[Bar]] = field(default_factory=dict)
    days: dict[str, list[Bar]] = field(default_factory=dict)
    most_per_page: int = 50_000
    overlap: int = 0
    public_host: str = "https://api.polygon.io"

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return _json(401, {"status": "ERROR", "request_id": "1", "error": "Unknown API Key"})
        _, version, aggs, word, ticker, range_, multiplier, timespan, first, last = asked.path.split("/")
        assert (version, aggs, word, range_, multiplier) == ("v2", "aggs", "ticker", "range", "1"), asked
        query = dict(asked.query)
        if "cursor" in query:
            text = base64.urlsafe_b64decode(query["cursor"]).decode()
            query |= dict(part.split("=") for part in text.split("&"))
        assert query["adjusted"] == "false" and query["sort"] == "asc", asked
        has = self.minutes if timespan == "minute" else self.days
        bars = [bar for bar in has.get(ticker, []) if _bound(first, 0) <= _start(bar, timespan) <= _bound(last, 1)]
        size = min(int(query["limit"]), self.most_per_page)
        page, rest = bars[:size], bars[size:]
        said: dict[str, Any] = {
            "ticker": ticker,
            "queryCount": len(page),
            "resultsCount": len(page),
            "adjusted": False,
            "status": "OK",
            "request_id": "6a7e466379af0a71039d60cc78e72282",
        }
        if page:
            said["results"] = [_result(bar, timespan) for bar in page]
            said["count"] = len(page)
        if rest:
            following = bars[size - self.overlap]
            cursor = base64.urlsafe_b64encode(f"limit={size}&sort=asc&adjusted=false".encode()).decode()
            start = _start(following, timespan)
            said["next_url"] = (
                f"{self.public_host}/v2/aggs/ticker/{ticker}/range/1/{timespan}/{start}/{last}?cursor={cursor}"
            )
        return _json(200, said)


def _start(bar: Bar, timespan: str) -> int:
    """Milliseconds; days begin at New York's midnight."""
    start = bar.start if timespan == "minute" else dt.datetime.combine(bar.start.date(), dt.time(), _NEW_YORK)
    return int(start.timestamp() * 1000)


def _bound(given: str, days: int) -> int:
    if given.isdigit():
        return int(given)
    day = dt.date.fromisoformat(given) + dt.timedelta(days=days)
    return int(dt.datetime.combine(day, dt.time(), _NEW_YORK).timestamp() * 1000) - days


def _result(bar: Bar, timespan: str) -> dict[str, Any]:
    return {
        "v": bar.volume,
        "vw": bar.close,
        "o": bar.open,
        "c": bar.close,
        "h": bar.high,
        "l": bar.low,
        "t": _start(bar, timespan),
        "n": 3,
    }


def _json(status: int, said: dict[str, Any]) -> Reply:
    return Reply(status, json.dumps(said).encode())


@contextmanager
def polygon_server(has: Polygon) -> Iterator[VendorServer]:
    with vendor_server(has.answer) as server:
        yield server
