"""Does a strategy look ahead? Asked by experiment: hide the future, then forge it, and see whether the
past changes.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from trading.errors import ConfigError
from trading.strategies.api import Instruments, Strategy, with_session
from trading.strategies.futures import Array, Futures, Timeline
from trading.strategies.params import Params

Experiment = Literal["repetition", "truncation", "perturbation"]

MAX_BARS = 60_000
CUTS, ROUNDS = 8, 160


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
        cuts: cut points after which everything was hidden, and forged.
        probes: further cut points, many to a round, after which the rest of their block was hidden or forged.
        bars: bars looked at.
        signals: signals over all of these bars; with none nothing was put to the test.
        breaches: the first one of each failed experiment.
    """

    strategy: str
    cuts: tuple[dt.datetime, ...]
    probes: int
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

    def __str__(self) -> str:
        if self.breaches:
            count = len(self.breaches)
            return f"looks ahead: {count} experiment{'s' if count > 1 else ''} failed, the first: {self.breaches[0]}"
        tried = f"{self.signals} signals on {self.bars} bars, {len(self.cuts) + self.probes} cuts"
        return f"no look-ahead found in {tried}" if self.conclusive else f"inconclusive: {tried}"


def check_causality(
    strategy: Strategy[Any],
    bars: pl.DataFrame,
    params: Mapping[str, Any] | Params | None = None,
    *,
    cuts: int = CUTS,
    rounds: int = ROUNDS,
    seed: int = 0,
    instruments: Instruments | None = None,
    max_bars: int = MAX_BARS,
) -> CausalityReport:
    """Compare the signals up to random cut points with and without knowledge of the bars after them.

    At each cut the strategy runs twice more: on the bars up to the cut, and on all bars with those after the
    cut forged (prices moved, volumes changed, some left out). Signals up to the cut must equal the full run's
    to the bit. Half of the cuts are at signals, where a look ahead by a single bar shows; the others are
    anywhere, and what is hidden after those is hidden before the strategy has seen it even once.

    What happens at few bars only is found by the rounds. The bars are divided into blocks of whole sessions that
    are longer than the warm-up. One run gives every other block a cut of its own and another future from there
    to its end; the block in between is left alone, so that no forgery is remembered at the next cut. Two runs more
    do the same at the last timestamp of each block. Where a
    signal before a cut differs, that block's future alone is given to a run of its own, and only what differs
    there is a breach: a strategy that remembers longer than a block raises no false alarm.

    Args:
        bars: as for :meth:`Strategy.signals`.
        cuts: number of cut points, at least 1; fewer where there are fewer timestamps.
        rounds: runs over the blocks, 0 or more.
        seed: of the cut points and forgeries; the same seed gives the same report.
        max_bars: only the last so many timestamps' worth of bars are looked at.

    Raises:
        ConfigError: ``cuts`` or ``max_bars`` under 1, ``rounds`` under 0, or wrong parameters.
    """
    if cuts < 1 or max_bars < 1 or rounds < 0:
        raise ConfigError(
            f"cuts and max_bars must be at least 1 and rounds 0, they are {cuts}, {max_bars} and {rounds}"
        )
    checked = strategy.read_params(params)
    bars = _newest(with_session(bars, instruments, where=f"strategy {strategy.name}"), max_bars)
    trial = _Trial(strategy, checked, instruments, bars, np.random.default_rng(seed))
    return trial.report(cuts, rounds)


