"""The statistic of the losing-streak breaker, in plain arithmetic."""

import math


def binomial_tail(wins: int, trades: int, chance: float) -> float:
    """P(X <= wins) of a binomial with ``trades`` draws of probability ``chance``, summed from its logarithms."""
    if wins >= trades or chance <= 0:
        return 1.0
    if chance >= 1:
        return 0.0
    log_p, log_q = math.log(chance), math.log1p(-chance)
    total = math.lgamma(trades + 1)
    terms = (
        math.exp(total - math.lgamma(k + 1) - math.lgamma(trades - k + 1) + k * log_p + (trades - k) * log_q)
        for k in range(wins + 1)
    )
    return min(1.0, math.fsum(terms))
