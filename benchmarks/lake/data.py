"""The work: partitions of M5 bars, as frames and as the Parquet bytes the platform writes of them."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl

from resources.lake.layout import encode_frame
from trading.bars.resample import RESAMPLED_SCHEMA

BARS_PER_SESSION = 78
"""5-minute bars of a regular session."""

SYMBOLS_FOR_A_MEGABYTE = 960
SYMBOLS_FOR_30_KB = 22

_FIRST_SESSION = dt.date(2000, 1, 1)
_OPEN = dt.timedelta(hours=14, minutes=30)


@dataclass(frozen=True, slots=True)
class Partition:
    """One session of a dataset: its frame, and that frame as Parquet."""

    session: dt.date
    frame: pl.DataFrame
    parquet: bytes

    @property
    def directory(self) -> str:
        return f"session={self.session.isoformat()}"


def bars(session: dt.date, symbols: int, seed: int) -> pl.DataFrame:
    """Random walks on a tick of 0.01, in the schema of ``m5_bars``."""
    random = np.random.default_rng(seed)
    shape = (symbols, BARS_PER_SESSION)
    start = random.uniform(10, 400, symbols)[:, None]
    close = np.round(start * np.exp(np.cumsum(random.normal(0, 0.001, shape), axis=1)), 2).ravel()
    open_ = np.round(close + random.integers(-9, 10, close.size) / 100, 2)
    first = dt.datetime.combine(session, dt.time(), dt.UTC) + _OPEN
    stamps = pl.datetime_range(
        first, first + dt.timedelta(minutes=5 * (BARS_PER_SESSION - 1)), "5m", time_unit="us", eager=True
    )
    return pl.DataFrame(
        {
            "Symbol": np.repeat([f"S{number:04d}" for number in range(symbols)], BARS_PER_SESSION),
            "Timestamp": pl.concat([stamps] * symbols),
            "Open": open_,
            "High": np.round(np.maximum(open_, close) + random.integers(0, 9, close.size) / 100, 2),
            "Low": np.round(np.minimum(open_, close) - random.integers(0, 9, close.size) / 100, 2),
            "Close": close,
            "Volume": random.integers(100, 200_000, close.size),
            "session": pl.repeat(session, close.size, dtype=pl.Date, eager=True),
            "minutes": np.full(close.size, 5, dtype=np.int32),
            "complete": np.ones(close.size, dtype=bool),
        },
        schema=RESAMPLED_SCHEMA,
    )


def partitions(number: int, symbols: int, seed: int) -> list[Partition]:
    """``number`` sessions, all of different content; another ``seed`` gives other content for the same sessions.

    A store that has some content already need not write it again, so nothing that is timed may come twice.
    """
    made = []
    for index in range(number):
        session = _FIRST_SESSION + dt.timedelta(days=index)
        frame = bars(session, symbols, seed=1_000_000 * seed + index)
        made.append(Partition(session, frame, encode_frame(frame)))
    return made


def tiny_partitions(number: int) -> list[Partition]:
    """``number`` sessions of one bar each: for what goes by their number, not by their size."""
    bar = bars(_FIRST_SESSION, 1, seed=0).head(1)
    made = []
    for index in range(number):
        session = _FIRST_SESSION + dt.timedelta(days=index)
        frame = bar.with_columns(session=pl.lit(session))
        made.append(Partition(session, frame, encode_frame(frame)))
    return made


def size_text(size: float) -> str:
    """``1.0 MB``, ``28 KB``."""
    return f"{size / 1e6:.1f} MB" if size > 5e5 else f"{size / 1e3:.0f} KB"
