"""Synthetic bars of five minutes, inside-bar brackets on them, and the sets of a sweep, as Arrow files."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl

from trading.replay import ReplayConfig
from trading.strategies import get_strategy

BARS_A_SESSION = 78
CONFIG = ReplayConfig.model_validate(
    {
        "initial_cash": 10_000_000.0,
        "costs": {"fees_bps": 0.5, "slippage_bps": 0.5},
        "sizing": {"mode": "risk", "risk_pct": 0.02, "max_pos_pct": 1.0},
    }
)
_FIVE_MINUTES = 300_000_000
_OPEN = 52_200_000_000  # 14:30 UTC, microseconds
_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the works are, and how often each way has its turn.

    ``few`` sessions of one Symbol are what the event-driven peers do; the sweep is over one Symbol.
    """

    symbols: int
    sessions: int
    few: int
    sets: int
    rounds: int


FULL = Sizes(symbols=20, sessions=2520, few=250, sets=500, rounds=3)
QUICK = Sizes(symbols=3, sessions=20, few=10, sets=8, rounds=1)


@dataclass(frozen=True, slots=True)
class Work:
    """One work: its bars and signals, as files in ``directory``."""

    directory: Path

    def bars(self) -> pl.DataFrame:
        return pl.read_ipc(self.directory / "bars.arrow").rechunk()  # in memory, as arrays are

    def signals(self) -> pl.DataFrame:
        return pl.read_ipc(self.directory / "signals.arrow").rechunk()


def make(directory: Path, sizes: Sizes, names: Sequence[str], say: Callable[[str], None]) -> dict[str, Work]:
    """Write the works of these ``names``: ``brackets``, ``slice`` (few sessions of its first Symbol), ``sweep``."""
    say(f"writing {sizes.symbols} Symbols x {sizes.sessions} sessions, and {sizes.sets} sets")
    bars = _bars(sizes)
    first = bars.filter(pl.col("Symbol") == bars["Symbol"][0])
    few = first.head(sizes.few * BARS_A_SESSION)
    making: dict[str, Callable[[], tuple[pl.DataFrame, pl.DataFrame]]] = {
        "brackets": lambda: (bars, _brackets(bars, 2.0, 0.0, 1)),
        "slice": lambda: (few, _brackets(few, 2.0, 0.0, 1)),
        "sweep": lambda: (first, pl.concat(_sets(first, sizes.sets))),
    }
    for name in names:
        some, its = making[name]()
        (directory / name).mkdir(parents=True)
        for file, frame in (("bars", some), ("signals", its)):
            # oldest: also nautilus_trader's environment reads it
            frame.write_ipc(directory / name / f"{file}.arrow", compat_level=pl.CompatLevel.oldest())
    return {name: Work(directory / name) for name in names}


def _bars(sizes: Sizes) -> pl.DataFrame:
    """Random walks in whole cents; in quiet stretches one bar lies inside another, as in a market."""
    rng = np.random.Generator(np.random.PCG64(7))
    day = np.datetime64(dt.date(2013, 1, 2))
    days = np.busday_offset(day, np.arange(sizes.sessions), roll="forward")
    stamps = (days.astype("datetime64[D]").astype(np.int64) * _DAY + _OPEN)[:, None] + np.arange(
        BARS_A_SESSION
    ) * _FIVE_MINUTES
    n = stamps.size
    parts = []
    for number in range(sizes.symbols):
        heat = np.exp(0.6 * rng.standard_normal(n)) * 0.0006
        close = (40.0 + 5.0 * number) * np.exp(np.cumsum(heat * rng.standard_normal(n)))
        opened = np.concatenate([close[:1], close[:-1]])
        reach = np.abs(rng.standard_normal((2, n))) * heat * close
        opened, close = np.round(opened, 2), np.round(close, 2)
        parts.append(
            pl.DataFrame(
                {
                    "Symbol": pl.repeat(f"SYN{number:02d}", n, eager=True),
                    "Timestamp": pl.Series(stamps.ravel()).cast(pl.Datetime("us", "UTC")),
                    "Open": opened,
                    "High": np.round(np.maximum(opened, close) + reach[0], 2),
                    "Low": np.round(np.minimum(opened, close) - reach[1], 2),
                    "Close": close,
                    "Volume": rng.integers(100, 10_000, n),
                    "session": pl.Series(np.repeat(days.astype("datetime64[D]"), BARS_A_SESSION)).cast(pl.Date),
                }
            )
        )
    return pl.concat(parts, rechunk=True)


def _brackets(bars: pl.DataFrame, risk_reward: float, least: float, setups: int) -> pl.DataFrame:
    """The product's own inside bars, each a long and a short entry of which one fill cancels the other."""
    params = {"risk_reward": risk_reward, "min_mother_atr": least, "max_setups_per_window": setups}
    made = get_strategy("insidebar_intraday").signals(bars, params)
    columns = ["Symbol", "Timestamp", "long_entry", "short_entry", "sl_long", "sl_short", "tp_long", "tp_short"]
    return made.select(columns)


def _sets(bars: pl.DataFrame, count: int) -> list[pl.DataFrame]:
    """Signals of ``count`` parameter sets, with their number as ``set``."""
    grid = product((1, 2), np.linspace(0.0, 1.5, 10).tolist(), np.linspace(0.6, 3.0, 25).tolist())
    return [
        _brackets(bars, reward, least, setups).with_columns(pl.lit(number, pl.Int32).alias("set"))
        for number, (setups, least, reward) in zip(range(count), grid, strict=False)
    ]
