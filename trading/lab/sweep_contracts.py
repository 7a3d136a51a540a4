"""Contracts of what a sweep stores."""

from typing import TYPE_CHECKING, Any

import polars as pl

from trading.contracts import Rule, register, sorted_unique, table
from trading.replay.sweep import METRICS

if TYPE_CHECKING:
    from pandera.polars import DataFrameSchema

RESULTS, RETURNS = "sweep.results", "sweep.session_returns"

RESULT_COLUMNS: dict[str, Any] = {
    "set": pl.Int32,
    "strategy_version": pl.String,
    "config_hash": pl.String,
    "signals": pl.Int64,
    "same_as": pl.Int32,
    **{name: type(dtype) for name, dtype in METRICS.items() if name != "set"},
    **dict.fromkeys(("deflated_sharpe", "neighbourhood", "plateau"), pl.Float64),
}
"""Besides a column for each axis."""

RETURN_COLUMNS: dict[str, Any] = {"set": pl.Int32, "session": pl.Date, "equity": pl.Float64, "return": pl.Float64}

_MAY_BE_NULL = (
    *("win_rate", "profit_factor", "avg_win", "avg_loss", "expectancy", "sharpe"),
    *("deflated_sharpe", "neighbourhood", "plateau"),
)
_SHARES = ("win_rate", "exposure", "deflated_sharpe", "neighbourhood")


def _results() -> "DataFrameSchema":
    col = pl.col
    rules = [
        sorted_unique("set"),
        Rule("same_as", col("same_as") <= col("set"), "same_as must be the set itself or one before it"),
        Rule("share", pl.all_horizontal(*(col(name).is_between(0, 1) for name in _SHARES)), "shares lie from 0 to 1"),
        Rule("counts", (col("num_trades") >= 0) & (col("signals") >= 0), "num_trades and signals are 0 or more"),
    ]
    return table(RESULTS, RESULT_COLUMNS, rules=rules, nullable=_MAY_BE_NULL, extra=True)


def _returns() -> "DataFrameSchema":
    finite = pl.all_horizontal(pl.col("equity").is_finite(), pl.col("return").is_finite())
    rules = [sorted_unique("set", "session"), Rule("finite", finite, "equity and return must be finite")]
    return table(RETURNS, RETURN_COLUMNS, rules=rules)


register(RESULTS, _results)
register(RETURNS, _returns)
