"""The adaptive breaker: smaller orders, then none, while the market is hotter than it mostly was."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from trading.accounts import OverheatLimits


@dataclass(frozen=True)
class MarketHeat:
    """How a session moved.

    Attributes:
        realised_volatility: root of the mean over Symbols of the sum of squared log returns from bar to bar.
        gap_rate: share of bars that open further than ``gap_pct`` from the Close before them.
    """

    session: dt.date
    realised_volatility: float
    gap_rate: float


@dataclass(frozen=True)
class HeatStep:
    """Where the breaker stands after a session.

    Attributes:
        step: 0 = not tripped; n = the n-th of the account's ``steps``.
        factor: multiplies the quantity of every new order; 0.0 = no new entries.
        volatility_limit, gap_limit: what the session was held against; None = too little history.
    """

    step: int
    factor: float
    volatility_limit: float | None = None
    gap_limit: float | None = None


CALM = HeatStep(0, 1.0)


def heat_steps(history: Sequence[MarketHeat], limits: OverheatLimits) -> list[HeatStep]:
    """The breaker after each session of ``history``, oldest first; nothing but the history decides.

    A session above the ``quantile`` of its own ``lookback`` sessions before, in volatility or in gaps, goes one step
    down. One step up is gone only where both are at or under the lower ``release_quantile``: between the two it stays.
    """
    found: list[HeatStep] = []
    step = 0
    for number, now in enumerate(history):
        before = history[max(0, number - limits.lookback) : number]
        if len(before) < limits.min_sessions:
            found.append(HeatStep(step, _factor(step, limits)))
            continue
        volatility = [item.realised_volatility for item in before]
        gaps = [item.gap_rate for item in before]
        high = (quantile(volatility, limits.quantile), quantile(gaps, limits.quantile))
        low = (quantile(volatility, limits.release_quantile), quantile(gaps, limits.release_quantile))
        # a figure that is not a number is hot
        if not (now.realised_volatility <= high[0] and now.gap_rate <= high[1]):
            step = min(step + 1, len(limits.steps))
        elif now.realised_volatility <= low[0] and now.gap_rate <= low[1]:
            step = max(step - 1, 0)
        found.append(HeatStep(step, _factor(step, limits), *high))
    return found


def size_factor(history: Sequence[MarketHeat], limits: OverheatLimits | None) -> float:
    """What new orders are multiplied by after the last session of ``history``; 1.0 where the breaker is off."""
    if limits is None or not history:
        return 1.0
    return heat_steps(history, limits)[-1].factor


def quantile(values: Sequence[float], share: float) -> float:
    """Linear between the order statistics (type 7 of Hyndman and Fan, 1996, numpy's default).

    Hyndman, R. J., and Fan, Y. (1996), Sample quantiles in statistical packages, The American Statistician 50(4).
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _factor(step: int, limits: OverheatLimits) -> float:
    return 1.0 if step == 0 else limits.steps[step - 1]
