"""What has to be asked for: worked by hand on four calendars."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.sources.downloads.spans import Span, joined, span_of
from trading.contracts import INSTANT
from trading.sessions import get_calendar


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type, misc]


DAY = dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("calendar", "session", "start", "end"),
    [
        # New York, UTC-5 and UTC-4: midnight to midnight; after-hours of a winter evening lie on the next UTC day.
        ("XNYS", dt.date(2024, 1, 3), utc(2024, 1, 3, 5), utc(2024, 1, 4, 5)),
        ("XNYS", dt.date(2024, 7, 3), utc(2024, 7, 3, 4), utc(2024, 7, 4, 4)),
        # The Friday before and the Monday after the clocks went forward on Sunday 2024-03-10.
        ("XNYS", dt.date(2024, 3, 8), utc(2024, 3, 8, 5), utc(2024, 3, 9, 5)),
        ("XNYS", dt.date(2024, 3, 11), utc(2024, 3, 11, 4), utc(2024, 3, 12, 4)),
        # Chicago: Monday's session opens on Sunday at 17:00, UTC-6.
        ("CMES", dt.date(2024, 1, 8), utc(2024, 1, 7, 23), utc(2024, 1, 9, 6)),
        ("24/7", dt.date(2024, 3, 10), utc(2024, 3, 10), utc(2024, 3, 11)),
    ],
)
def test_span_of_a_session(calendar: str, session: dt.date, start: dt.datetime, end: dt.datetime) -> None:
    assert span_of(session, get_calendar(calendar), "1m") == Span(start, end)


def test_daily_bars_are_asked_for_by_their_dates() -> None:
    assert span_of(dt.date(2024, 1, 3), get_calendar("XNYS"), "1d") == Span(utc(2024, 1, 3), utc(2024, 1, 4))


def test_the_day_on_which_the_clocks_change_is_shorter_or_longer() -> None:
    calendar = get_calendar("24/7")  # in UTC, where they do not
    assert (
        span_of(dt.date(2024, 3, 10), calendar, "1m").end - span_of(dt.date(2024, 3, 10), calendar, "1m").start == DAY
    )
    london = get_calendar("XLON")
    monday, friday = dt.date(2024, 4, 2), dt.date(2024, 3, 28)  # around Easter and 2024-03-31
    [(span, sessions)] = joined([friday, monday], london, "1m", 30 * DAY)
    assert span == Span(utc(2024, 3, 28), utc(2024, 4, 2, 23))
    assert list(sessions) == [friday, monday]


def test_sessions_that_follow_each_other_share_a_span_up_to_the_longest() -> None:
    calendar = get_calendar("XNYS")
    week = calendar.sessions(dt.date(2024, 7, 1), dt.date(2024, 7, 8))  # 1 2 3 5 8
    assert [list(days) for _, days in joined(week, calendar, "1m", 4 * DAY)] == [week[:3], week[3:]]
    assert [list(days) for _, days in joined(week, calendar, "1m", 8 * DAY)] == [week]


def test_a_session_that_is_here_ends_a_span() -> None:
    calendar = get_calendar("XNYS")
    week = calendar.sessions(dt.date(2024, 7, 1), dt.date(2024, 7, 8))
    assert [list(days) for _, days in joined([*week[:2], *week[3:]], calendar, "1m", 30 * DAY)] == [week[:2], week[3:]]


@given(
    st.sampled_from(["XNYS", "CMES", "24/7", "XTKS", "XLON"]),
    st.sets(st.dates(dt.date(2023, 1, 1), dt.date(2024, 12, 31)), max_size=40),
    st.integers(3, 120),
)
@settings(deadline=None)
def test_every_session_lies_within_its_span_and_no_span_is_too_long(
    name: str, days: set[dt.date], longest: int
) -> None:
    calendar = get_calendar(name)
    sessions = [day for day in days if calendar.is_session(day)]
    spans = joined(sessions, calendar, "1m", longest * DAY)
    assert sorted(sessions) == [day for _, members in spans for day in members]
    for span, members in spans:
        assert span.end - span.start <= longest * DAY
        assert all(span.covers(span_of(day, calendar, "1m")) for day in members)


@given(
    st.sampled_from(["XNYS", "CMES", "24/7", "XTKS"]),
    st.integers(0, 2 * 365 * 1440),
)
@settings(deadline=None)
def test_a_bar_lies_within_the_span_of_the_session_it_belongs_to(name: str, minute: int) -> None:
    calendar = get_calendar(name)
    instant = utc(2023, 1, 2) + dt.timedelta(minutes=minute)
    [session] = calendar.belongs_to(pl.Series([instant], dtype=INSTANT))
    if calendar.is_session(session):
        span = span_of(session, calendar, "1m")
        assert span.start <= instant < span.end
