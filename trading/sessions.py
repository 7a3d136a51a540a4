"""Exchange sessions: opens, closes, early closes, holidays and time zones, from exchange_calendars.

The bounds are pinned: the library's own defaults move with the wall clock, and a calendar that depends on the
day it was asked is not replayable.
"""

import datetime as dt
from bisect import bisect_left, bisect_right
from functools import cache
from zoneinfo import ZoneInfo

import polars as pl

from trading.errors import ConfigError, DataError

FIRST_DATE = dt.date(1990, 1, 1)
LAST_DATE = dt.date(2035, 12, 31)

_DAY = dt.timedelta(days=1)
_INSTANT = pl.Datetime("us", "UTC")


class SessionCalendar:
    """Sessions of one exchange within pinned bounds; build through :func:`get_calendar`.

    Attributes:
        name: exchange_calendars name, e.g. ``XNYS`` or ``24/7``.
        timezone: of the exchange.
        sessions_per_year: average over 2000-2019 where covered, e.g. 252 for XNYS and 365 for 24/7.
    """

    def __init__(self, name: str, timezone: ZoneInfo, schedule: pl.DataFrame) -> None:
        """``schedule``: columns session (Date), open, close (Datetime[us, UTC]), ascending."""
        self.name = name
        self.timezone = timezone
        self._frame = schedule.select(
            "session",
            "open",
            "close",
            minutes=(pl.col("close") - pl.col("open")).dt.total_minutes().cast(pl.Int32),
        )
        self._days: list[dt.date] = self._frame["session"].to_list()
        self._index = {day: i for i, day in enumerate(self._days)}
        self.sessions_per_year = self._per_year()

    def __repr__(self) -> str:
        return f"SessionCalendar({self.name!r}, {self._days[0]} to {self._days[-1]})"

    @property
    def first_session(self) -> dt.date:
        return self._days[0]

    @property
    def last_session(self) -> dt.date:
        return self._days[-1]

    def sessions(self, first: dt.date, last: dt.date) -> list[dt.date]:
        """Sessions from ``first`` to ``last``, both included, ascending; empty where there is none."""
        low, high = self._slice(first, last)
        return self._days[low:high]

    def is_session(self, day: dt.date) -> bool:
        return day in self._index

    def open(self, session: dt.date) -> dt.datetime:
        """First instant of the session, UTC. DataError where ``session`` is none."""
        value: dt.datetime = self._frame["open"][self._at(session)]
        return value

    def close(self, session: dt.date) -> dt.datetime:
        """End of the session, UTC, exclusive: the last minute bar starts one minute before."""
        value: dt.datetime = self._frame["close"][self._at(session)]
        return value

    def minutes(self, session: dt.date) -> int:
        """Regular minutes of the session: 390 on a whole XNYS day, 210 on an early close."""
        return int(self._frame["minutes"][self._at(session)])

    def next(self, day: dt.date) -> dt.date:
        """First session strictly after ``day`` (which need not be one)."""
        i = bisect_right(self._days, day)
        if i >= len(self._days) or day < FIRST_DATE:
            raise DataError(f"{self.name}: no known session after {day}; {self._bounds()}")
        return self._days[i]

    def previous(self, day: dt.date) -> dt.date:
        """Last session strictly before ``day`` (which need not be one)."""
        i = bisect_left(self._days, day) - 1
        if i < 0 or day > LAST_DATE + _DAY:
            raise DataError(f"{self.name}: no known session before {day}; {self._bounds()}")
        return self._days[i]

    def frame(self, first: dt.date, last: dt.date) -> pl.DataFrame:
        """One ascending row per session: session (Date), open, close (Datetime[us, UTC]), minutes (Int32)."""
        low, high = self._slice(first, last)
        return self._frame.slice(low, high - low)

    def frame_of(self, days: pl.Series) -> pl.DataFrame:
        """:meth:`frame` from the earliest to the latest of ``days`` (Date); empty where there is none."""
        first, last = days.min(), days.max()
        if not isinstance(first, dt.date) or not isinstance(last, dt.date):
            return self._frame.clear()
        return self.frame(first, last)

    def weekday_holidays(self, first: dt.date, last: dt.date) -> list[dt.date]:
        """Monday-to-Friday dates from ``first`` to ``last`` that are no session."""
        days = pl.date_range(first, last, "1d", eager=True) if first <= last else pl.Series([], dtype=pl.Date)
        return [day for day in days.to_list() if day.weekday() < 5 and day not in self._index]

    def trading_date(self, timestamp: pl.Expr) -> pl.Expr:
        """Date of each UTC timestamp on the exchange's own clock (Date).

        After-hours rows of a New York winter evening lie on the next UTC day and still belong to this date.
        """
        return timestamp.dt.convert_time_zone(str(self.timezone)).dt.date()

    def with_session(self, frame: pl.DataFrame, timestamp: str = "Timestamp") -> pl.DataFrame:
        """``frame`` with session, open, close, minutes of the session whose ``[open, close)`` holds each row.

        The four columns are null on rows outside every session. Row order is kept.
        """
        instants = frame[timestamp]
        if instants.dtype != _INSTANT or instants.null_count():
            raise DataError(f"{timestamp} must be {_INSTANT} without nulls, it is {instants.dtype}")
        earliest, latest = instants.min(), instants.max()
        schedule = self._frame.clear()
        if isinstance(earliest, dt.datetime) and isinstance(latest, dt.datetime):
            schedule = self.frame(earliest.date() - _DAY, latest.date() + _DAY)
        names = ("session", "open", "close", "minutes")
        if schedule.is_empty():
            return frame.with_columns(pl.lit(None, self._frame.schema[name]).alias(name) for name in names)
        slot = schedule["open"].search_sorted(instants, side="right").cast(pl.Int64) - 1
        rows = schedule[slot.clip(0)]
        inside = (slot >= 0) & (instants < rows["close"])
        return frame.with_columns(pl.when(inside).then(rows[name]).alias(name) for name in names)

    def _at(self, session: dt.date) -> int:
        try:
            return self._index[session]
        except KeyError:
            raise DataError(f"{self.name}: {session} is not a session; {self._bounds()}") from None

    def _slice(self, first: dt.date, last: dt.date) -> tuple[int, int]:
        if first > last:
            return 0, 0
        if last < FIRST_DATE - _DAY or first > LAST_DATE + _DAY:
            raise DataError(f"{self.name}: {first} to {last} is outside the calendar; {self._bounds()}")
        return bisect_left(self._days, first), bisect_right(self._days, last)

    def _bounds(self) -> str:
        return f"it covers {self._days[0]} to {self._days[-1]}"

    def _per_year(self) -> int:
        first = max(self._days[0].year, 2000)
        last = min(self._days[-1].year, 2019)
        if last < first:
            first = last = self._days[len(self._days) // 2].year
        count = len(self.sessions(dt.date(first, 1, 1), dt.date(last, 12, 31)))
        return round(count / (last - first + 1))


@cache
def get_calendar(name: str = "XNYS") -> SessionCalendar:
    """The calendar ``name`` of exchange_calendars within the pinned bounds, cached for the process.

    Raises:
        ConfigError: unknown name, or a calendar with a lunch break (windows are anchored on one open per
            session).
    """
    import exchange_calendars
    from exchange_calendars import errors

    try:
        source = exchange_calendars.get_calendar(name, **_supported_bounds(name))
    except errors.InvalidCalendarName:
        raise ConfigError(
            f"calendar {name!r} is unknown; it must be one of exchange_calendars: XNYS, XLON, CMES, 24/7, ..."
        ) from None
    except ValueError as error:
        raise ConfigError(f"calendar {name!r} cannot be built from {FIRST_DATE} on: {str(error)[:120]}") from error
    schedule = source.schedule
    if bool(schedule["break_start"].notna().any()):
        raise ConfigError(f"calendar {name!r} has a lunch break; sessions with a break are not supported")
    micros = "datetime64[us]"
    frame = pl.DataFrame(
        {
            "session": pl.Series(schedule.index.to_numpy().astype(micros)).cast(pl.Date),
            "open": pl.Series(schedule["open"].dt.tz_localize(None).to_numpy().astype(micros)),
            "close": pl.Series(schedule["close"].dt.tz_localize(None).to_numpy().astype(micros)),
        }
    ).with_columns(pl.col("open", "close").dt.replace_time_zone("UTC"))
    return SessionCalendar(name, ZoneInfo(str(source.tz)), frame)


def _supported_bounds(name: str) -> dict[str, str]:
    """The pinned bounds, narrowed to what the library knows of this calendar."""
    from exchange_calendars.calendar_utils import global_calendar_dispatcher as dispatcher

    first, last = FIRST_DATE, LAST_DATE
    factory = dispatcher._calendar_factories.get(dispatcher.resolve_alias(name))
    if factory is not None:
        low, high = factory.bound_min(), factory.bound_max()
        first = first if low is None else max(first, low.date())
        last = last if high is None else min(last, high.date())
    return {"start": first.isoformat(), "end": last.isoformat()}
