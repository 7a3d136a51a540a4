"""CSCV against answers worked by hand, and against the procedure read step by step."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from trading.errors import DataError
from trading.lab import overfitting
from trading.lab.overfitting import cscv, split_count


class TestProbability:
    def test_worked_by_hand(self):
        # Two blocks of two rows. The best of block 1 is A (means 2 and 1, equal deviation); on block 2 A is the
        # worse: rank 1 of 2, w = 1/3, logit < 0. The best of block 2 is B, worse on block 1: logit < 0. So 1.
        returns = np.array([[3.0, 2.0], [1.0, 0.0], [2.0, 3.0], [0.0, 1.0]])
        assert cscv(returns, blocks=2).pbo == 1.0
        # A is the better in both: rank 2 of 2, w = 2/3, logit > 0
        assert cscv(np.array([[3.0, 2.0], [1.0, 0.0], [3.0, 2.0], [1.0, 0.0]]), blocks=2).pbo == 0.0

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
        assert cscv(returns, blocks).pbo == pytest.approx(np.mean(worse))

    def test_noise_is_overfit_and_skill_is_not(self):
        random = np.random.default_rng(5)
        noise = random.normal(size=(640, 20))
        skilled = noise.copy()
        skilled[:, 3] += 1.0
        assert cscv(noise).pbo > 0.3
        assert cscv(skilled).pbo == 0.0

    def test_returns_without_deviation_have_no_sharpe(self):
        flat = np.zeros((8, 2))
        assert 0.0 <= cscv(flat, blocks=2).pbo <= 1.0

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
            cscv(returns, blocks)


class TestWhatElseTheSplitsShow:
    returns = np.array([[3.0, 2.0], [1.0, 0.0], [2.0, 3.0], [0.0, 1.0]])

    def test_worked_by_hand(self):
        # Sharpe ratios (deviation divided by n): A 2 and B 1 on block 1, A 1 and B 2 on block 2. Split 1 chooses A (2), which
        # shows 1 afterwards; split 2 chooses B (2), which shows 1. w = 1/3 in both: logit = log(1/2).
        found = cscv(self.returns, blocks=2)
        assert found.splits == split_count(2) == 2
        assert found.chosen.tolist() == [0, 1]
        assert found.in_sample.tolist() == [2.0, 2.0]
        assert found.out_of_sample.tolist() == [1.0, 1.0]
        assert found.logits == pytest.approx([math.log(0.5)] * 2)
        assert found.probability_of_loss == 0.0
        assert found.slope is None and found.intercept is None  # the line needs two different in-sample figures

    def test_the_line_is_scipys(self):
        returns = np.random.default_rng(6).normal(size=(80, 9))
        found = cscv(returns, 8)
        line = stats.linregress(found.in_sample, found.out_of_sample)
        assert found.slope == pytest.approx(line.slope)
        assert found.intercept == pytest.approx(line.intercept)

    def test_pure_noise_degrades(self):
        """What is won in one half of the same sample is lost in the other."""
        found = cscv(np.random.default_rng(7).normal(size=(320, 30)), 10)
        assert found.slope is not None and found.slope < 0


def test_pure_noise_is_about_half_overfit():
    random = np.random.default_rng(8)
    found = [cscv(random.normal(size=(120, 12)), 6).pbo for _ in range(120)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)


def test_splits_in_batches_are_the_same(monkeypatch):
    returns = np.random.default_rng(9).normal(size=(64, 5))
    whole = cscv(returns, 8)
    monkeypatch.setattr(overfitting, "_CELLS_AT_ONCE", 13)
    batched = cscv(returns, 8)
    for name in ("logits", "chosen", "in_sample", "out_of_sample"):
        assert (getattr(whole, name) == getattr(batched, name)).all()


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.sampled_from([2, 4, 6]), st.integers(2, 6))
def test_invariants(seed, variants, blocks, size):
    returns = np.random.default_rng(seed).normal(size=(blocks * size, variants))
    found = cscv(returns, blocks)
    assert 0 <= found.pbo <= 1
    assert 0 <= found.probability_of_loss <= 1
    assert found.splits == math.comb(blocks, blocks // 2)
    # neither the unit of money nor the order of the variants matters
    order = np.random.default_rng(seed).permutation(variants)
    assert cscv(3.0 * returns[:, order], blocks).pbo == found.pbo
