"""A synthetic market on the disk: a vendor's package of one file per Symbol, and the lake's files of one session each."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from resources.lake.layout import encode_frame
from resources.sources.synthetic_package import write_package
from trading.bars import assemble_m1
from trading.synthetic import SyntheticMarket

_SESSIONS_AT_ONCE = 21  # bounds the memory: a package lies by Symbol, the lake by session


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the market is, and how often each way of resampling has its turn."""

    symbols: int
    sessions: int
    rounds: int


FULL = Sizes(symbols=500, sessions=252, rounds=3)
QUICK = Sizes(symbols=12, sessions=4, rounds=1)


@dataclass(frozen=True, slots=True)
class Market:
    """Where it lies.

    Attributes:
        package: ``SYMBOL.parquet`` of all sessions, extended hours and duplicates included.
        m1: ``session=.../data.parquet`` of all Symbols, as the lake has ``m1_bars``.
    """

    package: Path
    m1: Path

    def files(self) -> list[Path]:
        return sorted(self.m1.glob("*/data.parquet"))


def make(directory: Path, sizes: Sizes, say: Callable[[str], None]) -> Market:
    """Write both; what a directory of an earlier run holds already is used again."""
    found = Market(directory / "package", directory / "m1_bars")
    market = SyntheticMarket(7, symbols=sizes.symbols, sessions=sizes.sessions)
    if len(list(found.package.glob("*.parquet"))) != sizes.symbols:
        say(f"writing a package of {sizes.symbols} Symbols x {sizes.sessions} sessions, about {sizes.symbols // 10} s")
        write_package(found.package, market)
    if len(found.files()) != sizes.sessions:
        for done, (session, frame) in enumerate(_sessions(found.package, market), start=1):
            target = found.m1 / f"session={session}" / "data.parquet"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(encode_frame(frame))
            if done % _SESSIONS_AT_ONCE == 0:
                say(f"writing its minutes by session: {done} of {sizes.sessions}")
    return found


def _sessions(package: Path, market: SyntheticMarket) -> Iterator[tuple[dt.date, pl.DataFrame]]:
    """The assembled minutes of each session."""
    for begin in range(0, len(market.sessions), _SESSIONS_AT_ONCE):
        days = market.sessions[begin : begin + _SESSIONS_AT_ONCE]
        first, last = market.calendar.open(days[0]), market.calendar.close(days[-1])
        parts = [
            pl.scan_parquet(package / f"{symbol}.parquet")
            .filter(pl.col("Timestamp").is_between(first, last, closed="left"))
            .select(pl.lit(symbol).alias("Symbol"), pl.all())
            .collect()
            for symbol in market.symbols
        ]
        bars = assemble_m1(parts, market.calendar.name).bars
        for (session,), frame in bars.group_by("session", maintain_order=True):
            assert isinstance(session, dt.date)
            yield session, frame
