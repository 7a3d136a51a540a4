import csv
import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.errors import ConfigError, DataError
from trading.sessions import get_calendar

ANSWERS = Path(__file__).resolve().parents[2] / "answers"
INSTANT = pl.Datetime("us", "UTC")


def _utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type, misc]


def _rows(name: str) -> list[dict[str, str]]:
    with (ANSWERS / name).open(newline="") as file:
        return list(csv.DictReader(file))


def _instant(text: str) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


@pytest.mark.parametrize("row", _rows("bars_sessions.csv"), ids=lambda row: f"{row['calendar']} {row['session']}")
def test_worked_sessions(row: dict[str, str]) -> None:
    calendar, session = get_calendar(row["calendar"]), dt.date.fromisoformat(row["session"])
    wanted = {
        "session": session,
        "open": _instant(row["open"]),
        "close": _instant(row["close"]),
        "minutes": int(row["minutes"]),
        "break_start": _instant(row["break_start"]),
        "break_end": _instant(row["break_end"]),
    }
    assert calendar.frame(session, session).to_dicts() == [wanted]
    assert (calendar.open(session), calendar.close(session)) == (wanted["open"], wanted["close"])
    assert calendar.minutes(session) == wanted["minutes"]
    assert calendar.is_session(session)


@pytest.mark.parametrize("name", sorted({row["calendar"] for row in _rows("bars_belongs_to.csv")}))
def test_worked_belonging(name: str) -> None:
    rows = [row for row in _rows("bars_belongs_to.csv") if row["calendar"] == name]
    stamps = pl.Series([_instant(row["timestamp"]) for row in rows], dtype=INSTANT)
    calendar = get_calendar(name)
    found = calendar.belongs_to(stamps)
    assert found.name == "session"
    assert found.dtype == pl.Date
    assert [str(day) for day in found] == [row["belongs_to"] for row in rows]
    placed = calendar.with_session(pl.DataFrame({"Timestamp": stamps}))["session"]
    assert placed.is_not_null().to_list() == [row["inside"] == "true" for row in rows]
    singly = [calendar.belongs_to(stamps[i : i + 1]).item() for i in range(len(rows))]
    assert singly == found.to_list(), "what a row belongs to depends on no other row"
    assert calendar.belongs_to(stamps.sort()).to_list() == found.gather(stamps.arg_sort()).to_list()
    assert calendar.session_of(stamps.sort()).to_list() == placed.gather(stamps.arg_sort()).to_list()


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("XLON", dt.date(2023, 12, 26)),
        ("XETR", dt.date(2023, 12, 26)),
        ("XTKS", dt.date(2024, 11, 4)),
        ("XHKG", dt.date(2024, 2, 12)),
        ("CMES", dt.date(2020, 12, 25)),
        ("CMES 09:30-16:00 America/New_York", dt.date(2020, 12, 25)),
    ],
)
def test_holidays_are_the_exchange_s_own(name: str, day: dt.date) -> None:
    calendar = get_calendar(name)
    assert not calendar.is_session(day)
    assert calendar.weekday_holidays(day, day) == [day]


CALENDARS = ("XNYS", "XLON", "XTKS", "XHKG", "CMES", "CMES 17:00-16:00 America/Chicago", "24/7")


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(CALENDARS), day=st.dates(dt.date(2015, 1, 1), dt.date(2026, 12, 1)))
def test_the_minutes_inside_are_the_minutes_of_the_sessions(name: str, day: dt.date) -> None:
    """Over four days minute by minute: counted one by one, they are what the calendar says."""
    calendar = get_calendar(name)
    start = dt.datetime.combine(day, dt.time(), dt.UTC)
    stamps = pl.datetime_range(start, start + dt.timedelta(days=4), "1m", closed="left", time_unit="us", eager=True)
    placed = calendar.with_session(pl.DataFrame({"Timestamp": stamps}))
    counted = placed.drop_nulls("session").group_by("session").len()
    within = calendar.frame(day, day + dt.timedelta(days=4)).filter(
        (pl.col("open") >= stamps[0]) & (pl.col("close") <= stamps[-1] + dt.timedelta(minutes=1))
    )
    assert within.join(counted, on="session", how="left").filter(pl.col("len").ne_missing(pl.col("minutes"))).is_empty()
    belongs = calendar.belongs_to(stamps)
    assert belongs.is_sorted()
    backwards = stamps.reverse()
    assert calendar.belongs_to(backwards).reverse().equals(belongs), "the same, sorted or not"
    assert calendar.session_of(backwards).reverse().equals(calendar.session_of(stamps), null_equal=True)
    assert calendar.session_of(stamps).equals(placed["session"], null_equal=True)
    local = stamps.to_frame("t").select(calendar.trading_date(pl.col("t"))).to_series()
    outside = calendar.session_of(stamps).is_null()
    assert belongs.filter(outside).equals(local.filter(outside))
    assert placed.filter(pl.col("session").is_not_null() & (pl.col("session") != belongs)).is_empty()


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


def test_rows_beyond_the_calendar_keep_their_date_and_have_no_session() -> None:
    stamps = pl.Series([_utc(1970, 1, 1, 2), _utc(2023, 11, 22, 15), _utc(2050, 1, 1, 2)], dtype=INSTANT)
    calendar = get_calendar()
    for rows in (stamps, stamps.reverse()):
        assert calendar.session_of(rows).drop_nulls().to_list() == [dt.date(2023, 11, 22)]
        found = [dt.date(1969, 12, 31), dt.date(2023, 11, 22), dt.date(2049, 12, 31)]
        assert sorted(calendar.belongs_to(rows).to_list()) == found
    with pytest.raises(DataError, match="outside the calendar"):
        calendar.belongs_to(stamps[:1])
    assert calendar.belongs_to(stamps.clear()).to_list() == calendar.session_of(stamps.clear()).to_list() == []


@pytest.mark.parametrize("stamps", [pl.Series([0], dtype=pl.Datetime("us")), pl.Series([None], dtype=INSTANT)])
def test_only_instants_belong_to_a_session(stamps: pl.Series) -> None:
    with pytest.raises(DataError, match=r"Timestamp must be Datetime\(time_unit='us', time_zone='UTC'\) without nulls"):
        get_calendar().belongs_to(stamps)


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
        (lambda c: get_calendar("XSHG").frame(dt.date(2045, 1, 1), dt.date(2045, 2, 1)), "outside the calendar"),
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
        ("XTKS 11:30-12:30 Asia/Tokyo", "has no session"),
    ],
)
def test_unusable_calendars_are_refused(name: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        get_calendar(name)
    if "no session" not in says:
        assert "NAME HH:MM-HH:MM ZONE, e.g. XNYS or CMES 09:30-16:00 America/New_York" in str(refused.value)
