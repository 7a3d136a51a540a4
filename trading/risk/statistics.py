"""The two statistics of risk decisions, in plain arithmetic."""

import math

Z_95 = 1.959963984540054


def wilson_lower(wins: int, trades: int, z: float = Z_95) -> float:
    """Lower bound of the Wilson score interval of a win rate; 0 without trades.

    Source: E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    if trades == 0:
        return 0.0
    share = wins / trades
    centre = share + z * z / (2 * trades)
    spread = z * math.sqrt(share * (1 - share) / trades + z * z / (4 * trades * trades))
    return max(0.0, (centre - spread) / (1 + z * z / trades))


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
