"""Sharpe ratios of the best of many, against published examples, answers worked by hand, and scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from trading.errors import DataError
from trading.lab.deflated_sharpe import (
    ReturnMoments,
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    independent_trials,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
)


class TestDeflatedSharpe:
    """The numerical example of Bailey and Lopez de Prado (2014): annual Sharpe 2.5 over five years of 250 days."""

    sharpe = 2.5 / math.sqrt(250)
    variance = 0.5 / 250

    def test_expected_maximum(self):
        assert expected_maximum_sharpe(100, self.variance) == pytest.approx(0.1132, abs=5e-5)

    @pytest.mark.parametrize(
        ("trials", "skew", "kurtosis", "expected"),
        [(100, -3.0, 10.0, 0.9004), (46, -3.0, 10.0, 0.9505), (88, 0.0, 3.0, 0.9505)],
    )
    def test_published(self, trials, skew, kurtosis, expected):
        found = deflated_sharpe_ratio(
            self.sharpe,
            trials=trials,
            trials_variance=self.variance,
            observations=1250,
            skew=skew,
            kurtosis=kurtosis,
        )
        assert found == pytest.approx(expected, abs=5e-5)

    def test_one_trial_is_the_plain_probability(self):
        one = deflated_sharpe_ratio(0.1, trials=1, trials_variance=0.3, observations=101)
        # z = 0.1 * 10 / sqrt(1 + 0.005)
        assert one == pytest.approx(0.5 * (1 + math.erf(1 / math.sqrt(1.005) / math.sqrt(2))))

    def test_more_trials_deflate_more(self):
        found = [
            deflated_sharpe_ratio(self.sharpe, trials=n, trials_variance=self.variance, observations=1250)
            for n in (1, 2, 10, 100, 1000)
        ]
        assert found == sorted(found, reverse=True)

    def test_no_figure_where_the_estimate_has_no_variance(self):
        assert probabilistic_sharpe_ratio(1.0, 0.0, 1) is None
        assert probabilistic_sharpe_ratio(1.0, 0.0, 100, skew=3.0, kurtosis=3.0) is None


def test_moments_worked_by_hand():
    # mean 1; deviations -1, -1, -1, 3: squares 1 1 1 9, so m2 = 3; cubes -1 -1 -1 27, m3 = 6; fourths 1 1 1 81, m4 = 21
    found = ReturnMoments.of(np.array([0.0, 0.0, 0.0, 4.0]))
    assert found is not None
    assert found.observations == 4
    assert found.sharpe == pytest.approx(1 / 2)  # sample deviation: root of 12 / 3
    assert found.skew == pytest.approx(6 / 3**1.5)
    assert found.kurtosis == pytest.approx(21 / 9)


def test_moments_are_scipys():
    values = np.random.default_rng(3).standard_t(5, size=400) * 0.01 + 0.0005
    found = ReturnMoments.of(values)
    assert found is not None
    assert found.skew == pytest.approx(stats.skew(values))
    assert found.kurtosis == pytest.approx(stats.kurtosis(values, fisher=False))
    assert found.sharpe == pytest.approx(values.mean() / values.std(ddof=1))


@pytest.mark.parametrize("values", [[], [0.1], [0.1, 0.1, 0.1]])
def test_no_moments_of_what_does_not_vary(values):
    assert ReturnMoments.of(np.array(values)) is None


def test_probability_is_scipys():
    expected = stats.norm.cdf((0.1 - 0.03) * math.sqrt(249) / math.sqrt(1 + 0.4 * 0.1 + (7 - 1) / 4 * 0.1**2))
    assert probabilistic_sharpe_ratio(0.1, 0.03, 250, skew=-0.4, kurtosis=7.0) == pytest.approx(expected)


def test_the_expected_maximum_is_about_what_noise_shows():
    """The mean of the best of 50 standard normal numbers, over many tries; the formula is an approximation to 1 %."""
    best = np.random.default_rng(1).normal(size=(20_000, 50)).max(axis=1).mean()
    assert expected_maximum_sharpe(50, 1.0) == pytest.approx(best, rel=0.02)


class TestMinimumTrackRecord:
    def test_worked_by_hand(self):
        # normal returns, SR 0.1 against 0: 1 + (1 + 0.5 * 0.01) * (1.644854 / 0.1)^2 = 1 + 1.005 * 270.5543
        assert minimum_track_record_length(0.1, 0.0) == pytest.approx(272.907, abs=1e-3)

    def test_the_probability_at_that_length_is_the_confidence(self):
        length = minimum_track_record_length(0.08, 0.01, 0.9, skew=-1.0, kurtosis=6.0)
        assert length is not None
        below, above = (
            probabilistic_sharpe_ratio(0.08, 0.01, count, -1.0, 6.0)
            for count in (math.floor(length), math.ceil(length))
        )
        assert below < 0.9 <= above

    def test_none_is_long_enough_under_the_benchmark(self):
        assert minimum_track_record_length(0.1, 0.1) is None
        assert minimum_track_record_length(-0.1, 0.0) is None

    @pytest.mark.parametrize("confidence", [0.5, 1.0, 95.0])
    def test_wrong_confidence(self, confidence):
        with pytest.raises(DataError, match="confidence must be above"):
            minimum_track_record_length(0.1, 0.0, confidence)


class TestIndependentTrials:
    def test_copies_are_one_trial(self):
        returns = np.random.default_rng(2).normal(size=(100, 1)).repeat(7, axis=1)
        assert independent_trials(returns) == pytest.approx(1.0)

    def test_uncorrelated_ones_count_in_full(self):
        # columns at right angles: every correlation is exactly 0
        returns = np.array([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
        assert independent_trials(returns) == pytest.approx(3.0)

    def test_the_average_correlation_is_numpys(self):
        random = np.random.default_rng(4)
        returns = random.normal(size=(300, 6)) + random.normal(size=(300, 1))
        matrix = np.corrcoef(returns.T)
        rho = (matrix.sum() - 6) / 30
        assert independent_trials(returns) == pytest.approx(rho + (1 - rho) * 6)

    def test_what_never_moves_is_no_trial(self):
        assert independent_trials(np.zeros((10, 4))) == 1.0


_sharpe = st.floats(-0.5, 0.5)


@given(_sharpe, st.integers(1, 10_000), st.floats(0, 0.01), st.integers(2, 2000), st.floats(-2, 2), st.floats(1, 12))
def test_deflating_never_helps(sharpe, trials, variance, observations, skew, kurtosis):
    plain = probabilistic_sharpe_ratio(sharpe, 0.0, observations, skew, kurtosis)
    deflated = deflated_sharpe_ratio(
        sharpe, trials=trials, trials_variance=variance, observations=observations, skew=skew, kurtosis=kurtosis
    )
    if plain is None:
        assert deflated is None
    else:
        assert deflated is not None
        assert 0 <= deflated <= plain <= 1
