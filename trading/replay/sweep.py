"""replay_sweep(): many sets of signals and settings over the same bars."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from trading.instruments import Instrument
from trading.replay.config import ReplayConfig
from trading.replay.contracts import check_columns, check_instruments, violation
from trading.replay.engine import Run, new_curve, sessions_per_year
from trading.replay.machine import new_log, new_queue, new_run, new_symbols
from trading.replay.market import Bars, Ints, SignalArrays, SignalReader, read_bars, read_or_refuse, sessions_of
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
        metrics=pl.DataFrame(sweep.metrics, schema=METRICS, orient="row"),
        sessions=sessions,
        equity=sweep.equity,
        trades=pl.concat([pl.DataFrame(schema={"set": SET, **TRADES}), *sweep.trades]) if trades else None,
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
        self.per_year = sessions_per_year(instruments)
        self.equity = np.empty((len(configs), len(ends)))
        self.metrics: list[tuple[float | int | None, ...]] = []
        self.trades: list[pl.DataFrame] = []

    def attempt(self) -> bool:
        """Run all sets; False if the signals are not sorted or not good."""
        sets = self.reader.frame["set"].to_numpy()
        if (sets[1:] < sets[:-1]).any():
            return False
        edges = np.searchsorted(sets, np.arange(len(self.configs) + 1)).tolist()
        workers = max(1, min(pl.thread_pool_size(), len(self.configs)))
        queue = iter(range(len(self.configs)))
        with ThreadPoolExecutor(workers) as pool:
            parts = list(pool.map(lambda _: self._work(queue, edges), range(workers)))
        if any(part is None for part in parts):
            return False
        done = sorted((one for part in parts if part is not None for one in part), key=itemgetter(0))
        self.metrics = [metrics for _, metrics, _, _ in done]
        self.trades = [trades for _, _, trades, _ in done if trades is not None]
        return sum(int(nans) for *_, nans in done) == self.reader.absent

    def _work(self, queue: Iterator[int], edges: list[int]) -> list[Any] | None:
        """Take sets from the queue until there are none; None once one is not good."""
        from trading.replay import passes
        from trading.replay.curve import clear

        most = max((end - begin for begin, end in pairwise(edges)), default=0)
        symbols, points = len(self.bars.symbols), len(self.bars.market.grid)
        signals = SignalArrays(np.empty(most, np.int64), np.empty((most, 6)), np.zeros(symbols + 1, np.int64))
        log, events, curve = new_log(most + symbols), new_queue(points, symbols), new_curve(points, most + symbols)
        nans = np.zeros(1, np.int64)
        done: list[Any] = []
        last, records = None, None
        for i in queue:
            nans[0] = 0
            signals.first[:] = 0
            begin, end = edges[i], edges[i + 1]
            if self.reader.read(begin, end, signals.row, signals.levels, signals.first, nans) != passes.GOOD:
                return None
            config = self.configs[i]
            if config is not last:
                last, records = config, (new_run(config), new_symbols(self.instruments, config))
            run = Run(self.bars, self.instruments, signals, config, events, log, curve, records)
            run.equity_at(self.ends, self.equity[i])
            trades = None
            if self.with_trades:
                trades = trades_frame(run.machine, copy=True).select(pl.lit(i, dtype=SET).alias("set"), pl.all())
            metrics = (i, *run.metrics(self.equity[i], self.per_year).values())
            clear(curve, run.spans)
            done.append((i, metrics, trades, int(nans[0])))
        return done
