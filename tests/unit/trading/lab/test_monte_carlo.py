"""Orders and samples of trades, against answers worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.errors import DataError
from trading.lab import monte_carlo as module
from trading.lab.monte_carlo import max_drawdown, monte_carlo

PNL = np.array([20.0, -30.0, 10.0])


def test_drawdown_worked_by_hand():
    # 100 -> 120 -> 90 -> 100: from 120 to 90 is a quarter
    # 100 -> 70 -> 80 -> 100: from 100 to 70
    # 100 -> 110 -> 130 -> 100: from 130 to 100
    orders = np.array([PNL, [-30.0, 10.0, 20.0], [10.0, 20.0, -30.0]])
    assert max_drawdown(orders, 100.0) == pytest.approx([0.25, 0.30, 30 / 130])


def test_all_orders_of_three_trades_are_met_with_their_shares():
    # of the 6 orders: -30 first (2): 0.30; 20 -30 10: 0.25; 10 -30 20: 30/110; both gains first (2): 30/130
    found = monte_carlo(PNL, 100.0, 6000, seed=1)
    assert found is not None
    values, counts = np.unique(found.drawdown.round(9), return_counts=True)
    assert values == pytest.approx([30 / 130, 0.25, 30 / 110, 0.30])
    assert counts / 6000 == pytest.approx([2 / 6, 1 / 6, 1 / 6, 2 / 6], abs=0.03)
    assert found.actual_drawdown == pytest.approx(0.25)
    assert found.deeper == pytest.approx(0.5, abs=0.03)
    assert found.actual_final == 100.0


def test_samples_end_where_the_sums_say():
    """Three draws with replacement from 20, -30, 10: the mean of the sum is 0, its variance three times that of one draw."""
    found = monte_carlo(PNL, 100.0, 20_000, seed=2)
    assert found is not None
    assert found.final_equity.mean() == pytest.approx(100.0, abs=1.0)
    assert found.final_equity.std() == pytest.approx(np.sqrt(3 * PNL.var()), rel=0.02)
    assert found.final_equity.min() == pytest.approx(10.0) and found.final_equity.max() == pytest.approx(160.0)
    quantiles = found.final_equity_quantiles
    assert list(quantiles) == ["q05", "q25", "q50", "q75", "q95"]
    assert quantiles["q50"] == np.median(found.final_equity)


def test_no_trade_no_figure():
    assert monte_carlo(np.array([]), 100.0, 10, seed=1) is None


@pytest.mark.parametrize(
    ("pnl", "cash", "runs", "says"),
    [
        ([np.nan], 1.0, 1, "finite"),
        ([[1.0]], 1.0, 1, "one finite number"),
        ([1.0], 0.0, 1, "above 0"),
        ([1.0], 1.0, 0, "at least 1"),
    ],
)
def test_wrong_input(pnl, cash, runs, says):
    with pytest.raises(DataError, match=says):
        monte_carlo(np.array(pnl), cash, runs, seed=1)


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_orders_keep_the_sum_and_the_same_seed_the_numbers(pnl, seed):
    values = np.array(pnl, dtype=np.float64)
    found, again = (monte_carlo(values, 10_000.0, 20, seed) for _ in range(2))
    assert found is not None and again is not None
    assert (found.drawdown == again.drawdown).all() and (found.final_equity == again.final_equity).all()
    assert found.actual_final == 10_000.0 + values.sum()
    # no order falls deeper than all losses in a row from the top of all gains, nor less than from the start
    lost, won = -values[values < 0].sum(), values[values > 0].sum()
    assert (found.drawdown <= lost / 10_000.0 + 1e-12).all()
    assert (found.drawdown >= (max(0.0, -values.min()) / (10_000.0 + won)) - 1e-12).all()
    assert (found.final_equity >= 10_000.0 + len(values) * values.min()).all()
    assert (found.final_equity <= 10_000.0 + len(values) * values.max()).all()


def test_runs_in_batches_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "_CELLS_AT_ONCE", 7)
    found = monte_carlo(PNL, 100.0, 5, seed=3)
    assert found is not None
    assert found.drawdown.shape == found.final_equity.shape == (5,)
    assert set(found.drawdown.round(9)) <= {round(30 / 130, 9), 0.25, round(30 / 110, 9), 0.30}
