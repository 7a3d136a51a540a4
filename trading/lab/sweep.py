"""A sweep: every parameter set replayed over the same bars.

Signals are computed once for sets that differ in replay settings only, and sets whose signals and settings are the same are
replayed once. Sets go through in chunks; what stays of each is one row of metrics and a few figures a session.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl

from trading.errors import ConfigError
from trading.instruments import Instrument
from trading.lab.config import SweepConfig
from trading.lab.sampling import SET, ParameterSets, own_values
from trading.lab.session_figures import SessionFigures
from trading.replay import SweepResult, replay_sweep
from trading.strategies.contracts import SIGNAL_COLUMNS
from trading.strategies.identity import canonical_json
from trading.variants import Variant

SETS_AT_ONCE = 32
SIGNALS_AT_ONCE = 400_000  # rows held at a time

Progress = Callable[[int, int], None]
"""Called with the sets done and their number."""

SignalSource = Callable[[Variant], pl.DataFrame]
"""Signals of a variant, as :func:`trading.replay.replay` takes them."""


@dataclass(frozen=True)
class Trials:
    """The variants that a sweep tries.

    Attributes:
        sets: their values by axis.
        variants: one a set.
        base: number of the set that is the variant the sweep starts from; appended to the others where the axes do not
            meet it.
    """

    sets: ParameterSets
    variants: tuple[Variant, ...]
    base: int

    @classmethod
    def of(cls, config: SweepConfig, base: Variant) -> "Trials":
        """ConfigError where there are too many sets, or one of them is no variant."""
        try:
            sets = config.sets()
            variants = sets.variants(base)
        except ConfigError as error:
            raise ConfigError(f"sweep {config.name!r}: {error}") from None
        for number, variant in enumerate(variants):
            if variant.config_hash == base.config_hash:
                return cls(sets, variants, number)
        with_own = ParameterSets(sets.axes, (*sets.rows, own_values(sets, base)), sets.grid)
        return cls(with_own, (*variants, base), len(variants))

    def __len__(self) -> int:
        return len(self.variants)


@dataclass(frozen=True)
class SweepRun:
    """Outcome of a sweep of n sets.

    Attributes:
        trials: what was tried.
        results: one row a set, in order: set (Int32), a column an axis, strategy_version, config_hash (String), signals
            (Int64, rows), same_as (Int32: the first set with the same signals and replay settings; itself where there is
            none before it), then the metrics of :attr:`trading.replay.ReplayResult.metrics`.
        figures: by set and session.
    """

    trials: Trials
    results: pl.DataFrame
    figures: SessionFigures

    @property
    def distinct(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which sets are the first of their kind, (n,)."""
        found: np.ndarray[tuple[int], np.dtype[np.bool_]] = (self.results["same_as"] == self.results["set"]).to_numpy()
        return found


def run_sweep(
    bars: pl.DataFrame,
    trials: Trials,
    signals_of: SignalSource,
    instruments: Mapping[str, Instrument] | None = None,
    *,
    sessions_per_year: int = 252,
    progress: Progress | None = None,
) -> SweepRun:
    """Replay all sets over ``bars``.

    Args:
        bars: as for :func:`trading.replay.replay`.
        signals_of: called once for each distinct set of strategy parameters, by several threads at once.
        instruments: by Symbol; None = the defaults.
        sessions_per_year: annualises the Sharpe ratios of windows; the replay's own takes its calendar's.
        progress: called after each chunk.

    Raises:
        ContractViolation: bars or signals break their contract.
    """
    count = len(trials)
    sessions = bars.select(pl.col("session").unique().sort())["session"]
    shape = (count, len(sessions))
    figures = SessionFigures(
        sessions=sessions,
        initial_cash=np.array([variant.replay.initial_cash for variant in trials.variants]),
        equity=np.zeros(shape),
        trades=np.zeros(shape, dtype=np.int64),
        won=np.zeros(shape),
        lost=np.zeros(shape),
        sessions_per_year=sessions_per_year,
    )
    same_as, heights = np.zeros(count, dtype=np.int32), np.zeros(count, dtype=np.int64)
    rows: dict[int, pl.DataFrame] = {}
    done = 0
    for chunk, repeated in _chunks(trials, signals_of, same_as, heights):
        if chunk:
            numbers = [number for number, _ in chunk]
            found = replay_sweep(
                bars,
                pl.concat(
                    signals.with_columns(pl.lit(index, dtype=SET).alias("set"))
                    for index, (_, signals) in enumerate(chunk)
                ),
                [trials.variants[number].replay for number in numbers],
                instruments,
                by_session=True,
            )
            _keep(figures, numbers, found)
            rows.update(zip(numbers, found.metrics.drop("set").iter_slices(1), strict=True))
        for number in repeated:
            first = int(same_as[number])
            rows[number] = rows[first]
            for kept in (figures.equity, figures.trades, figures.won, figures.lost):
                kept[number] = kept[first]
        done += len(chunk) + len(repeated)
        if progress is not None:
            progress(done, count)
    identities = pl.DataFrame(
        {
            "strategy_version": [variant.strategy_version for variant in trials.variants],
            "config_hash": [variant.config_hash for variant in trials.variants],
            "signals": pl.Series(heights),
            "same_as": pl.Series(same_as, dtype=SET),
        }
    )
    metrics = pl.concat([rows[number] for number in range(count)])
    return SweepRun(trials, pl.concat([trials.sets.frame, identities, metrics], how="horizontal"), figures)


