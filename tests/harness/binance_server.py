"""Binance's public spot API on loopback, as https://developers.binance.com/docs/binance-spot-api-docs describes it."""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from harness.vendor_server import Asked, Reply, VendorServer, vendor_server

_MINUTE = dt.timedelta(minutes=1)
_MOST = 1000


@dataclass(frozen=True)
class Kline:
    """One minute; figures as Binance writes them, decimals in quotes."""

    start: dt.datetime
    open: str
    high: str
    low: str
    close: str
    volume: str

    @property
    def listed(self) -> list[Any]:
        start = int(self.start.timestamp()) * 1000
        quote = f"{float(self.volume) * float(self.close):.8f}"
        figures = [self.open, self.high, self.low, self.close, self.volume]
        return [start, *figures, start + 59_999, quote, 42, "0.50000000", "10.00000000", "0"]


def klines(start: dt.datetime, minutes: int, price: float) -> list[Kline]:
    """Minute after minute by a rule, with volumes that no float holds exactly."""
    return list(_made(start, minutes, price))


@cache
def _made(start: dt.datetime, minutes: int, price: float) -> tuple[Kline, ...]:
    made = []
    for n in range(minutes):
        first, last = price + (n % 37) / 100, price + (n % 37) / 100 + ((n % 5) - 2) / 100
        made.append(
            Kline(
                start + n * _MINUTE,
                f"{first:.8f}",
                f"{max(first, last) + 0.03:.8f}",
                f"{min(first, last) - 0.02:.8f}",
                f"{last:.8f}",
                f"{n % 1440}.{(n * 7_654_321) % 10**8:08d}",
            )
        )
    return tuple(made)


@dataclass
class Binance:
    """What it has, by its own id of the market, and ``now``. A test may change it between requests.

    ``most`` are the klines of one answer; ``delisted`` markets are listed with status BREAK.
    """

    klines: dict[str, list[Kline]]
    now: dt.datetime
    most: int = _MOST
    delisted: set[str] = field(default_factory=set)

    def answer(self, asked: Asked) -> Reply:
        match asked.path:
            case "/api/v3/exchangeInfo":
                return Reply(body=json.dumps(self._info()).encode())
            case "/api/v3/klines":
                return self._klines(asked)
        return Reply(404, b"<html><body><h2>404 Not found</h2></body></html>", content_type="text/html")

    def _klines(self, asked: Asked) -> Reply:
        query = asked.query
        if query["symbol"] not in self.klines:
            return _refused(-1121, "Invalid symbol.")
        assert query["interval"] == "1m" and set(query) <= {"symbol", "interval", "startTime", "endTime", "limit"}, (
            query
        )
        first, last = int(query["startTime"]), int(query["endTime"])
        if first > last:
            return _refused(-1100, "Illegal characters found in parameter 'endTime'.")
        limit = min(int(query.get("limit", 500)), self.most)
        listed = [
            kline.listed
            for kline in self.klines[query["symbol"]]
            if first <= int(kline.start.timestamp()) * 1000 <= last and kline.start <= self.now
        ]
        return Reply(body=json.dumps(listed[:limit]).encode(), headers={"x-mbx-used-weight-1m": "2"})

    def _info(self) -> dict[str, Any]:
        return {
            "timezone": "UTC",
            "serverTime": int(self.now.timestamp()) * 1000,
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
            ],
            "exchangeFilters": [],
            "symbols": [self._market(name) for name in self.klines],
        }

    def _market(self, name: str) -> dict[str, Any]:
        quote = next(quote for quote in ("USDT", "BTC") if name.endswith(quote))
        return {
            "symbol": name,
            "status": "BREAK" if name in self.delisted else "TRADING",
            "baseAsset": name.removesuffix(quote),
            "baseAssetPrecision": 8,
            "quoteAsset": quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"],
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.0", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
            ],
            "permissions": [],
            "permissionSets": [["SPOT"]],
        }


def banned(status: int, seconds: int) -> Reply:
    """Too many requests: 429 first, 418 for those who go on nevertheless."""
    body = {"code": -1003, "msg": f"Way too much request weight used; IP banned for {seconds} seconds."}
    return Reply(status, json.dumps(body).encode(), {"Retry-After": str(seconds)})


def _refused(code: int, message: str) -> Reply:
    return Reply(400, json.dumps({"code": code, "msg": message}).encode())


@contextmanager
def binance_server(has: Binance) -> Iterator[VendorServer]:
    with vendor_server(has.answer) as server:
        yield server
