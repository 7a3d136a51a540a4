"""Session partitions are exactly the exchange's sessions."""

import datetime as dt
import json
from importlib import resources as package_files
from pathlib import Path

import pytest

from trading.errors import ConfigError
from trading.sessions import get_calendar
from trading_assets.partitions import by_account, by_variant, session_partitions
from trading_assets.settings import Settings


def settings(tmp_path: Path, **changes: object) -> Settings:
    return Settings.model_validate({"home": tmp_path, **changes})


def test_pinned_holidays_are_the_librarys() -> None:
    pinned = json.loads((package_files.files("trading_assets") / "calendars" / "XNYS.json").read_text())
    first, last = dt.date.fromisoformat(pinned["first"]), dt.date.fromisoformat(pinned["last"])
    library = get_calendar("XNYS").weekday_holidays(first, last)
    assert [dt.date.fromisoformat(day) for day in pinned["weekday_holidays"]] == library
    assert pinned["timezone"] == str(get_calendar("XNYS").timezone)


def test_partitions_are_the_sessions_and_nothing_else(tmp_path: Path) -> None:
    partitions = session_partitions(settings(tmp_path, first_session="2012-01-03", last_session="2023-12-29"))
    expected = get_calendar("XNYS").sessions(dt.date(2012, 1, 3), dt.date(2023, 12, 29))
    assert partitions.get_partition_keys() == [day.isoformat() for day in expected]


@pytest.mark.parametrize("day", ["2012-10-29", "2018-12-05", "2023-11-23", "2023-11-25", "2023-11-26"])
def test_hurricanes_mournings_holidays_and_weekends_are_no_partition(tmp_path: Path, day: str) -> None:
    partitions = session_partitions(settings(tmp_path, last_session="2023-12-29"))
    assert not partitions.has_partition_key(day)


def test_friday_is_there_on_saturday(tmp_path: Path) -> None:
    partitions = session_partitions(settings(tmp_path))
    friday_evening = dt.datetime(2023, 11, 18, 3, 0, tzinfo=dt.UTC)  # 22:00 in New York
    saturday = dt.datetime(2023, 11, 18, 6, 0, tzinfo=dt.UTC)
    assert partitions.get_partition_keys(current_time=friday_evening)[-1] == "2023-11-16"
    assert partitions.get_partition_keys(current_time=saturday)[-1] == "2023-11-17"


def test_a_calendar_without_pinned_holidays_comes_from_the_library(tmp_path: Path) -> None:
    partitions = session_partitions(
        settings(tmp_path, calendar="XETR", first_session="2023-12-20", last_session="2023-12-29")
    )
    expected = get_calendar("XETR").sessions(dt.date(2023, 12, 20), dt.date(2023, 12, 29))
    assert partitions.get_partition_keys() == [day.isoformat() for day in expected]


def test_every_day_is_a_session_around_the_clock(tmp_path: Path) -> None:
    partitions = session_partitions(
        settings(tmp_path, calendar="24/7", first_session="2023-12-22", last_session="2023-12-26")
    )
    assert len(partitions.get_partition_keys()) == 5


def test_crossed_partitions(tmp_path: Path) -> None:
    sessions = session_partitions(settings(tmp_path, first_session="2023-11-22", last_session="2023-11-24"))
    assert by_variant(sessions, ["b", "a"]).get_partition_keys() == [
        "2023-11-22|b", "2023-11-22|a", "2023-11-24|b", "2023-11-24|a",
    ]  # fmt: skip
    assert by_account(sessions, ["paper"]).get_partition_keys() == ["paper|2023-11-22", "paper|2023-11-24"]


def test_sessions_outside_the_pinned_calendar_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1990-01-02 to 2035-12-31"):
        session_partitions(settings(tmp_path, first_session="1980-01-02"))
