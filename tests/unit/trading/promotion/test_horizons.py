"""Horizon windows on real sessions."""

import datetime as dt

import pytest

from trading.errors import DataError
from trading.promotion import HORIZONS, horizon_window, horizon_windows
from trading.sessions import get_calendar

XNYS = get_calendar("XNYS")


@pytest.mark.parametrize(
    ("horizon", "as_of", "first", "expected"),
    [
        # counted on a calendar: 16 Feb (Friday) to 15 Mar 2024, without Presidents' Day, 19 Feb
        ("1m", dt.date(2024, 3, 15), dt.date(2024, 2, 16), 20),
        # the last of February stands in for 31 February, so the window begins on Friday 1 March
        ("1m", dt.date(2023, 3, 31), dt.date(2023, 3, 1), 23),
        ("3m", dt.date(2024, 3, 15), dt.date(2023, 12, 18), 61),
        ("6m", dt.date(2024, 3, 15), dt.date(2023, 9, 18), 125),
        ("1y", dt.date(2024, 3, 15), dt.date(2023, 3, 16), 252),
    ],
)
def test_windows(horizon, as_of, first, expected):
    window = horizon_window(horizon, as_of, XNYS, [])
    assert (window.first, window.last, window.expected) == (first, as_of, expected)
    assert not window.reaches_back
    assert window.coverage == 0.0


def test_reaching_back_is_judged_by_the_first_session():
    as_of = dt.date(2024, 3, 15)
    every = XNYS.sessions(dt.date(2024, 2, 16), as_of)
    assert horizon_window("1m", as_of, XNYS, every).reaches_back
    late = horizon_window("1m", as_of, XNYS, every[1:])
    assert not late.reaches_back
    assert late.coverage == pytest.approx(19 / 20)
    gaps = horizon_window("1m", as_of, XNYS, [every[0], every[-1]])
    assert gaps.reaches_back
    assert gaps.coverage == 0.1


def test_data_after_the_session_does_not_exist_for_it():
    as_of = dt.date(2024, 3, 15)
    sessions = XNYS.sessions(dt.date(2024, 1, 2), dt.date(2024, 6, 28))
    windows = horizon_windows(as_of, XNYS, sessions)
    assert tuple(windows) == HORIZONS
    assert all(window.available[-1] == as_of for window in windows.values())


def test_a_day_without_session_is_refused():
    with pytest.raises(DataError, match="2024-03-16 is no session of XNYS"):
        horizon_window("1m", dt.date(2024, 3, 16), XNYS, [])
