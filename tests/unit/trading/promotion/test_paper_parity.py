"""Trades of an account against the replay: hand-worked. The replay assumes 10 bps of slippage.

AAA: the replay's 100.10 starts from 100, the account paid 100.20: 20 bps of slippage, 0.10 / 100.10 = 9.99001 bps of difference;
its stop at 99 less 10 bps is 98.901 on both sides. BBB short: 50 less 10 bps on both sides; its target is a limit and pays none.
"""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from trading.errors import DataError
from trading.promotion.paper_parity import TRADES, paper_parity

ANSWERS = Path(__file__).parents[3] / "answers" / "promotion"


def _trades(name: str) -> pl.DataFrame:
    frame = pl.read_csv(ANSWERS / name)
    return frame.with_columns(pl.col("setup_time").str.to_datetime(time_unit="us", time_zone="UTC")).cast(dict(TRADES))


@pytest.fixture
def account() -> pl.DataFrame:
    return _trades("account_trades.csv")


@pytest.fixture
def replayed() -> pl.DataFrame:
    return _trades("replay_trades.csv")


def test_hand_worked(account, replayed):
    found = paper_parity(account, replayed, 10.0)
    expected = pl.read_csv(ANSWERS / "parity_rows.csv", schema_overrides={"side": pl.Int8})
    assert_frame_equal(found.rows.select(expected.columns), expected)
    assert (found.trades, found.missed, found.extra) == (3, 1, 1)
    assert found.max_price_difference_bps == 9.99001
    assert (found.slippage_bps, found.slippage_fills) == (round((20 + 10 + 10) / 3, 6), 3)


def test_without_trades_there_is_no_figure(replayed):
    found = paper_parity(replayed.clear(), replayed.clear(), 1.0)
    assert (found.trades, found.missed, found.extra, found.slippage_fills) == (0, 0, 0, 0)
    assert found.max_price_difference_bps is None and found.slippage_bps is None


def test_an_exit_for_another_reason_is_matched_but_its_slippage_is_not_known(account, replayed):
    account = account.with_columns(exit_reason=pl.lit("eod"))
    assert paper_parity(account, replayed, 10.0).slippage_fills == 2


def test_a_trade_twice_is_refused(account, replayed):
    with pytest.raises(DataError, match="the account has 6 trades of one signal and side"):
        paper_parity(pl.concat([account, account]), replayed, 1.0)


@given(
    kept=st.lists(st.booleans(), min_size=3, max_size=3),
    slippage=st.floats(0, 100),
)
def test_a_replay_against_a_part_of_itself(kept, slippage):
    """What was left out is missing, one way or the other; the rest costs what was assumed."""
    trades = _trades("replay_trades.csv")
    part = trades.filter(pl.Series(kept))
    as_account, as_replay = paper_parity(part, trades, slippage), paper_parity(trades, part, slippage)
    assert as_account.missed == as_replay.extra == kept.count(False)
    assert as_account.extra == as_replay.missed == 0
    assert as_account.max_price_difference_bps in (0.0, None)
    if any(kept):
        assert as_account.slippage_bps == pytest.approx(slippage, abs=1e-6)
