import datetime as dt

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.corporate_actions import ACTION_COLUMNS
from trading.errors import ConfigError
from trading.strategies.adjusted_levels import adjust_levels
from trading.strategies.contracts import SIGNAL_COLUMNS

FRIDAY, MONDAY = dt.date(2014, 6, 6), dt.date(2014, 6, 9)
ACTIONS = pl.DataFrame(
    [
        ("AAPL", MONDAY, "split", 7.0, None, None, None, "test"),
        ("GOOG", MONDAY, "new_security", None, None, None, None, "test"),
        ("IBM", MONDAY, "dividend", None, 2.0, "USD", None, "test"),
    ],
    schema=dict(ACTION_COLUMNS),
    orient="row",
)
SIGNALS = pl.DataFrame(
    [
        (symbol, dt.datetime(2014, 6, 6, 14, tzinfo=dt.UTC), 70.0, 63.0, 56.0, 77.0, 84.0, None, 1.5)
        for symbol in ("AAPL", "GOOG", "IBM")
    ],
    schema={**SIGNAL_COLUMNS, "meta_atr": pl.Float64},
    orient="row",
)


def test_an_order_over_a_split_has_its_levels_divided() -> None:
    got = adjust_levels(SIGNALS, ACTIONS, FRIDAY, MONDAY)
    assert got.columns == SIGNALS.columns
    assert got.drop("Timestamp").rows() == [
        ("AAPL", 10.0, 9.0, 8.0, 11.0, 12.0, None, 1.5),
        ("IBM", 70.0, 63.0, 56.0, 77.0, 84.0, None, 1.5),
    ]


@pytest.mark.parametrize(("made", "now"), [(FRIDAY, FRIDAY), (MONDAY, MONDAY), (FRIDAY, MONDAY - dt.timedelta(days=1))])
def test_before_and_on_the_ex_date_levels_stay(made: dt.date, now: dt.date) -> None:
    assert_frame_equal(adjust_levels(SIGNALS, ACTIONS, made, now), SIGNALS, check_exact=True)


def test_dividends_move_levels_where_the_closes_are_given() -> None:
    closes = pl.DataFrame({"Symbol": ["IBM"], "session": [FRIDAY], "Close": [40.0]})
    got = adjust_levels(SIGNALS, ACTIONS, FRIDAY, MONDAY, dividends=True, closes=closes)
    assert got.filter(Symbol="IBM")["long_entry"].item() == pytest.approx(70 * 0.95, rel=1e-15)
    with pytest.raises(ConfigError, match="closes"):
        adjust_levels(SIGNALS, ACTIONS, FRIDAY, MONDAY, dividends=True)