class _Trial:
    """The experiments on one frame of bars."""

    def __init__(
        self,
        strategy: Strategy[Any],
        params: Params,
        instruments: Instruments | None,
        bars: pl.DataFrame,
        random: np.random.Generator,
    ) -> None:
        self.strategy, self.params, self.instruments = strategy, params, instruments
        self.bars, self.random = bars, random
        self.time = Timeline.of(bars, memory=strategy.warmup(params) + 1)
        self.futures = Futures(bars, self.time, random)
        self.breaches: list[CausalityBreach] = []

    def report(self, cuts: int, rounds: int) -> CausalityReport:
        # the last timestamp is no cut: there is nothing after it to hide
        places = np.arange(max(len(self.time.instants) - 1, 0))
        anywhere = np.sort(self._some(places, cuts // 2))
        unseen = [self._signals(self.bars.filter(pl.col("Timestamp") <= self.time.at(cut))) for cut in anywhere]
        self.full = self.strategy.signals(self.bars, self.params, self.instruments)
        at_signals = np.unique(self.time.places(self.full["Timestamp"]))
        placed = np.setdiff1d(np.intersect1d(at_signals, places), anywhere)
        chosen = np.concatenate([anywhere, np.sort(self._some(placed, cuts - len(anywhere)))])
        more = self._some(np.setdiff1d(places, chosen), cuts - len(chosen))
        chosen = np.concatenate([chosen, np.sort(more)]).astype(np.int64)
        if len(self.time.instants):
            self._compare("repetition", len(self.time.instants) - 1, self._signals(self.bars))
        for i, cut in enumerate(chosen):
            hidden = unseen[i] if i < len(unseen) else None
            if hidden is None:
                hidden = self._signals(self.bars.filter(pl.col("Timestamp") <= self.time.at(cut)))
            self._compare("truncation", cut, hidden)
            self._compare("perturbation", cut, self._signals(self.futures.forged(cut, up=i % 2 == 0)))
        probes = 0
        if not self.breaches:
            probes = sum(self._rounds(rounds, at_signals, patience=cuts))
        instants = tuple(sorted(self.time.at(cut) for cut in chosen))
        return CausalityReport(
            self.strategy.name, instants, probes, self.bars.height, self.full.height, tuple(self.breaches)
        )

    def _rounds(self, rounds: int, at_signals: Array, patience: int) -> Iterator[int]:
        """Number of cuts of each round; ends at the first breach, or when ``patience`` suspicions came to nothing."""
        if not rounds:
            return
        between, at_edges = self.time.edges()
        inside = self.time.rounds(rounds, at_signals, self.random)
        for time, cuts in (*((between, cuts) for cuts in at_edges), *((self.time, cuts) for cuts in inside)):
            future = self.futures.in_blocks(time, cuts)
            yield len(cuts)
            found = self._signals(future.bars)
            for cut in time.suspicious(self.full, found, cuts):
                alone = self._signals(future.only(cut))
                if self._compare(future.experiment(cut), cut, alone):
                    return
                patience -= 1
                if patience == 0:
                    return

    def _signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        return self.strategy.unchecked(bars, self.params, self.instruments)

    def _compare(self, experiment: Experiment, cut: int, found: pl.DataFrame) -> bool:
        """Whether a signal up to the cut differs; it is kept as a breach."""
        instant = self.time.at(cut)
        past = pl.col("Timestamp") <= instant
        breach = _first_difference(experiment, instant, self.full.filter(past), found.filter(past))
        if breach is not None:
            self.breaches.append(breach)
        return breach is not None

    def _some(self, values: Array, count: int) -> Array:
        chosen: Array = self.random.choice(values, size=min(count, len(values)), replace=False)
        return chosen


def _newest(bars: pl.DataFrame, max_bars: int) -> pl.DataFrame:
    if bars.height <= max_bars:
        return bars
    oldest = bars["Timestamp"].sort()[bars.height - max_bars]
    return bars.filter(pl.col("Timestamp") >= oldest)


def _first_difference(
    experiment: Experiment, cut: dt.datetime, expected: pl.DataFrame, found: pl.DataFrame
) -> CausalityBreach | None:
    if expected.equals(found):
        return None
    here, there = (
        {(row["Timestamp"], row["Symbol"]): row for row in frame.iter_rows(named=True)} for frame in (expected, found)
    )
    for timestamp, symbol in sorted(here.keys() | there.keys()):
        one, other = here.get((timestamp, symbol)), there.get((timestamp, symbol))
        if repr(one) != repr(other):  # not !=, which NaN is to itself
            return CausalityBreach(experiment, cut, symbol, timestamp, one, other)
    return None


def _shown(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "absent"
    levels = {k: v for k, v in row.items() if k not in ("Symbol", "Timestamp") and v is not None}
    return " ".join(f"{k}={v}" for k, v in levels.items())
