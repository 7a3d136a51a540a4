"""EODHD on loopback, as https://eodhd.com/financial-apis describes it: intraday and end of day, as JSON."""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from harness.vendor_bars import Bar
from harness.vendor_server import Asked, Reply, VendorServer, vendor_server

KEY = "6512canary90eodhd.17773456"

_LONGEST = 120 * 86_400
_TEXT = "text/html; charset=UTF-8"


@dataclass
class Eodhd:
    """What it has, by ticker: ``minutes`` and ``days``. A test may change it between requests."""

    minutes: dict[str, list[Bar]] = field(default_factory=dict)
    days: dict[str, list[Bar]] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Reply:
        if asked.query.get("api_token") != KEY:
            return Reply(401, b"Unauthenticated", content_type=_TEXT)
        _, api, endpoint, ticker = asked.path.split("/")
        assert (api, asked.query["fmt"]) == ("api", "json"), asked
        if endpoint == "intraday":
            return self._intraday(ticker, asked)
        assert endpoint == "eod", asked
        return self._days(ticker, asked)

    def _intraday(self, ticker: str, asked: Asked) -> Reply:
        first, last = int(asked.query["from"]), int(asked.query["to"])
        assert asked.query["interval"] == "1m" and last - first <= _LONGEST, asked
        if ticker not in self.minutes:
            return Reply(404, b"Ticker Not Found.", content_type=_TEXT)
        listed = [
            {
                "timestamp": int(bar.start.timestamp()),
                "gmtoffset": 0,
                "datetime": f"{bar.start:%Y-%m-%d %H:%M:%S}",
                "open": bar.open,
                "high": bar.high,
                "low": bar.low,
                "close": bar.close,
                "volume": bar.volume,
            }
            for bar in self.minutes[ticker]
            if first <= bar.start.timestamp() <= last
        ]
        return Reply(body=json.dumps(listed).encode())

    def _days(self, ticker: str, asked: Asked) -> Reply:
        first, last = (dt.date.fromisoformat(asked.query[name]) for name in ("from", "to"))
        assert asked.query["period"] == "d", asked
        if ticker not in self.days:
            return Reply(404, b"Ticker Not Found.", content_type=_TEXT)
        listed = [
            {
                "date": f"{bar.start:%Y-%m-%d}",
                "open": bar.open,
                "high": bar.high,
                "low": bar.low,
                "close": bar.close,
                "adjusted_close": None if bar.close is None else round(bar.close / 4, 4),
                "volume": bar.volume,
            }
            for bar in self.days[ticker]
            if first <= bar.start.date() <= last
        ]
        return Reply(body=json.dumps(listed).encode())


@contextmanager
def eodhd_server(has: Eodhd) -> Iterator[VendorServer]:
    with vendor_server(has.answer) as server:
        yield server
