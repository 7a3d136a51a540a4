"""Figures that sum up a replay."""

import math

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]

SESSIONS_PER_YEAR = 252
FIGURES = (
    "final_cash", "net_pnl", "num_trades", "win_rate", "profit_factor", "avg_win", "avg_loss", "expectancy", "sharpe",
    "max_drawdown", "exposure",
)  # fmt: skip
"""What a run is summed up by, in the order of :func:`as_metrics`."""


def sharpe(
    session_equity: pl.Series | Floats, initial_cash: float, sessions_per_year: int = SESSIONS_PER_YEAR
) -> float | None:
    """Annualised Sharpe ratio of session returns, without a risk-free rate.

    Mean over sample standard deviation (n - 1) of the returns, times the root of ``sessions_per_year``; the
    first return is that of the first session over ``initial_cash``. None under two sessions, where the
    deviation is zero, or where equity was not positive at the end of a session but the last (a return over it
    would mean nothing).
    """
    from trading.replay import figures

    found = figures.sharpe(np.ascontiguousarray(session_equity, dtype=np.float64), initial_cash, sessions_per_year)
    return None if math.isnan(found) else float(found)


def as_metrics(initial_cash: float, figures: Floats) -> dict[str, float | int | None]:
    """The metrics of :class:`trading.replay.ReplayResult` from a row of :mod:`trading.replay.figures`.

    Money in currency, rates as fractions. A trade with pnl > 0 is a win, any other a loss. None where a
    figure has no meaning: win_rate and expectancy without trades, avg_win without wins, avg_loss (zero or
    negative) without losses, profit_factor (sum of wins over sum of losses) where losses sum to zero, sharpe
    as :func:`sharpe` says. max_drawdown is a positive fraction of the running peak of equity at Close;
    exposure is the share of all bars (Symbol and Timestamp) on which their Symbol was held.
    """
    found = {name: None if math.isnan(value) else value for name, value in zip(FIGURES, figures.tolist(), strict=True)}
    return {"initial_cash": initial_cash, **found, "num_trades": int(figures[FIGURES.index("num_trades")])}
