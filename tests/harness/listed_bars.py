"""A vendor of a test's own bars: JSON lists of [minute, price, volume], so many to a page."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from resources.sources.downloads.vendor import Page, SymbolRefused
from resources.sources.errors import SourceError
from trading.contracts import INSTANT, PRICES
from trading.ports.sources import SourceDown, Step

Row = tuple[dt.datetime, float | None, int | None]


@dataclass
class ListedBars:
    """Gives ``bars`` by Symbol; ``asked`` are the spans and cursors it was asked for. It is down after ``pages_left``
    pages and does not take the cursors in ``expired``.
    """

    bars: dict[str, list[Row]]
    step: Step = "1m"
    page_size: int = 1000
    longest_span: dt.timedelta = dt.timedelta(days=60)
    pages_left: int | None = None
    asked: list[tuple[str, dt.datetime, dt.datetime, str | None]] = field(default_factory=list)
    expired: set[str] = field(default_factory=set)
    ticker: str = "itself"
    name: str = "listed"

    def asked_as(self, symbol: str) -> str:
        return f"{symbol} as {self.ticker}"

    def pages(self, symbol: str, start: dt.datetime, end: dt.datetime, cursor: str | None = None) -> Iterator[Page]:
        self.asked.append((symbol, start, end, cursor))
        if symbol not in self.bars:
            raise SymbolRefused(f"listed has no Symbol {symbol!r}")
        if cursor in self.expired:
            raise SourceError(f"listed does not take the cursor {cursor!r}")
        rows = [row for row in self.bars[symbol] if start <= row[0] < end]
        first = int(cursor or 0)
        while True:
            if self.pages_left is not None:
                if self.pages_left == 0:
                    raise SourceDown("listed does not answer")
                self.pages_left -= 1
            part = rows[first : first + self.page_size]
            body = json.dumps([[stamp.isoformat(), price, volume] for stamp, price, volume in part]).encode()
            request = f"{symbol} from {first}"
            first += self.page_size
            more = first < len(rows)
            yield Page(body, request, str(first) if more else None)
            if not more:
                return

    def rows(self, symbol: str, body: bytes) -> pl.DataFrame:
        listed = json.loads(body)
        prices = [row[1] for row in listed]
        if any(isinstance(price, str) for price in prices):
            raise SourceError("a price must be a number")
        return pl.DataFrame(
            {
                "Timestamp": [dt.datetime.fromisoformat(row[0]) for row in listed],
                **dict.fromkeys(PRICES, prices),
                "Volume": [row[2] for row in listed],
            },
            schema={"Timestamp": INSTANT, **dict.fromkeys(PRICES, pl.Float64), "Volume": pl.Int64},
        )
