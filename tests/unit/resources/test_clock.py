import datetime as dt

import pytest

from resources.clock import FixedClock, SystemClock


def test_the_system_clock_is_utc_and_moves_on() -> None:
    first, second = SystemClock().now(), SystemClock().now()
    assert first.utcoffset() == dt.timedelta(0)
    assert first <= second


def test_a_fixed_clock_stands_still_in_utc() -> None:
    clock = FixedClock(dt.datetime(2024, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=-5))))
    assert clock.now() == clock.now() == dt.datetime(2024, 1, 1, 17, tzinfo=dt.UTC)
    assert clock.now().tzinfo is dt.UTC


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        FixedClock(dt.datetime(2024, 1, 1))  # noqa: DTZ001
