"""Partitions: exchange sessions, alone or crossed with variants, sweeps or accounts.

Symbols are a column, never a dimension. Holidays are excluded one by one, so that the UI lists exactly the exchange's
sessions and a window of "two sessions back" counts sessions.
"""

import datetime as dt
import json
from functools import cache
from importlib import resources as package_files

import dagster as dg

from trading.errors import ConfigError
from trading_assets.settings import Settings

# Monday-Friday holidays of a calendar never move once pinned here, so that loading the code location does not have
# to import exchange_calendars; a test compares the pinned dates with the library.
_PINNED = "calendars"

FIRST_SESSION_SUPPORTED = dt.date(1990, 1, 2)
LAST_SESSION_SUPPORTED = dt.date(2035, 12, 31)


@cache
def calendar_holidays(calendar: str) -> tuple[str, tuple[dt.date, ...]]:
    """Time zone and Mon-Fri holidays of a calendar, pinned ones from the package, others from the library."""
    pinned = package_files.files("trading_assets") / _PINNED / f"{calendar}.json"
    if pinned.is_file():
        content = json.loads(pinned.read_text())
        return content["timezone"], tuple(dt.date.fromisoformat(day) for day in content["weekday_holidays"])
    from trading.sessions import get_calendar

    sessions = get_calendar(calendar)
    days = sessions.weekday_holidays(FIRST_SESSION_SUPPORTED, LAST_SESSION_SUPPORTED)
    return str(sessions.timezone), tuple(days)


def session_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Sessions of the settings' calendar; a session's partition exists from the midnight after it."""
    timezone, holidays = calendar_holidays(settings.calendar)
    last = settings.last_session
    if (last or settings.first_session) > LAST_SESSION_SUPPORTED or settings.first_session < FIRST_SESSION_SUPPORTED:
        raise ConfigError(
            f"first_session/last_session must lie within {FIRST_SESSION_SUPPORTED} to {LAST_SESSION_SUPPORTED}, "
            "the bounds of the pinned calendar"
        )
    seven_days = settings.calendar == "24/7"
    weekends: list[str] = [] if seven_days else ["0 0 * * 0", "0 0 * * 6"]
    end = None if last is None else (last + dt.timedelta(days=1)).isoformat()
    exclusions: list[str | dt.datetime] = [
        *weekends,
        *(
            dt.datetime.combine(day, dt.time())
            for day in holidays
            if day >= settings.first_session and (last is None or day <= last)
        ),
    ]
    return dg.DailyPartitionsDefinition(
        start_date=settings.first_session.isoformat(), end_date=end, timezone=timezone, exclusions=exclusions
    )


def by_variant(sessions: dg.DailyPartitionsDefinition, variants: list[str]) -> dg.MultiPartitionsDefinition:
    return dg.MultiPartitionsDefinition({"session": sessions, "variant": dg.StaticPartitionsDefinition(variants)})


def by_sweep(sessions: dg.DailyPartitionsDefinition, sweeps: list[str]) -> dg.MultiPartitionsDefinition | None:
    """None where there is no sweep."""
    if not sweeps:
        return None
    return dg.MultiPartitionsDefinition({"session": sessions, "sweep": dg.StaticPartitionsDefinition(sweeps)})


def by_account(sessions: dg.DailyPartitionsDefinition, accounts: list[str]) -> dg.MultiPartitionsDefinition:
    return dg.MultiPartitionsDefinition({"session": sessions, "account": dg.StaticPartitionsDefinition(accounts)})