_Chunk = list[tuple[int, pl.DataFrame]]


def _chunks(
    trials: Trials,
    signals_of: SignalSource,
    same_as: np.ndarray[tuple[int], np.dtype[np.int32]],
    heights: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> Iterator[tuple[_Chunk, list[int]]]:
    """Sets to replay with their signals, and sets that repeat one of these or of an earlier chunk."""
    first_of: dict[tuple[str, str], int] = {}
    chunk: _Chunk = []
    repeated: list[int] = []
    held = 0
    for numbers, signals, content in _with_signals(trials, signals_of):
        for number in numbers:
            key = (content, canonical_json(trials.variants[number].replay.model_dump(mode="json")))
            same_as[number] = first_of.setdefault(key, number)
            heights[number] = signals.height
            if same_as[number] == number:
                chunk.append((number, signals))
                held += signals.height
            else:
                repeated.append(number)
            if len(chunk) + len(repeated) >= SETS_AT_ONCE or held >= SIGNALS_AT_ONCE:
                yield chunk, repeated
                chunk, repeated, held = [], [], 0
    if chunk or repeated:
        yield chunk, repeated


def _with_signals(trials: Trials, signals_of: SignalSource) -> Iterator[tuple[list[int], pl.DataFrame, str]]:
    """Sets of the same strategy parameters, their signals, and a digest of these; the next ones are made meanwhile."""

    def made(numbers: list[int]) -> tuple[list[int], pl.DataFrame, str]:
        signals = signals_of(trials.variants[numbers[0]]).select(*SIGNAL_COLUMNS)
        return numbers, signals, _digest(signals)

    workers = pl.thread_pool_size()
    making: deque[Future[tuple[list[int], pl.DataFrame, str]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for numbers in _by_parameters(trials.variants):
            making.append(pool.submit(made, numbers))
            if len(making) > workers:
                yield making.popleft().result()
        while making:
            yield making.popleft().result()


def _by_parameters(variants: Sequence[Variant]) -> Iterable[list[int]]:
    """Numbers of the sets with the same strategy parameters, in order of the first one."""
    groups: dict[str, list[int]] = {}
    for number, variant in enumerate(variants):
        groups.setdefault(variant.strategy_version, []).append(number)
    return groups.values()


def _digest(signals: pl.DataFrame) -> str:
    """Equal frames, equal text, within one process."""
    ordered = signals.sort("Symbol", "Timestamp")
    return hashlib.sha256(ordered.hash_rows(seed=0).to_numpy().tobytes()).hexdigest()


def _keep(figures: SessionFigures, numbers: list[int], found: SweepResult) -> None:
    """What stays of a chunk."""
    assert found.by_session is not None
    figures.equity[numbers] = found.equity
    figures.trades[numbers] = found.by_session.trades
    figures.won[numbers] = found.by_session.won
    figures.lost[numbers] = found.by_session.lost
