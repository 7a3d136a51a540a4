"""replay_sweep(): many sets of signals and settings over the same bars."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from trading.instruments import Instrument
from trading.replay.config import ReplayConfig
from trading.replay.contracts import check_columns, check_instruments, violation
from trading.replay.engine import sessions_per_year
from trading.replay.market import Bars, Ints, SignalReader, read_bars, read_or_refuse, sessions_of
from trading.replay.metrics import FIGURES
from trading.replay.repeated import new_runs
from trading.replay.result import TRADES, trades_frame

SET = pl.Int32()
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
    """

    metrics: pl.DataFrame
    sessions: pl.Series
    equity: npt.NDArray[np.float64]
    trades: pl.DataFrame | None


def replay_sweep(
    bars: pl.DataFrame,
    signals: pl.DataFrame,
    configs: Sequence[ReplayConfig],
    instruments: Mapping[str, Instrument] | None = None,
    *,
    trades: bool = False,
) -> SweepResult:
    """Replay every set of ``signals`` over the same ``bars``; each gives exactly what :func:`replay` gives.

    Args:
        bars: as for :func:`replay`.
        signals: as for :func:`replay`, for all sets in one frame, with a column ``set`` (Int32): the index into
            ``configs`` of the set that the row belongs to. Rows in any order; a set may have none.
        configs: one a set.
        instruments: as for :func:`replay`, for all sets.
        trades: also return the trades of every set.

    Raises:
        ContractViolation: bars or signals break their contract, or ``set`` names no config.
    """
    read = read_bars(bars)
    of_symbol = check_instruments(read.symbols, instruments)
    check_columns(signals, "replay.signals", {"set": SET})
    known = (pl.col("set") >= 0) & (pl.col("set") < len(configs))
    unknown = signals.with_row_index("row").filter(~known.fill_null(False))
    if unknown.height:
        raise violation("replay.signals", "set", f"set must be the index of one of {len(configs)} configs", unknown)
    reader = SignalReader(signals, read, of_symbol, by=["set"])
    sessions, ends = sessions_of(read)
    sweep = _Sweep(read, of_symbol, reader, configs, ends, trades)
    read_or_refuse(sweep.attempt, reader)
    return SweepResult(
        metrics=sweep.metrics(),
        sessions=sessions,
        equity=sweep.equity,
        trades=sweep.all_trades() if trades else None,
    )


class _Sweep:
    """The sets' runs, on as many threads as polars uses; each thread has one set's arrays, whatever the number of sets."""

    def __init__(
        self,
        bars: Bars,
        instruments: list[Instrument],
        reader: SignalReader,
        configs: Sequence[ReplayConfig],
        ends: Ints,
        with_trades: bool,
    ) -> None:
        self.bars, self.instruments, self.reader, self.configs = bars, instruments, reader, configs
        self.ends, self.with_trades = ends, with_trades
        self.equity = np.empty((len(configs), len(ends)))
        self.figures = np.empty((len(configs), len(FIGURES)))
        self.trades: dict[int, pl.DataFrame] = {}

    def attempt(self) -> bool:
        """Run all sets; False if the signals are not sorted or not good."""
        sets = self.reader.frame["set"].to_numpy()
        if (sets[1:] < sets[:-1]).any():
            return False
        edges = np.searchsorted(sets, np.arange(len(self.configs) + 1)).tolist()
        workers = max(1, min(pl.thread_pool_size(), len(self.configs)))
        queue = iter(range(len(self.configs)))
        with ThreadPoolExecutor(workers) as pool:
            absent = list(pool.map(lambda _: self._work(queue, edges), range(workers)))
        return None not in absent and sum(filter(None, absent)) == self.reader.absent

    def _work(self, queue: Iterator[int], edges: list[int]) -> int | None:
        """Take sets from the queue until there are none: how many levels were absent; None once one is not good."""
        from trading.replay import passes

        most = max((end - begin for begin, end in pairwise(edges)), default=0)
        runs = new_runs(self.bars, self.instruments, most, self.ends, sessions_per_year(self.instruments))
        signals, nans = runs.signals, np.zeros(1, np.int64)
        after = np.zeros(len(self.bars.ts), np.int32)
        for i in queue:
            begin, end = edges[i], edges[i + 1]
            if self.reader.read(begin, end, signals.row, signals.levels, signals.first, nans, after) != passes.GOOD:
                return None
            machine = runs.run(self.configs[i], self.equity[i], self.figures[i])
            if self.with_trades:
                self.trades[i] = trades_frame(machine, copy=True).select(pl.lit(i, dtype=SET).alias("set"), pl.all())
        return int(nans[0])

    def metrics(self) -> pl.DataFrame:
        """As in :class:`SweepResult`."""
        cash = [config.initial_cash for config in self.configs]
        columns = {name: pl.Series(self.figures[:, i]).fill_nan(None) for i, name in enumerate(FIGURES)}
        frame = pl.DataFrame({"set": range(len(cash)), "initial_cash": pl.Series(cash, dtype=pl.Float64), **columns})
        return frame.select(pl.col(name).cast(dtype) for name, dtype in METRICS.items())

    def all_trades(self) -> pl.DataFrame:
        """As in :class:`SweepResult`."""
        by_set = (self.trades[i] for i in range(len(self.configs)))
        return pl.concat([pl.DataFrame(schema={"set": SET, **TRADES}), *by_set])
