"""Frames for the tests of strategies: answers as CSV, and random bars on real sessions."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl

from trading.contracts import BAR_COLUMNS
from trading.sessions import get_calendar
from trading.strategies import SIGNAL_COLUMNS

ANSWERS = Path(__file__).parents[3] / "answers" / "strategies"


def _instants(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        pl.col("Timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us").dt.replace_time_zone("UTC")
    )


def answer_bars(name: str) -> pl.DataFrame:
    schema = {**BAR_COLUMNS, "Timestamp": pl.String}
    return _instants(pl.read_csv(ANSWERS / f"{name}_bars.csv", schema_overrides=schema))


def answer_signals(name: str, case: str) -> pl.DataFrame:
    floats = {level: pl.Float64 for level in SIGNAL_COLUMNS if level not in ("Symbol", "Timestamp")}
    frame = pl.read_csv(ANSWERS / f"{name}_signals.csv", schema_overrides=floats)
    return _instants(frame.filter(pl.col("case") == case).drop("case"))


def random_bars(
    symbols: list[str],
    sessions: int,
    *,
    minutes: int | None = 5,
    seed: int = 0,
    step: float = 0.05,
    missing: float = 0.0,
    first: dt.date = dt.date(2024, 2, 20),
) -> pl.DataFrame:
    """A random walk on a grid of ``step``, so coarse that equal prices and inside bars are frequent."""
    random = np.random.default_rng(seed)
    schedule = get_calendar("XNYS").frame(first, first + dt.timedelta(days=2 * sessions + 10)).head(sessions)
    assert schedule.height == sessions
    stamps, days = [], []
    for row in schedule.iter_rows(named=True):
        count = 1 if minutes is None else row["minutes"] // minutes
        stamps += [row["open"] + dt.timedelta(minutes=(minutes or 0) * i) for i in range(count)]
        days += [row["session"]] * count
    parts = []
    for symbol in symbols:
        n = len(stamps)
        close = 2000 + np.cumsum(random.integers(-3, 4, n))
        opened = np.concatenate([[2000], close[:-1]]) + random.integers(-1, 2, n)
        high = np.maximum(opened, close) + random.integers(0, 3, n)
        low = np.minimum(opened, close) - random.integers(0, 3, n)
        grid = [round(i * step, 6) for i in range(4000)]
        prices = {
            name: [grid[i] for i in values]
            for name, values in (("Open", opened), ("High", high), ("Low", low), ("Close", close))
        }
        columns = {
            "Symbol": [symbol] * n,
            "Timestamp": stamps,
            **prices,
            "Volume": [100] * n,
            "session": days,
        }
        frame = pl.DataFrame(columns, schema=dict(BAR_COLUMNS))
        parts.append(frame.filter(pl.Series(random.random(n) >= missing)))
    return pl.concat(parts).sort("Symbol", "Timestamp")
