"""Coinbase Exchange's public candles on loopback, as https://docs.cdp.coinbase.com/exchange describes them."""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from harness.vendor_bars import Bar
from harness.vendor_server import Asked, Reply, VendorServer, vendor_server

_MOST = 300


@contextmanager
def coinbase_server(product: str, bars: Sequence[Bar]) -> Iterator[VendorServer]:
    """One product, e.g. ``BTC-USD``: plain numbers, seconds, low before high, newest first, 300 at most."""
    base, quote = product.split("-")

    def answer(asked: Asked) -> Reply:
        if asked.path == "/products":
            return _json([_product(product, base, quote)])
        if asked.path == "/currencies":
            return _json([])
        if asked.path != f"/products/{product}/candles":
            return Reply(404, b'{"message":"NotFound"}')
        assert asked.query["granularity"] == "60", asked
        first, last = (dt.datetime.fromisoformat(asked.query[name]) for name in ("start", "end"))
        if (last - first) / dt.timedelta(minutes=1) > _MOST:
            return Reply(400, b'{"message":"granularity too small for the requested time range."}')
        within = [bar for bar in bars if first <= bar.start <= last]
        return _json([[int(b.start.timestamp()), b.low, b.high, b.open, b.close, b.volume] for b in reversed(within)])

    with vendor_server(answer) as server:
        yield server


def _json(said: object) -> Reply:
    return Reply(body=json.dumps(said).encode(), content_type="application/json; charset=utf-8")


def _product(product: str, base: str, quote: str) -> dict[str, object]:
    return {
        "id": product,
        "base_currency": base,
        "quote_currency": quote,
        "quote_increment": "0.01",
        "base_increment": "0.00000001",
        "display_name": product,
        "min_market_funds": "1",
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": "online",
        "status_message": "",
        "trading_disabled": False,
        "auction_mode": False,
    }
