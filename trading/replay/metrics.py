"""Figures that sum up a replay."""

import math

import polars as pl

SESSIONS_PER_YEAR = 252


def equity_frame(curve: pl.DataFrame) -> pl.DataFrame:
    """Add ``equity`` and ``drawdown`` to Timestamp, realised, unrealised (one row a timestamp, ascending)."""
    equity = pl.col("realised") + pl.col("unrealised")
    return curve.with_columns(equity=equity).with_columns(drawdown=1.0 - pl.col("equity") / pl.col("equity").cum_max())


def sharpe(session_equity: pl.Series, initial_cash: float, sessions_per_year: int = SESSIONS_PER_YEAR) -> float | None:
    """Annualised Sharpe ratio of session returns, without a risk-free rate.

    Mean over sample standard deviation (n - 1) of the returns, times the root of ``sessions_per_year``; the
    first return is that of the first session over ``initial_cash``. None under two sessions, where the
    deviation is zero, or where equity was not positive at the end of a session but the last (a return over it
    would mean nothing).
    """
    if session_equity.len() < 2:
        return None
    levels = pl.concat([pl.Series([initial_cash], dtype=pl.Float64), session_equity.cast(pl.Float64).rename("")])
    if (levels.slice(0, levels.len() - 1) <= 0).any():
        return None
    returns = (levels / levels.shift(1) - 1.0).slice(1)
    mean, deviation = returns.mean(), returns.std()
    # equal returns differ in their last bits only
    if not isinstance(mean, float) or not isinstance(deviation, float) or deviation <= 1e-14 * (1.0 + abs(mean)):
        return None
    return mean / deviation * math.sqrt(sessions_per_year)


def summarise(
    trades: pl.DataFrame,
    equity: pl.DataFrame,
    session_equity: pl.Series,
    *,
    initial_cash: float,
    final_cash: float,
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
    pnl = trades["pnl"]
    wins, losses = pnl.filter(pnl > 0), pnl.filter(pnl <= 0)
    lost = -float(losses.sum())
    drawdown = equity["drawdown"].max()
    return {
        "initial_cash": initial_cash,
        "final_cash": final_cash,
        "net_pnl": final_cash - initial_cash,
        "num_trades": trades.height,
        "win_rate": wins.len() / trades.height if trades.height else None,
        "profit_factor": float(wins.sum()) / lost if lost > 0 else None,
        "avg_win": _mean(wins),
        "avg_loss": _mean(losses),
        "expectancy": _mean(pnl),
        "sharpe": sharpe(session_equity, initial_cash, sessions_per_year),
        "max_drawdown": drawdown if isinstance(drawdown, float) else 0.0,
        "exposure": int(trades["bars_held"].sum()) / bars if bars else 0.0,
    }


def _mean(values: pl.Series) -> float | None:
    return float(values.sum()) / values.len() if values.len() else None
