"""Compiling ahead of the first bar."""

import datetime as dt

import polars as pl

from trading.replay.book import Book
from trading.replay.config import ReplayConfig
from trading.replay.contracts import BARS
from trading.replay.setups import ArmedSetup


def make_ready() -> None:
    """Compile what a :class:`Book` needs, where it is not on the disk yet: that takes some fifteen seconds, which whoever
    waits for an order must not wait for.
    """
    day = dt.date(2024, 3, 1)
    book = Book(ReplayConfig())
    for number, open_ in enumerate((100.0, 100.0, 102.0)):
        at = dt.datetime(2024, 3, 1, 14, 30 + number, tzinfo=dt.UTC)
        row = {
            "Symbol": "A", "Timestamp": at, "Open": open_, "High": open_ + 1, "Low": open_ - 1, "Close": open_, "Volume": 1,
            "session": day, "session_end": number == 2,
        }  # fmt: skip
        book.advance(pl.DataFrame([row], schema={**BARS, "session_end": pl.Boolean}))
        if number == 0:
            book.arm(ArmedSetup("a", "A", at, day, long_entry=100.5, sl_long=90.0, tp_long=101.5, qty_long=1.0))
