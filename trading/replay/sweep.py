"""replay_sweep(): many sets of signals and settings over the same bars."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from trading.instruments import Instrument
from trading.replay.config import ReplayConfig
from trading.replay.contracts import check_columns, check_instruments, violation
from trading.replay.engine import sessions_per_year
from trading.replay.machine import Machine
from trading.replay.market import Bars, Ints, SignalReader, read_bars, read_or_refuse, sessions_of
from trading.replay.metrics import FIGURES
from trading.replay.repeated import Sets, new_runs
from trading.replay.result import TRADES, trades_frame
from trading.replay.session_sums import SessionSums, TradesBySession

SET = pl.Int32()
_AT_ONCE = 8  # sets that a thread takes from the queue
METRICS = {
    "set": SET,
    "initial_cash": pl.Float64(),
    "final_cash": pl.Float64(),
    "net_pnl": pl.Float64(),
    "num_trades": pl.Int64(),
    "win_rate": pl.Float64(),
    "profit_factor": pl.Float64(),
    "avg_win": pl.Float64(),
    "avg_loss": pl.Float64(),
    "expectancy": pl.Float64(),
    "sharpe": pl.Float64(),
    "max_drawdown": pl.Float64(),
    "exposure": pl.Float64(),
}


@dataclass(frozen=True)
class SweepResult:
    """Outcome of a sweep of n sets; money is in currency.

    Attributes:
        metrics: one row a set, in order: set (Int32), then the keys of :attr:`ReplayResult.metrics`.
        sessions: the m sessions of the bars, ascending (Date).
        equity: (n, m) float64, equity at the last timestamp of each session.
        trades: set (Int32), then the columns of :attr:`ReplayResult.trades`, in order of (set, exit_time, Symbol);
            None unless asked for.
        by_session: None unless asked for.
    """

    metrics: pl.DataFrame
    sessions: pl.Series
    equity: npt.NDArray[np.float64]
    trades: pl.DataFrame | None
    by_session: TradesBySession | None


def replay_sweep(
    bars: pl.DataFrame,
    signals: pl.DataFrame,
    configs: Sequence[ReplayConfig],
    instruments: Mapping[str, Instrument] | None = None,
    *,
    trades: bool = False,
    by_session: bool = False,
) -> SweepResult:
    """Replay every set of ``signals`` over the same ``bars``; each gives exactly what :func:`replay` gives.

    Args:
        bars: as for :func:`replay`.
        signals: as for :func:`replay`, for all sets in one frame, with a column ``set`` (Int32): the index into
            ``configs`` of the set that the row belongs to. Rows in any order; a set may have none.
        configs: one a set.
        instruments: as for :func:`replay`, for all sets.
        trades: also return the trades of every set.
        by_session: also sum them up by set and session.

    Raises:
        ContractViolation: bars or signals break their contract, or ``set`` names no config.
    """
    read = read_bars(bars)
    of_symbol = check_instruments(read.symbols, instruments)
    check_columns(signals, "replay.signals", {"set": SET})
    _check_sets(signals, len(configs))
    reader = SignalReader(signals, read, of_symbol, by=["set"])
    sessions, ends = sessions_of(read)
    sweep = _Sweep(read, of_symbol, reader, configs, ends)
    if trades:
        sweep.trades = {}
    if by_session:
        sweep.sums = SessionSums.of(read, sessions, len(configs))
    read_or_refuse(sweep.attempt, reader)
    return SweepResult(
        metrics=sweep.metrics(),
        sessions=sessions,
        equity=sweep.equity,
        trades=None if sweep.trades is None else sweep.all_trades(sweep.trades),
        by_session=None if sweep.sums is None else sweep.sums.found,
    )


def _check_sets(signals: pl.DataFrame, count: int) -> None:
    sets = signals["set"]
    lowest, highest = sets.min(), sets.max()
    if sets.null_count() or (sets.len() and not (lowest >= 0 and highest < count)):  # type: ignore[operator]
        known = (pl.col("set") >= 0) & (pl.col("set") < count)
        unknown = signals.with_row_index("row").filter(~known.fill_null(False))
        raise violation("replay.signals", "set", f"set must be the index of one of {count} configs", unknown)


class _Sweep:
    """The sets' runs, on as many threads as polars uses; each thread has one set's arrays, whatever the number of sets."""

    def __init__(
        self,
        bars: Bars,
        instruments: list[Instrument],
        reader: SignalReader,
        configs: Sequence[ReplayConfig],
        ends: Ints,
    ) -> None:
        self.bars, self.instruments, self.reader, self.configs, self.ends = bars, instruments, reader, configs, ends
        self.equity = np.empty((len(configs), len(ends)))
        self.figures = np.empty((len(configs), len(FIGURES)))
        # what is asked for besides
        self.trades: dict[int, pl.DataFrame] | None = None
        self.sums: SessionSums | None = None

    def attempt(self) -> bool:
        """Run all sets; False if the signals are not sorted or not good."""
        from trading.replay import passes

        numbers = self.reader.frame["set"].to_numpy()
        if not passes.ascend(numbers):
            return False
        n = len(self.configs)
        sets = Sets(
            bars=self.bars,
            instruments=self.instruments,
            reader=self.reader,
            edges=np.searchsorted(numbers, np.arange(n + 1, dtype=numbers.dtype)).astype(np.int64),
            configs=self.configs,
            ends=self.ends,
            per_year=sessions_per_year(self.instruments),
            equity=self.equity,
            figures=self.figures,
        )
        workers = max(1, min(pl.thread_pool_size(), n))
        step = max(1, min(_AT_ONCE, n // (4 * workers)))
        queue = iter(range(0, n, step))
        with ThreadPoolExecutor(workers) as pool:
            absent = list(pool.map(lambda _: self._work(sets, queue, step), range(workers)))
        return None not in absent and sum(filter(None, absent)) == self.reader.absent

    def _work(self, sets: Sets, queue: Iterator[int], step: int) -> int | None:
        """Take sets from the queue until there are none: how many levels were absent; None once one is not good."""
        runs = new_runs(sets)
        then = None if self.trades is None and self.sums is None else self._keep
        for begin in queue:
            if not runs.go_through(begin, min(begin + step, len(self.configs)), then):
                return None
        return runs.absent

    def _keep(self, i: int, machine: Machine) -> None:
        if self.trades is not None:
            self.trades[i] = trades_frame(machine).select(pl.lit(i, dtype=SET).alias("set"), pl.all())
        if self.sums is not None:
            self.sums.add(i, machine)

    def metrics(self) -> pl.DataFrame:
        """As in :class:`SweepResult`."""
        cash = [config.initial_cash for config in self.configs]
        figures = {name: self.figures[:, i] for i, name in enumerate(FIGURES)}
        frame = pl.DataFrame({"set": np.arange(len(cash)), "initial_cash": np.array(cash, np.float64), **figures})
        return frame.fill_nan(None).cast(METRICS)  # type: ignore[arg-type]

    def all_trades(self, trades: dict[int, pl.DataFrame]) -> pl.DataFrame:
        """As in :class:`SweepResult`."""
        by_set = (trades[i] for i in range(len(self.configs)))
        return pl.concat([pl.DataFrame(schema={"set": SET, **TRADES}), *by_set])
