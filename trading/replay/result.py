"""What a replay gives back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from trading.replay import state

INSTANT = pl.Datetime("us", "UTC")

TRADES = {
    "Symbol": pl.String(),
    "setup_time": INSTANT,
    "side": pl.Int8(),
    "qty": pl.Float64(),
    "entry_time": INSTANT,
    "entry_price": pl.Float64(),
    "exit_time": INSTANT,
    "exit_price": pl.Float64(),
    "exit_reason": pl.String(),
    "fees": pl.Float64(),
    "pnl": pl.Float64(),
    "bars_held": pl.Int64(),
}
FILLS = {
    "Symbol": pl.String(),
    "setup_time": INSTANT,
    "time": INSTANT,
    "kind": pl.String(),
    "side": pl.Int8(),
    "qty": pl.Float64(),
    "price": pl.Float64(),
    "fee": pl.Float64(),
    "reason": pl.String(),
}
REJECTED = {"Symbol": pl.String(), "setup_time": INSTANT, "time": INSTANT, "reason": pl.String()}


@dataclass(frozen=True)
class ReplayResult:
    """Outcome of a replay; times are bar starts (Datetime[us, UTC]), money is in currency.

    Attributes:
        trades: closed trades in order of (exit_time, Symbol): Symbol, setup_time, side (1 long, -1 short),
            qty, entry_time, entry_price, exit_time, exit_price, exit_reason, fees, pnl, bars_held. The
            exit_time of an ``end`` is its Symbol's last bar.
        fills: in order of execution: Symbol, setup_time, time, kind (``entry`` or ``exit``), side (of the
            position), qty, price, fee, reason (``entry``, or the exit's).
        rejected: setups dropped, in order of time: Symbol, setup_time, time (bar of the rejection), reason.
        equity: per distinct Timestamp: realised (initial cash, pnl of closed trades less entry fees of open
            ones), unrealised (open positions at their last Close), equity (their sum), drawdown (positive
            fraction of the running peak). The last row is after the closing of what was still open, so it is
            the final cash.
        metrics: see :func:`trading.replay.metrics.summarise`.
    """

    trades: pl.DataFrame
    fills: pl.DataFrame
    rejected: pl.DataFrame
    equity: pl.DataFrame
    metrics: dict[str, float | int | None]


def trades_frame(exits: Any, symbols: list[str]) -> pl.DataFrame:
    """Closed trades from the exit rows of the log."""
    return pl.DataFrame(
        {
            "Symbol": names(exits["symbol"], symbols),
            "setup_time": _instants(exits["setup"]),
            "side": exits["side"].astype(np.int8),
            "qty": exits["qty"],
            "entry_time": _instants(exits["entry_time"]),
            "entry_price": exits["entry_price"],
            "exit_time": _instants(exits["time"]),
            "exit_price": exits["price"],
            "exit_reason": reasons(exits["reason"]),
            "fees": exits["entry_fee"] + exits["fee"],
            "pnl": exits["pnl"],
            "bars_held": exits["bars"],
        },
        schema=TRADES,
    ).sort("exit_time", "Symbol")


def fills_frame(log: Any, symbols: list[str]) -> pl.DataFrame:
    """Fills from the log."""
    rows = log[(log["kind"] == state.ENTRY) | (log["kind"] == state.EXIT)]
    return pl.DataFrame(
        {
            "Symbol": names(rows["symbol"], symbols),
            "setup_time": _instants(rows["setup"]),
            "time": _instants(rows["time"]),
            "kind": pl.Series(np.where(rows["kind"] == state.ENTRY, "entry", "exit").tolist(), dtype=pl.String),
            "side": rows["side"].astype(np.int8),
            "qty": rows["qty"],
            "price": rows["price"],
            "fee": rows["fee"],
            "reason": reasons(rows["reason"]),
        },
        schema=FILLS,
    )


def rejected_frame(log: Any, symbols: list[str]) -> pl.DataFrame:
    """Rejected setups from the log; expired ones are not rejections."""
    rows = log[log["kind"] == state.REJECTED]
    return pl.DataFrame(
        {
            "Symbol": names(rows["symbol"], symbols),
            "setup_time": _instants(rows["setup"]),
            "time": _instants(rows["time"]),
            "reason": reasons(rows["reason"]),
        },
        schema=REJECTED,
    )


def names(index: Any, symbols: list[str]) -> pl.Series:
    return pl.Series(symbols, dtype=pl.String).gather(pl.Series(index, dtype=pl.UInt32))


def reasons(codes: Any) -> pl.Series:
    return pl.Series(codes, dtype=pl.Int64).replace_strict(state.REASONS, return_dtype=pl.String)


def _instants(microseconds: Any) -> pl.Series:
    return pl.Series(np.ascontiguousarray(microseconds), dtype=pl.Int64).cast(INSTANT)
