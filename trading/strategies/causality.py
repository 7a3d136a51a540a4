"""Does a strategy look ahead? Asked by experiment: hide the future, then forge it, and see whether the
past changes.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from trading.contracts import PRICES
from trading.errors import ConfigError
from trading.strategies.api import Instruments, Strategy
from trading.strategies.params import Params

Experiment = Literal["repetition", "truncation", "perturbation"]

MAX_BARS = 60_000
_NOISE = 0.05  # standard deviation of the forged log prices
_SHIFT = 0.4  # by which all of them move together, up at one cut and down at the next
_DROPPED = 0.1  # share of the forged bars that is left out


@dataclass(frozen=True)
class CausalityBreach:
    """One signal that depended on what came after it.

    Attributes:
        experiment: ``truncation`` (bars after the cut hidden), ``perturbation`` (forged) or ``repetition``
            (the same bars twice gave different signals).
        cut: last Timestamp whose bars were left as they are.
        symbol, timestamp: of the signal.
        expected, found: its row over all bars and in the experiment; None where there is none.
    """

    experiment: Experiment
    cut: dt.datetime
    symbol: str
    timestamp: dt.datetime
    expected: Mapping[str, Any] | None
    found: Mapping[str, Any] | None

    def __str__(self) -> str:
        return (
            f"{self.experiment} at {self.cut:%Y-%m-%d %H:%M} UTC: "
            f"signal of {self.symbol} {self.timestamp:%Y-%m-%d %H:%M} is {_shown(self.found)}, "
            f"over all bars {_shown(self.expected)}"
        )


@dataclass(frozen=True)
class CausalityReport:
    """What the experiments showed.

    Attributes:
        strategy: name.
        cuts: cut points used.
        bars: bars looked at.
        signals: signals over all of these bars; with none nothing was put to the test.
        breaches: the first one of each failed experiment.
    """

    strategy: str
    cuts: tuple[dt.datetime, ...]
    bars: int
    signals: int
    breaches: tuple[CausalityBreach, ...]

    @property
    def passed(self) -> bool:
        """No breach. Read together with :attr:`conclusive`: no signal means no breach."""
        return not self.breaches

    @property
    def conclusive(self) -> bool:
        """There were signals and cuts, so that a pass means something; a breach always does."""
        return bool(self.breaches) or (self.signals > 0 and len(self.cuts) > 0)


def check_causality(
    strategy: Strategy[Any],
    bars: pl.DataFrame,
    params: Mapping[str, Any] | Params | None = None,
    *,
    cuts: int = 8,
    seed: int = 0,
    instruments: Instruments | None = None,
    max_bars: int = MAX_BARS,
) -> CausalityReport:
    """Compare the signals up to random cut points with and without knowledge of the bars after them.

    At each cut the strategy runs twice more: on the bars up to the cut, and on all bars with those after the
    cut forged (prices moved, volumes changed, some left out). Signals up to the cut must equal the full run's
    to the bit. Half of the cuts are at signals, where a look ahead by a single bar shows; the others are
    anywhere.

    Args:
        bars: as for :meth:`Strategy.signals`.
        cuts: number of cut points, at least 1; fewer where there are fewer timestamps.
        seed: of the cut points and forgeries; the same seed gives the same report.
        max_bars: only the last so many timestamps' worth of bars are looked at.

    Raises:
        ConfigError: ``cuts`` or ``max_bars`` under 1, or wrong parameters.
    """
    if cuts < 1 or max_bars < 1:
        raise ConfigError(f"cuts and max_bars must be at least 1, they are {cuts} and {max_bars}")
    checked = strategy.read_params(params)
    bars = _newest(bars, max_bars)
    full = strategy.signals(bars, checked, instruments)
    random = np.random.default_rng(seed)
    points = _cut_points(bars, full, cuts, random)
    breaches: list[CausalityBreach] = []

    def compare(experiment: Experiment, cut: dt.datetime, given: pl.DataFrame) -> None:
        found = strategy.signals(given, checked, instruments)
        past = pl.col("Timestamp") <= cut
        breach = _first_difference(experiment, cut, full.filter(past), found.filter(past))
        if breach is not None:
            breaches.append(breach)

    if bars.height:
        compare("repetition", bars["Timestamp"].max(), bars)  # type: ignore[arg-type]
    for i, cut in enumerate(points):
        compare("truncation", cut, bars.filter(pl.col("Timestamp") <= cut))
        compare("perturbation", cut, _forged(bars, cut, random, up=i % 2 == 0))
    return CausalityReport(strategy.name, tuple(points), bars.height, full.height, tuple(breaches))


def _newest(bars: pl.DataFrame, max_bars: int) -> pl.DataFrame:
    if bars.height <= max_bars:
        return bars
    oldest = bars["Timestamp"].sort()[bars.height - max_bars]
    return bars.filter(pl.col("Timestamp") >= oldest)


def _cut_points(bars: pl.DataFrame, signals: pl.DataFrame, cuts: int, random: np.random.Generator) -> list[dt.datetime]:
    """Ascending, without repetition; never the last timestamp, after which there is nothing to hide."""
    instants = bars["Timestamp"].unique().sort()
    candidates = instants.head(max(instants.len() - 1, 0))
    at_signals = candidates.filter(candidates.is_in(signals["Timestamp"].implode()))
    chosen = _sample(at_signals, cuts - cuts // 2, random)
    others = candidates.filter(~candidates.is_in(chosen.implode()))
    return sorted([*chosen.to_list(), *_sample(others, cuts - chosen.len(), random).to_list()])


def _sample(values: pl.Series, count: int, random: np.random.Generator) -> pl.Series:
    return values.gather(random.choice(values.len(), size=min(count, values.len()), replace=False))


def _forged(bars: pl.DataFrame, cut: dt.datetime, random: np.random.Generator, *, up: bool) -> pl.DataFrame:
    """``bars`` with another future: one factor per bar on all its prices, so that High and Low still bound
    the others.
    """
    factors = np.exp(random.normal(_SHIFT if up else -_SHIFT, _NOISE, bars.height))
    kept = random.random(bars.height) >= _DROPPED
    after = pl.col("Timestamp") > cut
    return bars.with_columns(
        *(pl.when(after).then(pl.col(p) * pl.lit(pl.Series(factors))).otherwise(pl.col(p)).alias(p) for p in PRICES),
        Volume=pl.when(after).then(pl.col("Volume") * 3 + 1).otherwise("Volume"),
    ).filter(~after | pl.lit(pl.Series(kept)))


def _first_difference(
    experiment: Experiment, cut: dt.datetime, expected: pl.DataFrame, found: pl.DataFrame
) -> CausalityBreach | None:
    if expected.equals(found):
        return None
    keys = ["Symbol", "Timestamp"]
    both = pl.concat([expected.select(keys), found.select(keys)]).unique().sort("Timestamp", "Symbol")
    for symbol, timestamp in both.iter_rows():
        here = (pl.col("Symbol") == symbol) & (pl.col("Timestamp") == timestamp)
        one, other = expected.filter(here), found.filter(here)
        if not one.equals(other):
            return CausalityBreach(experiment, cut, symbol, timestamp, _row(one), _row(other))
    raise AssertionError("frames that differ have a row that differs")


def _row(frame: pl.DataFrame) -> dict[str, Any] | None:
    return frame.row(0, named=True) if frame.height else None


def _shown(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "absent"
    levels = {k: v for k, v in row.items() if k not in ("Symbol", "Timestamp") and v is not None}
    return " ".join(f"{k}={v}" for k, v in levels.items())
