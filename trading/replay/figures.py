"""The figures that sum up a run, compiled; what they mean: :func:`trading.replay.metrics.as_metrics`."""

import math
from typing import Any

from trading.replay import state
from trading.replay.compiled import compiled
from trading.replay.metrics import FIGURES

PNL, BARS, ENTRY_BAR = state.T_PNL, state.T_BARS, state.T_ENTRY_BAR
(
    FINAL_CASH, NET_PNL, NUM_TRADES, WIN_RATE, PROFIT_FACTOR, AVG_WIN, AVG_LOSS, EXPECTANCY, SHARPE, MAX_DRAWDOWN,
    EXPOSURE,
) = range(len(FIGURES))  # fmt: skip


@compiled
def _over(a: float, b: float) -> float:
    return a / b if b > 0.0 else math.nan


@compiled
def _sums(money: Any, n: int) -> Any:
    """(wins, their sum, sum of losses): compensated sums (Neumaier), whose error does not grow with their number."""
    wins = 0
    won = won_rest = lost = lost_rest = 0.0
    for i in range(n):
        x = money[PNL, i]
        if x > 0.0:
            wins += 1
            total = won + x
            won_rest += (won - total) + x if won >= x else (x - total) + won
            won = total
        else:
            total = lost + x
            lost_rest += (lost - total) + x if lost <= x else (x - total) + lost
            lost = total
    return wins, won + won_rest, lost + lost_rest


@compiled
def sharpe(levels: Any, cash: float, per_year: float) -> float:
    """See :func:`trading.replay.metrics.sharpe`; NaN for its None."""
    n = levels.shape[0]
    if n < 2 or cash <= 0.0:
        return math.nan
    total = 0.0
    before = cash
    for i in range(n):
        if before <= 0.0:
            return math.nan
        total += levels[i] / before - 1.0
        before = levels[i]
    mean = total / n
    squares = 0.0
    before = cash
    for i in range(n):
        squares += (levels[i] / before - 1.0 - mean) ** 2
        before = levels[i]
    deviation = math.sqrt(squares / (n - 1))
    # equal returns differ in their last bits only
    if deviation <= 1e-14 * (1.0 + abs(mean)):
        return math.nan
    return float(mean / deviation * math.sqrt(per_year))


@compiled
def sum_up(
    run_: Any, log: Any, levels: Any, cash: float, drawdown: float, bars: int, per_year: float, out: Any
) -> None:
    """Fill a row of figures (FIGURES; NaN = it has no meaning) of a finished run, with equity at the ends of sessions.

    Every function here takes the run's record: it makes numba's disk cache see the numbers of :mod:`trading.replay.state`.
    """
    r = run_[0]
    closed, final_cash = r.closed, r.cash + r.carry
    wins, won, lost = _sums(log.money, closed)
    held = 0
    for i in range(closed):
        held += log.whole[BARS, i]
    out[FINAL_CASH] = final_cash
    out[NET_PNL] = final_cash - cash
    out[NUM_TRADES] = closed
    out[WIN_RATE] = _over(wins, closed)
    out[PROFIT_FACTOR] = _over(won, -lost)
    out[AVG_WIN] = _over(won, wins)
    out[AVG_LOSS] = _over(lost, closed - wins)
    out[EXPECTANCY] = _over(won + lost, closed)
    out[SHARPE] = sharpe(levels, cash, per_year)
    out[MAX_DRAWDOWN] = drawdown
    out[EXPOSURE] = held / bars if bars > 0 else 0.0


@compiled
def by_session(run_: Any, log: Any, days: Any, first_day: int, place: Any, trades: Any, won: Any, lost: Any) -> None:
    """Add a finished run's trades to sums by the session of their exit; `place` has the index of each day."""
    for i in range(run_[0].closed):
        row = log.whole[ENTRY_BAR, i] + log.whole[BARS, i] - 1
        session = place[days[row] - first_day]
        pnl = log.money[PNL, i]
        trades[session] += 1
        if pnl > 0.0:
            won[session] += pnl
        else:
            lost[session] -= pnl
