import datetime as dt

import polars as pl
import pytest

from trading.errors import ConfigError, DataError
from trading.sessions import get_calendar


def _utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("day", "opens", "closes", "minutes"),
    [
        (dt.date(2023, 11, 3), _utc(2023, 11, 3, 13, 30), _utc(2023, 11, 3, 20), 390),
        (dt.date(2023, 11, 6), _utc(2023, 11, 6, 14, 30), _utc(2023, 11, 6, 21), 390),
        (dt.date(2023, 11, 24), _utc(2023, 11, 24, 14, 30), _utc(2023, 11, 24, 18), 210),
        (dt.date(2015, 12, 24), _utc(2015, 12, 24, 14, 30), _utc(2015, 12, 24, 18), 210),
        (dt.date(1990, 1, 2), _utc(1990, 1, 2, 14, 30), _utc(1990, 1, 2, 21), 390),
    ],
)
def test_opens_and_closes(day: dt.date, opens: dt.datetime, closes: dt.datetime, minutes: int) -> None:
    calendar = get_calendar("XNYS")
    assert (calendar.open(day), calendar.close(day), calendar.minutes(day)) == (opens, closes, minutes)


def test_sessions_around_thanksgiving() -> None:
    calendar = get_calendar("XNYS")
    first, last = dt.date(2023, 11, 18), dt.date(2023, 11, 26)
    expected = [dt.date(2023, 11, d) for d in (20, 21, 22, 24)]
    assert calendar.sessions(first, last) == expected
    assert calendar.frame(first, last)["session"].to_list() == expected
    assert calendar.weekday_holidays(first, last) == [dt.date(2023, 11, 23)]
    assert calendar.next(dt.date(2023, 11, 22)) == calendar.next(dt.date(2023, 11, 23)) == dt.date(2023, 11, 24)
    assert calendar.previous(dt.date(2023, 11, 27)) == dt.date(2023, 11, 24)
    assert calendar.is_session(dt.date(2023, 11, 24))
    assert not calendar.is_session(dt.date(2023, 11, 23))
    assert calendar.sessions(last, first) == []


def test_hurricane_sandy_closed_two_weekdays() -> None:
    calendar = get_calendar("XNYS")
    assert calendar.weekday_holidays(dt.date(2012, 10, 29), dt.date(2012, 11, 2)) == [
        dt.date(2012, 10, 29),
        dt.date(2012, 10, 30),
    ]


def test_the_year_has_252_sessions_and_round_the_clock_365() -> None:
    assert get_calendar("XNYS").sessions_per_year == 252
    assert get_calendar("24/7").sessions_per_year == 365


def test_round_the_clock() -> None:
    calendar = get_calendar("24/7")
    sunday = dt.date(2018, 4, 8)
    assert calendar.minutes(sunday) == 1440
    assert calendar.open(sunday) == _utc(2018, 4, 8)
    assert calendar.weekday_holidays(sunday, dt.date(2018, 12, 31)) == []
    assert str(calendar.timezone) == "UTC"


def test_the_calendar_is_cached_and_its_bounds_do_not_move() -> None:
    calendar = get_calendar("XNYS")
    assert get_calendar("XNYS") is calendar
    assert (calendar.first_session, calendar.last_session) == (dt.date(1990, 1, 2), dt.date(2035, 12, 31))


def test_with_session_is_half_open_and_keeps_order() -> None:
    calendar = get_calendar("XNYS")
    stamps = [
        _utc(2023, 11, 24, 18),
        _utc(2023, 11, 24, 17, 59),
        _utc(2023, 11, 24, 14, 29),
        _utc(2023, 11, 24, 14, 30),
    ]
    frame = pl.DataFrame({"Timestamp": stamps}, schema={"Timestamp": pl.Datetime("us", "UTC")})
    placed = calendar.with_session(frame)
    day = dt.date(2023, 11, 24)
    assert placed["session"].to_list() == [None, day, None, day]
    assert placed["minutes"].to_list() == [None, 210, None, 210]
    assert placed["Timestamp"].to_list() == stamps
    assert calendar.with_session(frame.clear()).schema == placed.schema


def test_with_session_over_a_long_weekend_without_any_session() -> None:
    frame = pl.DataFrame({"Timestamp": [_utc(2023, 9, 3, 15)]}, schema={"Timestamp": pl.Datetime("us", "UTC")})
    assert get_calendar("XNYS").with_session(frame)["session"].to_list() == [None]


def test_a_session_that_opens_on_the_evening_before() -> None:
    stamps = [_utc(2023, 11, 5, 22, 59), _utc(2023, 11, 5, 23), _utc(2023, 11, 6, 22, 59), _utc(2023, 11, 6, 23)]
    frame = pl.DataFrame({"Timestamp": stamps}, schema={"Timestamp": pl.Datetime("us", "UTC")})
    monday, tuesday = dt.date(2023, 11, 6), dt.date(2023, 11, 7)
    calendar = get_calendar("CMES")
    assert calendar.with_session(frame)["session"].to_list() == [None, monday, monday, tuesday]
    assert calendar.with_session(frame[1:2])["session"].to_list() == [monday]


def test_trading_date_of_a_winter_evening() -> None:
    late = pl.DataFrame({"t": [_utc(2015, 12, 29, 0, 45)]}, schema={"t": pl.Datetime("us", "UTC")})
    dates = late.select(get_calendar("XNYS").trading_date(pl.col("t"))).to_series()
    assert dates.to_list() == [dt.date(2015, 12, 28)]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda c: c.open(dt.date(2023, 11, 23)), "2023-11-23 is not a session"),
        (lambda c: c.minutes(dt.date(1980, 1, 2)), "1990-01-02 to 2035-12-31"),
        (lambda c: c.next(dt.date(2035, 12, 31)), "no known session after 2035-12-31"),
        (lambda c: c.previous(dt.date(1990, 1, 2)), "no known session before 1990-01-02"),
        (lambda c: c.next(dt.date(1980, 1, 1)), "no known session after 1980-01-01"),
        (lambda c: c.previous(dt.date(2040, 1, 1)), "no known session before 2040-01-01"),
        (lambda c: c.sessions(dt.date(1970, 1, 1), dt.date(1970, 2, 1)), "outside the calendar"),
    ],
)
def test_out_of_bounds_is_an_error_not_a_guess(call: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        call(get_calendar("XNYS"))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("NOPE", "'NOPE' is unknown"),
        ("NOPE 09:30-16:00 America/New_York", "'NOPE' is unknown"),
        ("CMES 9:30-16:00 America/New_York", "is malformed"),
        ("CMES 09:30-24:00 America/New_York", "is malformed"),
        ("CMES 09:30-16:00", "is malformed"),
        ("CMES  09:30-16:00 America/New_York", "is malformed"),
        ("CMES 09:30-16:00 America/New_York daily", "is malformed"),
        ("CMES 09:30-16:00 America/Nowhere", "'America/Nowhere' is no IANA time zone"),
        ("CMES 09:30-16:00 ../etc/passwd", "is no IANA time zone"),
        ("XNYS 02:00-03:00 America/New_York", "has no session"),
    ],
)
def test_unusable_calendars_are_refused(name: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        get_calendar(name)
    if "no session" not in says:
        assert "NAME HH:MM-HH:MM ZONE, e.g. XNYS or CMES 09:30-16:00 America/New_York" in str(refused.value)
