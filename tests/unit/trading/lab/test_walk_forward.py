"""Walk-forward, against answers worked by hand."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.errors import DataError
from trading.lab.config import WalkForwardConfig
from trading.lab.session_figures import SessionFigures
from trading.lab.walk_forward import folds, walk_forward

from .conftest import answers


def _figures(equity, trades=None):
    equity = np.asarray(equity, dtype=np.float64)
    cash = np.full(equity.shape[0], 100.0)
    pnl = np.diff(np.concatenate([cash[:, None], equity], axis=1), axis=1)
    first = dt.date(2024, 1, 1)
    return SessionFigures(
        sessions=pl.Series([first + dt.timedelta(days=i) for i in range(equity.shape[1])]),
        initial_cash=cash,
        equity=equity,
        trades=np.ones(equity.shape, dtype=np.int64) if trades is None else trades,
        won=np.maximum(pnl, 0),
        lost=np.maximum(-pnl, 0),
    )


def test_folds_worked_by_hand():
    table = answers("folds.csv")
    for case in table["case"].unique(maintain_order=True):
        rows = table.filter(pl.col("case") == case)
        sessions, train, test, gap, anchored = rows.select("sessions", "train", "test", "gap", "anchored").row(0)
        found = folds(sessions, WalkForwardConfig(train=train, test=test, gap=gap, anchored=anchored))
        windows = [(f.train.start, f.train.stop - 1, f.test.start, f.test.stop - 1) for f in found]
        assert windows == rows.select("train_first", "train_last", "test_first", "test_last").rows(), case


@given(st.integers(3, 200), st.integers(2, 60), st.integers(1, 30), st.integers(0, 5), st.booleans())
def test_every_session_after_the_first_training_is_tested_once(sessions, train, test, gap, anchored):
    config = WalkForwardConfig(train=train, test=test, gap=gap, anchored=anchored)
    if train + gap >= sessions:
        with pytest.raises(
            DataError, match=f"needs more than train . gap = {train + gap} sessions, there are {sessions}"
        ):
            folds(sessions, config)
        return
    found = folds(sessions, config)
    tested = [position for fold in found for position in range(fold.test.start, fold.test.stop)]
    assert tested == list(range(train + gap, sessions))
    for fold in found:
        assert fold.train.start >= 0 and fold.train.stop + gap == fold.test.start  # nothing is chosen on what is tested
        assert anchored or fold.train.stop - fold.train.start == train


def test_worked_by_hand():
    table = answers("walk_forward.csv")
    figures = _figures([table["A"], table["B"]])
    found = walk_forward(figures, "net_pnl", WalkForwardConfig(train=2, test=2))
    assert found.folds["set"].to_list() == [0, 1]
    assert found.folds["in_sample"].to_list() == [10.0, 4.0]
    assert found.folds["out_of_sample"].to_list() == [-11.0, 27.0]
    assert found.folds["pnl"].to_list() == [-11.0, 27.0]
    assert found.returns["return"].to_list() == pytest.approx([-0.1, 0.0, 0.0, 0.25])
    assert found.expectancy == 4.0
    assert found.total_return == pytest.approx(0.125)
    # in sample: A 5 % and 110/105 - 1, B 106/104 - 1 and 108/106 - 1
    inside = np.mean([np.mean([0.05, 110 / 105 - 1]), np.mean([106 / 104 - 1, 108 / 106 - 1])])
    assert found.efficiency == pytest.approx(np.mean([-0.05, 0.125]) / inside)
    assert found.sharpe == pytest.approx(0.0375 / np.std([-0.1, 0, 0, 0.25], ddof=1) * np.sqrt(252))


def test_what_may_not_be_chosen_is_not():
    table = answers("walk_forward.csv")
    found = walk_forward(
        _figures([table["A"], table["B"]]), "net_pnl", WalkForwardConfig(train=2, test=2), np.array([False, True])
    )
    assert found.folds["set"].to_list() == [1, 1]


def test_without_a_figure_to_choose_by_there_is_no_fold():
    flat = _figures([[100.0] * 6], trades=np.zeros((1, 6), dtype=np.int64))
    found = walk_forward(flat, "sharpe", WalkForwardConfig(train=2, test=2))
    assert found.folds.height == found.returns.height == 0
    assert found.expectancy is None and found.efficiency is None and found.sharpe is None
    assert found.total_return == 0.0


def test_the_future_changes_no_choice():
    """What comes after a training window has no influence on what is chosen in it."""
    random = np.random.default_rng(4)
    equity = 100.0 * np.cumprod(1 + random.normal(0, 0.01, size=(6, 30)), axis=1)
    other = equity.copy()
    other[:, 20:] = equity[:, 19:20] * np.cumprod(1 + random.normal(0, 0.01, size=(6, 10)), axis=1)
    config = WalkForwardConfig(train=10, test=5)
    first, second = (walk_forward(_figures(values), "sharpe", config).folds for values in (equity, other))
    assert first["set"][:3].to_list() == second["set"][:3].to_list()
    assert first.height == 4
