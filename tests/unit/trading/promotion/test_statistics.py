"""Statistics against published examples and answers worked by hand."""

import itertools
import math

import numpy as np
import pytest

from trading.errors import DataError
from trading.promotion.statistics import (
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    pbo_cscv,
    probabilistic_sharpe_ratio,
    wilson_lower_bound,
)


@pytest.mark.parametrize(
    ("wins", "trades", "expected"),
    [
        # z = 1.959964; 8 of 10: (0.8 + 0.192073 - 0.313713 ...) / 1.384146
        (8, 10, 0.490162),
        (1, 1, 0.206549),
        (10, 100, 0.055229),
        (50, 100, 0.403832),
        (0, 5, 0.0),
    ],
)
def test_wilson(wins, trades, expected):
    assert wilson_lower_bound(wins, trades) == pytest.approx(expected, abs=2e-6)


def test_wilson_edges():
    assert wilson_lower_bound(0, 0) is None
    # all won: n / (n + z^2)
    assert wilson_lower_bound(20, 20) == pytest.approx(20 / (20 + 1.959964**2), abs=1e-6)
    assert wilson_lower_bound(600, 1000, 0.99) < wilson_lower_bound(600, 1000, 0.95) < 0.6
    for wins, trades in ((3, 2), (-1, 2)):
        with pytest.raises(DataError, match="wins must be from 0"):
            wilson_lower_bound(wins, trades)


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


class TestOverfitting:
    def test_worked_by_hand(self):
        # Two blocks of two rows. The best of block 1 is A (means 2 and 1, equal deviation); on block 2 A is the
        # worse: rank 1 of 2, w = 1/3, logit < 0. The best of block 2 is B, worse on block 1: logit < 0. So 1.
        returns = np.array([[3.0, 2.0], [1.0, 0.0], [2.0, 3.0], [0.0, 1.0]])
        assert pbo_cscv(returns, blocks=2) == 1.0
        # A is the better in both: rank 2 of 2, w = 2/3, logit > 0
        assert pbo_cscv(np.array([[3.0, 2.0], [1.0, 0.0], [3.0, 2.0], [1.0, 0.0]]), blocks=2) == 0.0

    @pytest.mark.parametrize("variants", [2, 3, 7])
    def test_equals_the_procedure_read_step_by_step(self, variants):
        random = np.random.default_rng(variants)
        returns = random.normal(size=(67, variants))
        blocks = 6
        parts = np.split(returns[67 % blocks :], blocks)
        worse = []
        for picks in itertools.combinations(range(blocks), blocks // 2):
            inside = np.concatenate([parts[i] for i in picks])
            outside = np.concatenate([parts[i] for i in range(blocks) if i not in picks])
            best = np.argmax(inside.mean(0) / inside.std(0))
            out = outside.mean(0) / outside.std(0)
            rank = 1 + np.sum(out < out[best])
            w = rank / (variants + 1)
            worse.append(math.log(w / (1 - w)) <= 1e-12)
        assert pbo_cscv(returns, blocks) == pytest.approx(np.mean(worse))

    def test_noise_is_overfit_and_skill_is_not(self):
        random = np.random.default_rng(5)
        noise = random.normal(size=(640, 20))
        skilled = noise.copy()
        skilled[:, 3] += 1.0
        assert pbo_cscv(noise) > 0.3
        assert pbo_cscv(skilled) == 0.0

    def test_returns_without_deviation_have_no_sharpe(self):
        flat = np.zeros((8, 2))
        assert 0.0 <= pbo_cscv(flat, blocks=2) <= 1.0

    @pytest.mark.parametrize(
        ("returns", "blocks", "says"),
        [
            (np.ones((10, 1)), 2, "two or more columns"),
            (np.ones((3, 2)), 2, "at least 4 rows"),
            (np.ones((10, 2)), 3, "blocks must be even"),
            (np.full((10, 2), np.nan), 2, "finite"),
        ],
    )
    def test_wrong_input(self, returns, blocks, says):
        with pytest.raises(DataError, match=says):
            pbo_cscv(returns, blocks)
