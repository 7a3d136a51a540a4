"""How much of a win rate is luck. Sharpe ratios and overfitting: :mod:`trading.lab`."""

import math
from statistics import NormalDist

from trading.errors import DataError

_NORMAL = NormalDist()


def wilson_lower_bound(wins: int, trades: int, confidence: float = 0.95) -> float | None:
    """Lower end of Wilson's two-sided score interval for a win rate; None without trades.

    Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference, Journal of the
    American Statistical Association 22(158), 209-212.

    Raises:
        DataError: ``wins`` outside 0 to ``trades``, or ``confidence`` outside 0 to 1.
    """
    if not 0 <= wins <= trades:
        raise DataError(f"wins must be from 0 to the {trades} trades, got {wins}")
    if not 0 < confidence < 1:
        raise DataError(f"confidence must be between 0 and 1, got {confidence}")
    if trades == 0:
        return None
    if wins == 0:
        return 0.0
    z = _NORMAL.inv_cdf(0.5 + confidence / 2)
    rate = wins / trades
    centre = rate + z * z / (2 * trades)
    margin = z * math.sqrt(rate * (1 - rate) / trades + z * z / (4 * trades * trades))
    return (centre - margin) / (1 + z * z / trades)
