"""Yahoo Finance on loopback: the chart endpoint as browsers and yfinance know it, its cookie and its crumb."""

import datetime as dt
import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from harness.vendor_bars import Bar
from harness.vendor_server import Asked, Reply, VendorServer, vendor_server
from trading.sessions import get_calendar

CRUMB = "aB3canary.crumb"
_COOKIE = "A3=d=AQABBcanary"


@dataclass
class Listing:
    """One ticker; ``bars`` start at midnight UTC of their session's date. ``live`` is appended, whatever was asked."""

    bars: list[Bar]
    calendar: str = "XNYS"
    kind: str = "ETF"
    currency: str = "USD"
    splits: Sequence[tuple[dt.date, int, int]] = ()
    live: tuple[dt.datetime, Bar] | None = None


@dataclass
class Yahoo:
    """What it has, by ticker. A test may change it between requests. ``crumb`` None: it gives none (status 429)."""

    listings: dict[str, Listing] = field(default_factory=dict)
    crumb: str | None = CRUMB

    def answer(self, asked: Asked) -> Reply:
        match asked.path.split("/"):
            case ["", "v1", "test", "getcrumb"]:
                if self.crumb is None:
                    return Reply(429, b"Too Many Requests", content_type="text/plain")
                return Reply(body=self.crumb.encode(), content_type="text/plain;charset=utf-8")
            case ["", "v8", "finance", "chart", ticker]:
                return self._chart(unquote(ticker), asked)
            case ["", ""]:
                return Reply(404, b"", {"Set-Cookie": f"{_COOKIE}; Path=/; HttpOnly"}, "text/html")
        return Reply(404, b"<html><body>Not Found</body></html>", content_type="text/html")

    def _chart(self, ticker: str, asked: Asked) -> Reply:
        assert asked.query["interval"] == "1d", asked
        given = asked.query.get("crumb")
        if given is not None and given != self.crumb:
            return failed(401, "Unauthorized", "Invalid Crumb")
        listing = self.listings.get(ticker)
        if listing is None:
            return failed(404, "Not Found", "No data found, symbol may be delisted")
        first, last = int(asked.query["period1"]), int(asked.query["period2"])
        exchange = get_calendar(listing.calendar)
        times = [int(exchange.open(bar.start.date()).timestamp()) for bar in listing.bars]
        if not times or last <= times[0]:
            return failed(400, "Bad Request", f"Data doesn't exist for startDate = {first}, endDate = {last}")
        rows = [(at, bar) for at, bar in zip(times, listing.bars, strict=True) if first <= at < last]
        if listing.live is not None:
            rows.append((int(listing.live[0].timestamp()), listing.live[1]))
        return Reply(body=json.dumps(_result(ticker, listing, str(exchange.timezone), rows)).encode())


def failed(status: int, code: str, why: str) -> Reply:
    said = {"chart": {"result": None, "error": {"code": code, "description": why}}}
    return Reply(status, json.dumps(said).encode())


def too_many() -> Reply:
    return Reply(429, b"Edge: Too Many Requests", {"Retry-After": "9"}, "text/html")


def _result(ticker: str, listing: Listing, zone: str, rows: list[tuple[int, Bar]]) -> dict[str, Any]:
    names = ("open", "high", "low", "close")
    quote: dict[str, Any] = {name: [_narrow(getattr(bar, name)) for _, bar in rows] for name in names}
    quote["volume"] = [None if bar.volume is None else int(bar.volume) for _, bar in rows]
    result: dict[str, Any] = {
        "meta": {
            "currency": listing.currency,
            "symbol": ticker,
            "exchangeName": "PCX",
            "instrumentType": listing.kind,
            "regularMarketTime": rows[-1][0] if rows else None,
            "gmtoffset": -18000,
            "timezone": "EST",
            "exchangeTimezoneName": zone,
            "priceHint": 2,
            "dataGranularity": "1d",
            "range": "",
            "validRanges": ["1d", "5d", "1mo", "max"],
        },
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": quote["close"]}]},
    }
    if rows:
        result["timestamp"] = [at for at, _ in rows]
    else:
        result["indicators"] = {"quote": [{}], "adjclose": [{}]}
    if listing.splits:
        result["events"] = {
            "splits": {
                str(int(dt.datetime.combine(day, dt.time(14, 30), dt.UTC).timestamp())): {
                    "date": int(dt.datetime.combine(day, dt.time(14, 30), dt.UTC).timestamp()),
                    "numerator": new,
                    "denominator": old,
                    "splitRatio": f"{new}:{old}",
                }
                for day, new, old in listing.splits
            }
        }
    return {"chart": {"result": [result], "error": None}}


def _narrow(price: float | None) -> float | None:
    """Yahoo keeps prices as 32-bit floats and writes them with 64 bits."""
    return None if price is None else float(struct.unpack("f", struct.pack("f", price))[0])


@contextmanager
def yahoo_server(has: Yahoo) -> Iterator[VendorServer]:
    with vendor_server(has.answer) as server:
        yield server
