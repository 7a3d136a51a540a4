"""Contracts of a backtest's frames: amounts say their currency, quantities their unit."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from trading.contracts import INSTANT, Rule, register, table
from trading.replay.result import FILLS, TRADES

if TYPE_CHECKING:
    from pandera.polars import DataFrameSchema

FILLED_ORDERS = "filled_orders"
BACKTEST_TRADES = "backtest_trades"
EQUITY_CURVE = "equity_curve"

_CENT = 0.005
_AMOUNTS = {"unit": pl.String, "notional": pl.Float64, "currency": pl.String, "horizon": pl.String}


def _positive(*columns: str) -> list[Rule]:
    return [Rule(f"{name}_positive", pl.col(name) > 0, f"{name} must be above 0") for name in columns]


def _filled_orders() -> "DataFrameSchema":
    kinds = Rule("kind", pl.col("kind").is_in(["entry", "exit"]), "kind must be entry or exit")
    return table(FILLED_ORDERS, {**FILLS, **_AMOUNTS}, rules=[kinds, *_positive("qty", "price", "notional")])


def _backtest_trades() -> "DataFrameSchema":
    notional = pl.col("qty") * pl.col("entry_price")
    pnl = pl.col("side") * pl.col("qty") * (pl.col("exit_price") - pl.col("entry_price")) - pl.col("fees")
    rules = [
        Rule("notional", pl.col("notional") == notional, "notional must be qty * entry_price"),
        Rule("pnl", (pl.col("pnl") - pnl).abs() < _CENT, "pnl must follow from the prices and fees, to the cent"),
        Rule("in_time", pl.col("exit_time") >= pl.col("entry_time"), "exit_time must not be before entry_time"),
    ]
    return table(BACKTEST_TRADES, {**TRADES, **_AMOUNTS}, rules=[*_positive("qty", "entry_price"), *rules])


def _equity_curve() -> "DataFrameSchema":
    columns = {
        "session": pl.Date,
        "Timestamp": INSTANT,
        **dict.fromkeys(("realised", "unrealised", "equity", "drawdown"), pl.Float64),
        "currency": pl.String,
        "horizon": pl.String,
    }
    sums = Rule(
        "equity",
        (pl.col("equity") - pl.col("realised") - pl.col("unrealised")).abs() < _CENT,
        "equity must be realised plus unrealised, to the cent",
    )
    return table(EQUITY_CURVE, columns, rules=[sums])


CONTRACTS: Mapping[str, str] = {
    "filled_orders.parquet": FILLED_ORDERS,
    "trades.parquet": BACKTEST_TRADES,
    "equity_curve.parquet": EQUITY_CURVE,
}
"""Contract by file of a backtest."""

register(FILLED_ORDERS, _filled_orders)
register(BACKTEST_TRADES, _backtest_trades)
register(EQUITY_CURVE, _equity_curve)
