"""marubozu_breakout against answers worked by hand."""

import pytest
from polars.testing import assert_frame_equal

from trading.errors import ConfigError
from trading.strategies import LEVELS, get_strategy


@pytest.mark.parametrize(("case", "params"), [("default", {}), ("loose", {"min_range_atr": 0.5})])
def test_answers_worked_by_hand(frames, case, params):
    # the third bar's body is 0.9 of its range in decimals, and a hair under it in floats (102.94 - 102.04)
    assert 102.94 - 102.04 < 0.9 * (103.0 - 102.0)
    found = get_strategy("marubozu_breakout").signals(frames.answer_bars("marubozu"), {"atr_period": 2, **params})
    assert_frame_equal(found, frames.answer_signals("marubozu", case), abs_tol=1e-9)
    assert found["tp_short"].drop_nulls().to_list() == [99.7]


@pytest.mark.parametrize(("case", "params"), [("default", {}), ("far", {"min_range_atr": 0.8, "risk_reward": 10})])
def test_daily_answers_worked_by_hand(frames, case, params):
    # on 12 January the range is the ATR's share to the cent: 0.6 = 0.8 * 0.75
    found = get_strategy("marubozu_breakout").signals(frames.answer_bars("marubozu_daily"), {"atr_period": 2, **params})
    expected = frames.answer_signals("marubozu_daily", case)
    assert_frame_equal(found, expected, abs_tol=1e-9)
    assert found.select(LEVELS).rows() == expected.select(LEVELS).rows()


def test_one_side_only(frames):
    found = get_strategy("marubozu_breakout").signals(frames.random_bars(["AA", "BB"], 20), {"min_body_ratio": 0.5})
    long, short = found["long_entry"].is_not_null(), found["short_entry"].is_not_null()
    assert found.height > 50
    assert (long ^ short).all()
    assert long.any() and short.any()


def test_a_share_is_no_percentage(frames):
    with pytest.raises(ConfigError, match=r"min_body_ratio: .*less than or equal to 1"):
        get_strategy("marubozu_breakout").signals(frames.random_bars(["AA"], 1), {"min_body_ratio": 90})
