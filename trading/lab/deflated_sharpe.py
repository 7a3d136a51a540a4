"""The Sharpe ratio of the best of many: how likely it is that it stands for more than luck.

All Sharpe ratios here are per observation (a session), not annualised.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from trading.errors import DataError

_NORMAL = NormalDist()
_EULER_MASCHERONI = 0.5772156649015329

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class ReturnMoments:
    """What the formulas take of a series of returns.

    Attributes:
        observations: number of returns.
        sharpe: mean over sample standard deviation (n - 1), as the replay's, without the root of the sessions a year.
        skew, kurtosis: moments of the sample about its mean (divided by n); kurtosis of the normal distribution is 3.
    """

    observations: int
    sharpe: float
    skew: float
    kurtosis: float

    @classmethod
    def of(cls, returns: Array) -> "ReturnMoments | None":
        """Of shape (observations,), finite; None under two of them, or where they do not vary."""
        values = np.asarray(returns, dtype=np.float64)
        if values.size < 2:
            return None
        mean = float(values.mean())
        away = values - mean
        variance = float(np.mean(away**2))
        deviation = math.sqrt(variance)
        # equal returns differ in their last bits only
        if deviation <= 1e-14 * (1.0 + abs(mean)):
            return None
        size = values.size
        return cls(
            observations=size,
            sharpe=mean / math.sqrt(variance * size / (size - 1)),
            skew=float(np.mean(away**3)) / deviation**3,
            kurtosis=float(np.mean(away**4)) / variance**2,
        )


def probabilistic_sharpe_ratio(
    sharpe: float, benchmark: float, observations: int, skew: float = 0.0, kurtosis: float = 3.0
) -> float | None:
    """Probability that the true Sharpe ratio is above ``benchmark``.

    Bailey, D. H. and Lopez de Prado, M. (2012), The Sharpe ratio efficient frontier, Journal of Risk 15(2),
    3-44, section 3.

    Args:
        observations: number of returns.
        skew, kurtosis: of the returns; kurtosis of the normal distribution is 3.

    Returns:
        None where the estimate has no variance: under two observations, or moments that no sample has.
    """
    variance = _variance_factor(sharpe, skew, kurtosis)
    if observations < 2 or variance <= 0:
        return None
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt(observations - 1) / math.sqrt(variance))


def minimum_track_record_length(
    sharpe: float,
    benchmark: float,
    confidence: float = 0.95,
    skew: float = 0.0,
    kurtosis: float = 3.0,
) -> float | None:
    """Observations from which on the true Sharpe ratio is above ``benchmark`` with probability ``confidence``.

    Bailey and Lopez de Prado (2012), section 4: ``1 + (1 - skew SR + (kurtosis - 1) / 4 SR^2) (z / (SR - SR*))^2``.
    None where the Sharpe ratio is not above the benchmark, so that no length would do, or as in
    :func:`probabilistic_sharpe_ratio`.

    Raises:
        DataError: ``confidence`` not above 0.5 and below 1.
    """
    if not 0.5 < confidence < 1:
        raise DataError(f"confidence must be above 0.5 and below 1, got {confidence}")
    variance = _variance_factor(sharpe, skew, kurtosis)
    if sharpe <= benchmark or variance <= 0:
        return None
    return 1 + variance * (_NORMAL.inv_cdf(confidence) / (sharpe - benchmark)) ** 2


def expected_maximum_sharpe(trials: float, variance: float) -> float:
    """Sharpe ratio that the best of ``trials`` worthless variants is expected to show.

    Bailey, D. H. and Lopez de Prado, M. (2014), The deflated Sharpe ratio, Journal of Portfolio Management
    40(5), 94-107, eq. 1 with a mean of zero.

    Args:
        trials: independent trials, at least 1, whole or not; one trial has no best of many and gives 0.
        variance: of the trials' Sharpe ratios, per observation squared.
    """
    if trials < 1 or variance < 0:
        raise DataError(f"trials must be at least 1 and variance not negative, got {trials} and {variance}")
    if trials == 1:
        return 0.0
    gamma = _EULER_MASCHERONI
    high = _NORMAL.inv_cdf(1 - 1 / trials)
    higher = _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return max(0.0, math.sqrt(variance) * ((1 - gamma) * high + gamma * higher))


def deflated_sharpe_ratio(
    sharpe: float,
    *,
    trials: float,
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


def independent_trials(returns: Array) -> float:
    """How many independent trials correlated ones are worth.

    Bailey and Lopez de Prado (2014), appendix 3: ``rho + (1 - rho) M``, rho being the average correlation of the M
    trials' returns; a negative average counts as none.

    Args:
        returns: shape (observations, trials), finite; trials without variation are left out.
    """
    values = np.asarray(returns, dtype=np.float64)
    away = values - values.mean(axis=0)
    deviation = np.sqrt((away**2).mean(axis=0))
    moves = deviation > 1e-14
    count = int(moves.sum())
    if count < 2:
        return float(max(count, 1))
    standard = away[:, moves] / deviation[moves]
    # the sum of all correlations is the mean square of the row sums; the diagonal is count
    total = float(np.mean(standard.sum(axis=1) ** 2))
    rho = max(0.0, (total - count) / (count * (count - 1)))
    return rho + (1 - rho) * count


def _variance_factor(sharpe: float, skew: float, kurtosis: float) -> float:
    return 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe * sharpe
