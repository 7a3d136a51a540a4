"""What models may select from: the datasets, and the columns that each must have.

A dataset may have more columns than are listed here. One without a single row yet becomes an empty table
of the listed columns, so that every model can be built from the first day on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import polars as pl

_INSTANT = pl.Datetime("us", "UTC")
_BAR: dict[str, pl.DataType] = {
    "Symbol": pl.String(),
    "Timestamp": _INSTANT,
    "Open": pl.Float64(),
    "High": pl.Float64(),
    "Low": pl.Float64(),
    "Close": pl.Float64(),
    "Volume": pl.Int64(),
    "session": pl.Date(),
    "minutes": pl.Int32(),
    "complete": pl.Boolean(),
}
_LEVELS: dict[str, pl.DataType] = {
    f"{level}_{side}": pl.Float64() for level in ("sl", "tp") for side in ("long", "short")
}

SOURCES: Mapping[str, Mapping[str, pl.DataType]] = MappingProxyType(
    {
        **dict.fromkeys(("m5_bars", "m15_bars", "h1_bars", "d1_bars"), _BAR),
        "bar_quality": {
            "Symbol": pl.String(),
            "session": pl.Date(),
            "minutes_expected": pl.Int32(),
            "minutes_present": pl.Int32(),
            "coverage": pl.Float64(),
            "longest_gap": pl.Int32(),
            "exact_duplicates": pl.Int64(),
            "rows_outside_session": pl.Int64(),
            "outliers": pl.Int32(),
            "worst_zscore": pl.Float64(),
            "passed": pl.Boolean(),
        },
        # The vendor's own daily bars; `universe` is a partition key.
        "d1_raw": {
            **{column: dtype for column, dtype in _BAR.items() if column not in ("minutes", "complete")},
            "universe": pl.String(),
        },
        "corporate_actions": {
            "Symbol": pl.String(),
            "ex_date": pl.Date(),
            "kind": pl.String(),
            "ratio": pl.Float64(),
            "amount": pl.Float64(),
        },
        # Prices of daily bars (`dataset`: d1_bars or d1_raw) that cannot have been traded, by which rule.
        "price_outliers": {
            "dataset": pl.String(),
            "universe": pl.String(),
            "Symbol": pl.String(),
            "session": pl.Date(),
            "rule": pl.String(),
            "price": pl.Float64(),
            "reference": pl.Float64(),
            "figure": pl.Float64(),
            "limit": pl.Float64(),
        },
        "universe": {
            "Symbol": pl.String(),
            "session": pl.Date(),
            "admitted": pl.Boolean(),
            "removed_by": pl.String(),
            "reason": pl.String(),
        },
        "signals": {
            "session": pl.Date(),
            "variant": pl.String(),
            "Symbol": pl.String(),
            "Timestamp": _INSTANT,
            "long_entry": pl.Float64(),
            "short_entry": pl.Float64(),
            **_LEVELS,
        },
        # `session` is the as-of session; horizon is e.g. 1m, 3m, 6m, 1y.
        "backtest_metrics": {
            "session": pl.Date(),
            "variant": pl.String(),
            "horizon": pl.String(),
            "initial_cash": pl.Float64(),
            "net_pnl": pl.Float64(),
            "num_trades": pl.Int64(),
            "win_rate": pl.Float64(),
            "profit_factor": pl.Float64(),
            "expectancy": pl.Float64(),
            "sharpe": pl.Float64(),
            "max_drawdown": pl.Float64(),
            "exposure": pl.Float64(),
        },
        "backtest_trades": {
            "session": pl.Date(),
            "variant": pl.String(),
            "horizon": pl.String(),
            "Symbol": pl.String(),
            "setup_time": _INSTANT,
            "side": pl.Int8(),
            "qty": pl.Float64(),
            "entry_time": _INSTANT,
            "entry_price": pl.Float64(),
            "exit_time": _INSTANT,
            "exit_price": pl.Float64(),
            "exit_reason": pl.String(),
            "fees": pl.Float64(),
            "pnl": pl.Float64(),
            "bars_held": pl.Int64(),
        },
        "promotion_decision": {
            "decision_id": pl.String(),
            "session": pl.Date(),
            "variant": pl.String(),
            "strategy_version": pl.String(),
            "from_stage": pl.String(),
            "to_stage": pl.String(),
            "decided_by": pl.String(),
            "reason": pl.String(),
        },
        # One row per intent: one side of a setup, with its bracket.
        "order_intents": {
            "order_ref": pl.String(),
            "oco_id": pl.String(),
            "session": pl.Date(),
            "account": pl.String(),
            "variant": pl.String(),
            "Symbol": pl.String(),
            "side": pl.Int8(),
            "qty": pl.Float64(),
            "entry": pl.Float64(),
            "stop": pl.Float64(),
            "target": pl.Float64(),
            "valid_from": _INSTANT,
            "valid_to": _INSTANT,
            "strategy_version": pl.String(),
        },
        # As the ledger has them, its `at` named `time` (AT is a keyword in DuckDB); `id` counts up as
        # recorded.
        "order_events": {
            "id": pl.Int64(),
            "time": _INSTANT,
            "order_ref": pl.String(),
            "state": pl.String(),
            "reason": pl.String(),
        },
        # `side` is that of the position (1 long, -1 short), `leg` is entry or exit, `reason` as in the
        # replay.
        "fills": {
            "execution_id": pl.String(),
            "session": pl.Date(),
            "time": _INSTANT,
            "account": pl.String(),
            "variant": pl.String(),
            "order_ref": pl.String(),
            "leg": pl.String(),
            "side": pl.Int8(),
            "qty": pl.Float64(),
            "price": pl.Float64(),
            "fee": pl.Float64(),
            "reason": pl.String(),
        },
        "portfolio_worth": {
            "account": pl.String(),
            "variant": pl.String(),
            "session": pl.Date(),
            "realised": pl.Float64(),
            "unrealised": pl.Float64(),
            "equity": pl.Float64(),
            "trades": pl.Int64(),
            "pnl": pl.Float64(),
        },
        # What each bracket held at the close; `exposure` is quantity times last price, positive on either side.
        "positions": {
            "account": pl.String(),
            "variant": pl.String(),
            "session": pl.Date(),
            "order_ref": pl.String(),
            "Symbol": pl.String(),
            "side": pl.Int8(),
            "qty": pl.Float64(),
            "entry_price": pl.Float64(),
            "last_price": pl.Float64(),
            "unrealised": pl.Float64(),
            "exposure": pl.Float64(),
        },
    }
)


@dataclass(frozen=True)
class PartitionFile:
    """One Parquet file of a dataset.

    Attributes:
        path: where it lies; a content-addressed store may give the same path for several partitions.
        keys: partition keys, e.g. ``{"session": "2024-03-01", "variant": "risk1"}``; those that are no
            column of the file become columns.
    """

    path: Path
    keys: Mapping[str, str] = field(default_factory=dict)


Dataset = pl.DataFrame | Sequence[PartitionFile | Path]
