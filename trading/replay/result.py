"""What a replay gives back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from trading.replay import state
from trading.replay.machine import Machine
from trading.replay.memory import arrays

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

_REASONS = pl.Series([state.REASONS.get(code) for code in range(max(state.REASONS) + 1)], dtype=pl.String)


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
        metrics: see :func:`trading.replay.metrics.as_metrics`.
    """

    trades: pl.DataFrame
    fills: pl.DataFrame
    rejected: pl.DataFrame
    equity: pl.DataFrame
    metrics: dict[str, float | int | None]


def trades_frame(machine: Machine) -> pl.DataFrame:
    """Closed trades from the log of a finished run, which it does not keep."""
    from trading.replay.layout import lay_out_trades

    n = int(machine.run[0]["closed"])
    order = _exit_order(machine.log.whole[:, :n])
    whole, money, coded = [(n, "i8")] * 4, [(n, "f8")] * 5, [(n, "u4")] * 2
    setup, entry_time, exit_time, bars, qty, entry_price, exit_price, fees, pnl, symbol, reason, side = arrays(
        *whole, *money, *coded, (n, "i1")
    )
    lay_out_trades(
        machine.log, order, symbol, setup, side, qty, entry_time, entry_price, exit_time, exit_price, reason, fees, pnl,
        bars,
    )  # fmt: skip
    return pl.DataFrame(
        {
            "Symbol": names(symbol, machine.symbols),
            "setup_time": _instants(setup),
            "side": pl.Series(side),
            "qty": _floats(qty),
            "entry_time": _instants(entry_time),
            "entry_price": _floats(entry_price),
            "exit_time": _instants(exit_time),
            "exit_price": _floats(exit_price),
            "exit_reason": reasons(reason),
            "fees": _floats(fees),
            "pnl": _floats(pnl),
            "bars_held": pl.Series(bars),
        },
        schema=TRADES,
    )


def fills_frame(machine: Machine) -> pl.DataFrame:
    """Fills from the log of a finished run: each trade's entry and exit, in the order in which they came."""
    from trading.replay.layout import lay_out_fills

    r = machine.run[0]
    trades = int(r["closed"])
    n = 2 * trades
    whole, money, coded = [(n, "i8")] * 2, [(n, "f8")] * 3, [(n, "u4")] * 3
    setup, time, qty, price, fee, symbol, is_exit, reason, side = arrays(*whole, *money, *coded, (n, "i1"))
    lay_out_fills(
        machine.log, int(r["order"]), np.empty(trades, np.int64), symbol, setup, time, is_exit, side, qty, price, fee,
        reason,
    )  # fmt: skip
    return pl.DataFrame(
        {
            "Symbol": names(symbol, machine.symbols),
            "setup_time": _instants(setup),
            "time": _instants(time),
            "kind": names(is_exit, ["entry", "exit"]),
            "side": pl.Series(side),
            "qty": _floats(qty),
            "price": _floats(price),
            "fee": _floats(fee),
            "reason": reasons(reason),
        },
        schema=FILLS,
    )


def equity_frame(grid: npt.NDArray[np.int64], curve: state.Curve) -> pl.DataFrame:
    """A curve that is complete, by the timestamps of the grid; its columns are the curve's own memory."""
    from trading.replay.curve import draw

    equity, drawdown = arrays((len(grid), "f8"), (len(grid), "f8"))
    draw(curve, equity, drawdown)
    return pl.DataFrame(
        {
            "Timestamp": _instants(grid),
            "realised": _floats(curve.realised),
            "unrealised": _floats(curve.unrealised),
            "equity": _floats(equity),
            "drawdown": _floats(drawdown),
        }
    )


def rejected_frame(machine: Machine) -> pl.DataFrame:
    """Rejected setups from the log; expired ones are not rejections."""
    drops = machine.log.drops[:, : int(machine.run[0]["drops"])]
    if (drops[state.D_KIND] != state.REJECTED).any():
        drops = drops[:, drops[state.D_KIND] == state.REJECTED]
    return pl.DataFrame(
        {
            "Symbol": names(drops[state.D_SYMBOL], machine.symbols),
            "setup_time": _instants(drops[state.D_SETUP]),
            "time": _instants(drops[state.D_TIME]),
            "reason": reasons(drops[state.D_REASON]),
        },
        schema=REJECTED,
    )


def _exit_order(whole: Any) -> Any:
    """The permutation that sorts trades by (exit_time, Symbol); the log is nearly in that order."""
    from trading.replay.layout import exit_order

    if (whole[state.T_REASON] == state.END).any():
        # their exit_time can lie far back
        return np.lexsort((whole[state.T_SYMBOL], whole[state.T_EXIT_TIME]))
    order = np.empty(whole.shape[1], np.int64)
    exit_order(whole[state.T_EXIT_TIME], whole[state.T_SYMBOL], order)
    return order


def names(index: Any, symbols: list[str]) -> pl.Series:
    return pl.Series(symbols, dtype=pl.String).gather(pl.Series(index.astype(np.uint32, copy=False)))


def reasons(codes: Any) -> pl.Series:
    return _REASONS.gather(pl.Series(codes.astype(np.uint32, copy=False)))


def _floats(values: Any) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64)


def _instants(microseconds: Any) -> pl.Series:
    return pl.Series(microseconds, dtype=pl.Int64).cast(INSTANT)
