"""How much of a good backtest is luck: bounds and corrections by published formulas."""

import math
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np

from trading.errors import DataError

_NORMAL = NormalDist()
_EULER_MASCHERONI = 0.5772156649015329


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


def probabilistic_sharpe_ratio(
    sharpe: float, benchmark: float, observations: int, skew: float = 0.0, kurtosis: float = 3.0
) -> float | None:
    """Probability that the true Sharpe ratio is above ``benchmark``, both per observation (not annualised).

    Bailey, D. H. and Lopez de Prado, M. (2012), The Sharpe ratio efficient frontier, Journal of Risk 15(2),
    3-44, section 3.

    Args:
        observations: number of returns.
        skew, kurtosis: of the returns; kurtosis of the normal distribution is 3.

    Returns:
        None where the estimate has no variance: under two observations, or moments that no sample has.
    """
    variance = 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe * sharpe
    if observations < 2 or variance <= 0:
        return None
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt(observations - 1) / math.sqrt(variance))


def expected_maximum_sharpe(trials: int, variance: float) -> float:
    """Sharpe ratio that the best of ``trials`` worthless variants is expected to show.

    Bailey, D. H. and Lopez de Prado, M. (2014), The deflated Sharpe ratio, Journal of Portfolio Management
    40(5), 94-107, eq. 1 with a mean of zero.

    Args:
        trials: independent trials, at least 1; one trial has no best of many and gives 0.
        variance: of the trials' Sharpe ratios, per observation squared.
    """
    if trials < 1 or variance < 0:
        raise DataError(f"trials must be at least 1 and variance not negative, got {trials} and {variance}")
    if trials == 1:
        return 0.0
    gamma = _EULER_MASCHERONI
    high = _NORMAL.inv_cdf(1 - 1 / trials)
    higher = _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - gamma) * high + gamma * higher)


def deflated_sharpe_ratio(
    sharpe: float,
    *,
    trials: int,
    trials_variance: float,
    observations: int,
    skew: float = 0.0,
    kurtosis: float = 3.0,
) -> float | None:
    """Probability that the true Sharpe ratio is positive, given that it is the best of ``trials``.

    Bailey and Lopez de Prado (2014), eq. 2: the probabilistic Sharpe ratio against
    :func:`expected_maximum_sharpe`. All Sharpe ratios per observation. None as in
    :func:`probabilistic_sharpe_ratio`.
    """
    benchmark = expected_maximum_sharpe(trials, trials_variance)
    return probabilistic_sharpe_ratio(sharpe, benchmark, observations, skew, kurtosis)


def pbo_cscv(returns: np.ndarray[Any, np.dtype[Any]], blocks: int = 16) -> float:
    """Probability of backtest overfitting, by combinatorially symmetric cross-validation.

    Bailey, D. H., Borwein, J., Lopez de Prado, M. and Zhu, Q. J. (2017), The probability of backtest
    overfitting, Journal of Computational Finance 20(4), 39-69, section 3. The rows are cut into ``blocks``
    equal parts. For every choice of half of them the variant with the best Sharpe ratio there is ranked
    among all on the other half: ``w = rank / (N + 1)``. The result is the share of choices with ``log(w / (1
        - w)) <= 0``, that is, in which the
    best in sample is no better than the median out of sample.

    Ties take the first best in sample and the mean rank out of sample. A Sharpe ratio over returns without
    deviation is 0. Where ``blocks`` does not divide the rows, the oldest ones are left out.

    Args:
        returns: shape (observations, variants), finite, oldest first.
        blocks: even, from 2 to 20 (20 make 184,756 choices).

    Raises:
        DataError: wrong shape, fewer than two variants, fewer than two rows a block, or values not finite.
    """
    values = np.asarray(returns, dtype=np.float64)
    if blocks % 2 or not 2 <= blocks <= 20:
        raise DataError(f"blocks must be even, from 2 to 20, got {blocks}")
    if values.ndim != 2 or values.shape[1] < 2 or values.shape[0] < 2 * blocks:
        raise DataError(
            f"returns must have two or more columns and at least {2 * blocks} rows, the shape is {values.shape}"
        )
    if not np.isfinite(values).all():
        raise DataError("returns must be finite")
    variants = values.shape[1]
    size = values.shape[0] // blocks
    parts = values[values.shape[0] - size * blocks :].reshape(blocks, size, variants)
    sums, squares = parts.sum(axis=1), (parts**2).sum(axis=1)
    chosen = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for row, picks in enumerate(combinations(range(blocks), blocks // 2)):
        chosen[row, list(picks)] = 1.0
    count = size * blocks // 2
    in_sample = _sharpe(chosen @ sums, chosen @ squares, count)
    out_of_sample = _sharpe((1 - chosen) @ sums, (1 - chosen) @ squares, count)
    best = np.argmax(in_sample, axis=1)
    own = out_of_sample[np.arange(len(best)), best][:, None]
    below, equal = (out_of_sample < own).sum(axis=1), (out_of_sample == own).sum(axis=1)
    rank = below + (equal + 1) / 2
    # log(w / (1 - w)) <= 0 exactly where w <= 1/2
    return float(np.mean(2 * rank <= variants + 1))


def _sharpe(
    sums: np.ndarray[Any, np.dtype[Any]], squares: np.ndarray[Any, np.dtype[Any]], count: int
) -> np.ndarray[Any, np.dtype[Any]]:
    mean = sums / count
    variance = squares / count - mean**2
    flat = variance <= 1e-14 * (squares / count)
    ratio: np.ndarray[Any, np.dtype[Any]] = np.where(flat, 0.0, mean / np.sqrt(np.where(flat, 1.0, variance)))
    return ratio
