"""replay_sweep(): many sets of signals and settings over the same bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from trading.instruments import Instrument
from trading.replay.config import ReplayConfig
from trading.replay.contracts import check_columns, check_instruments, read_bars, violation
from trading.replay.engine import replay
from trading.replay.result import TRADES

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
    check_instruments(read_bars(bars).symbols, instruments)
    check_columns(signals, "replay.signals", {"set": SET})
    known = (pl.col("set") >= 0) & (pl.col("set") < len(configs))
    unknown = signals.with_row_index("row").filter(~known.fill_null(False))
    if unknown.height:
        raise violation("replay.signals", "set", f"set must be the index of one of {len(configs)} configs", unknown)
    ends = bars.group_by("session").agg(pl.col("Timestamp").max()).sort("session")
    equity = np.empty((len(configs), ends.height))
    rows, closed = [], []
    for i, config in enumerate(configs):
        result = replay(bars, signals.filter(pl.col("set") == i), config, instruments)
        at = result.equity["Timestamp"].search_sorted(ends["Timestamp"])
        equity[i] = result.equity["equity"].gather(at).to_numpy()
        rows.append({"set": i, **result.metrics})
        if trades:
            closed.append(result.trades.select(pl.lit(i, dtype=SET).alias("set"), pl.all()))
    return SweepResult(
        metrics=pl.DataFrame(rows, schema=METRICS),
        sessions=ends["session"],
        equity=equity,
        trades=pl.concat([pl.DataFrame(schema={"set": SET, **TRADES}), *closed]) if trades else None,
    )
