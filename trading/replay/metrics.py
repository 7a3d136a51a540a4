"""Figures that sum up a replay."""

import math

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]

SESSIONS_PER_YEAR = 252


def equity_frame(curve: pl.DataFrame) -> pl.DataFrame:
    """Add ``equity`` and ``drawdown`` to Timestamp, realised, unrealised (one row a timestamp, ascending)."""
    equity = pl.col("realised") + pl.col("unrealised")
    return curve.with_columns(equity=equity).with_columns(drawdown=1.0 - pl.col("equity") / pl.col("equity").cum_max())


def sharpe(
    session_equity: pl.Series | Floats, initial_cash: float, sessions_per_year: int = SESSIONS_PER_YEAR
) -> float | None:
    """Annualised Sharpe ratio of session returns, without a risk-free rate.

    Mean over sample standard deviation (n - 1) of the returns, times the root of ``sessions_per_year``; the
    first return is that of the first session over ``initial_cash``. None under two sessions, where the
    deviation is zero, or where equity was not positive at the end of a session but the last (a return over it
    would mean nothing).
    """
    n = len(session_equity)
    if n < 2:
        return None
    levels = np.empty(n + 1)
    levels[0], levels[1:] = initial_cash, session_equity
    if levels[:-1].min() <= 0:
        return None
    returns = levels[1:] / levels[:-1] - 1.0
    mean = float(returns.mean())
    deviation = math.sqrt(float(np.square(returns - mean).sum()) / (n - 1))
    # equal returns differ in their last bits only
    if deviation <= 1e-14 * (1.0 + abs(mean)):
        return None
    return mean / deviation * math.sqrt(sessions_per_year)


def summarise(
    pnl: Floats,
    session_equity: Floats,
    *,
    initial_cash: float,
    final_cash: float,
    max_drawdown: float,
    bars_held: int,
    bars: int,
    sessions_per_year: int = SESSIONS_PER_YEAR,
) -> dict[str, float | int | None]:
    """The metrics of :class:`trading.replay.ReplayResult`.

    Money in currency, rates as fractions. A trade with pnl > 0 is a win, any other a loss. None where a
    figure has no meaning: win_rate and expectancy without trades, avg_win without wins, avg_loss (zero or
    negative) without losses, profit_factor (sum of wins over sum of losses) where losses sum to zero, sharpe
    as :func:`sharpe` says. max_drawdown is a positive fraction of the running peak of equity at Close;
    exposure is the share of all bars (Symbol and Timestamp) on which their Symbol was held.
    """
    wins, losses = pnl[pnl > 0], pnl[pnl <= 0]
    lost = -float(losses.sum())
    return {
        "initial_cash": initial_cash,
        "final_cash": final_cash,
        "net_pnl": final_cash - initial_cash,
        "num_trades": len(pnl),
        "win_rate": len(wins) / len(pnl) if len(pnl) else None,
        "profit_factor": float(wins.sum()) / lost if lost > 0 else None,
        "avg_win": _mean(wins),
        "avg_loss": _mean(losses),
        "expectancy": _mean(pnl),
        "sharpe": sharpe(session_equity, initial_cash, sessions_per_year),
        "max_drawdown": max_drawdown,
        "exposure": bars_held / bars if bars else 0.0,
    }


def _mean(values: Floats) -> float | None:
    return float(values.sum()) / len(values) if len(values) else None
