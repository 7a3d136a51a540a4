"""Exchange sessions: opens, closes, early closes, lunch breaks, holidays and time zones, from exchange_calendars.

The bounds are pinned: the library's own defaults move with the wall clock, and a calendar that depends on the
day it was asked is not replayable.
"""

import datetime as dt
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from trading.errors import ConfigError, DataError

FIRST_DATE = dt.date(1990, 1, 1)
LAST_DATE = dt.date(2035, 12, 31)

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_DAY = dt.timedelta(days=1)
_MARGIN = dt.timedelta(days=10)  # holidays in a row that the first or last known session may lie behind
_INSTANT = pl.Datetime("us", "UTC")
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_GRAMMAR = (
    "a calendar is NAME or NAME HH:MM-HH:MM ZONE, e.g. XNYS or CMES 09:30-16:00 America/New_York; "
    "NAME is one of exchange_calendars: XNYS, XLON, XTKS, CMES, 24/7, ..."
)


class SessionCalendar:
    """Sessions of one exchange within pinned bounds; build through :func:`get_calendar`.

    Attributes:
        name: as given to :func:`get_calendar`, e.g. ``XNYS``, ``24/7`` or
            ``CMES 09:30-16:00 America/New_York``.
        timezone: of the exchange, or of the window where the calendar has one.
        sessions_per_year: average over 2000-2019 where covered, e.g. 252 for XNYS and 365 for 24/7.
    """

    def __init__(self, name: str, timezone: ZoneInfo, schedule: pl.DataFrame) -> None:
        """``schedule``: columns session (Date), open, close, break_start, break_end (Datetime[us, UTC], the
        break null where there is none), ascending.
        """
        self.name = name
        self.timezone = timezone
        lunch = (pl.col("break_end") - pl.col("break_start")).dt.total_minutes().fill_null(0)
        self._frame = schedule.select(
            "session",
            "open",
            "close",
            minutes=((pl.col("close") - pl.col("open")).dt.total_minutes() - lunch).cast(pl.Int32),
            break_start="break_start",
            break_end="break_end",
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
        """Trading minutes of the session, a lunch break left out: 390 on a whole XNYS day, 210 on an early
        close, 300 in Tokyo until 2024-11-04.
        """
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
        """One ascending row per session: session (Date), open, close (Datetime[us, UTC]), minutes (Int32, a
        lunch break left out), break_start, break_end (Datetime[us, UTC], null without a lunch break).
        """
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
        """Date of each UTC timestamp on the exchange's own clock (Date); see :meth:`belongs_to` for the
        session that a row is counted to.
        """
        return timestamp.dt.convert_time_zone(str(self.timezone)).dt.date()

    def belongs_to(self, timestamps: pl.Series) -> pl.Series:
        """The date that each row is stored and counted under.

        It is the session whose ``[open, close)`` holds the row; a row outside every session belongs to its
        date on the exchange's clock. So a future's Sunday evening belongs to Monday's session, a minute of
        the lunch break to its day, and a New York winter evening, which lies on the next UTC day, to the day
        before. A date that is no session is a holiday or weekend.

        Args:
            timestamps: Datetime[us, UTC] without nulls, in any order.

        Returns:
            Date, same length, named ``session``.

        Raises:
            DataError: another dtype, or a null.
        """
        earliest, latest = self._span(timestamps)
        if earliest is not None and latest is not None:
            known = self._midnights[1][[0, -1]].tolist()
            if earliest.replace(tzinfo=None) < known[0] or latest.replace(tzinfo=None) >= known[1]:
                rows = pl.DataFrame({"session": self.session_of(timestamps), "at": timestamps})
                return rows.select(pl.coalesce("session", self.trading_date(pl.col("at")))).to_series()
        return self._days_of(timestamps, self._belonging)

    def session_of(self, timestamps: pl.Series) -> pl.Series:
        """The session whose ``[open, close)`` holds each row, as :meth:`belongs_to` but null outside.

        Raises:
            DataError: not Datetime[us, UTC], or a null.
        """
        return self._days_of(timestamps, self._holding)

    def _days_of(self, timestamps: pl.Series, answer: "Callable[[Array], Array]") -> pl.Series:
        """``answer`` by row, asked once per stretch between two edges: nothing changes within."""
        import numpy as np

        earliest, latest = self._span(timestamps)
        if earliest is None or latest is None:
            return pl.Series("session", [], dtype=pl.Date)
        self._slice(earliest.date() - _DAY, latest.date() + _DAY)  # refuses what lies outside the calendar
        instants: Array = timestamps.to_numpy().astype("datetime64[us]", copy=False)
        first, last = (np.datetime64(at.replace(tzinfo=None), "us") for at in (earliest, latest))
        near = slice(*np.searchsorted(self._edges, [first, last], side="right"))
        since = np.append(first, self._edges[near])
        if timestamps.is_sorted():
            starts = np.searchsorted(instants, since)
            return pl.Series("session", np.repeat(answer(since), np.diff(starts, append=len(instants))))
        return pl.Series("session", answer(since)[np.searchsorted(since, instants, side="right") - 1])

    def _holding(self, instants: "Array") -> "Array":
        import numpy as np

        schedule = self._arrays
        slot = np.searchsorted(schedule["open"], instants, side="right") - 1
        inside = (slot >= 0) & (instants < schedule["close"][slot])
        inside &= ~((instants >= schedule["break_start"][slot]) & (instants < schedule["break_end"][slot]))
        return np.where(inside, schedule["session"][slot], np.datetime64("NaT"))

    def _belonging(self, instants: "Array") -> "Array":
        import numpy as np

        session = self._holding(instants)
        days, midnights = self._midnights
        return np.where(np.isnat(session), days[np.searchsorted(midnights, instants, side="right") - 1], session)

    @cached_property
    def _arrays(self) -> "dict[str, Array]":
        """The schedule as datetime64, by column; NaT, in which nothing lies, for no lunch break."""
        naive = self._frame.select("session", pl.col(_INSTANT).dt.replace_time_zone(None))
        return {name: naive[name].to_numpy() for name in naive.columns}

    @cached_property
    def _midnights(self) -> "tuple[Array, Array]":
        """The days about the calendar, and the first instant of each on the exchange's clock.

        Looking a row up in them takes a tenth of converting it to the zone.
        """
        days = pl.date_range(self._days[0] - 2 * _MARGIN, self._days[-1] + 2 * _MARGIN, "1d", eager=True)
        starts = [dt.datetime.combine(day, dt.time(), self.timezone).astimezone(dt.UTC) for day in days]
        instants = pl.Series(starts, dtype=_INSTANT).dt.replace_time_zone(None)
        return days.to_numpy(), instants.to_numpy()

    @cached_property
    def _edges(self) -> "Array":
        """Instants at which the answer of :meth:`belongs_to` can change, ascending."""
        import numpy as np

        schedule = self._arrays
        edges = [schedule[name] for name in ("open", "close", "break_start", "break_end")]
        every = np.unique(np.concatenate([*edges, self._midnights[1]]))
        known: Array = every[~np.isnat(every)]
        return known

    def _span(self, instants: pl.Series) -> tuple[dt.datetime | None, dt.datetime | None]:
        """Earliest and latest, both None for no rows; refuses all but instants."""
        if instants.dtype != _INSTANT or instants.null_count():
            name, found = instants.name or "Timestamp", f"{instants.dtype} with {instants.null_count()} nulls"
            raise DataError(f"{name} must be {_INSTANT} without nulls, it is {found}")
        earliest, latest = instants.min(), instants.max()
        if not isinstance(earliest, dt.datetime) or not isinstance(latest, dt.datetime):
            return None, None
        return earliest, latest

    def with_session(self, frame: pl.DataFrame, timestamp: str = "Timestamp") -> pl.DataFrame:
        """``frame`` with session, open, close, minutes of the session whose ``[open, close)`` holds each row.

        The four columns are null on rows outside every session or inside its lunch break. Row order is kept.
        """
        schedule, slot, inside = self._placed(frame[timestamp])
        names = ("session", "open", "close", "minutes")
        if schedule.is_empty():
            return frame.with_columns(pl.lit(None, self._frame.schema[name]).alias(name) for name in names)
        rows = schedule.select(names)[slot]
        return frame.with_columns(pl.when(inside).then(rows[name]).alias(name) for name in names)

    def _placed(self, instants: pl.Series) -> tuple[pl.DataFrame, pl.Series, pl.Series]:
        """The sessions around, the row in them of the last that opened by each instant, and whether it is in it."""
        earliest, latest = self._span(instants)
        schedule = self._frame.clear()
        if earliest is not None and latest is not None:
            schedule = self.frame(earliest.date() - _DAY, latest.date() + _DAY)
        if schedule.is_empty():
            return schedule, pl.Series([], dtype=pl.Int64), pl.Series([], dtype=pl.Boolean)
        slot = schedule["open"].search_sorted(instants, side="right").cast(pl.Int64) - 1
        inside = slot >= 0
        slot = slot.clip(0)
        inside &= instants < schedule["close"].gather(slot)
        if schedule["break_start"].null_count() < schedule.height:
            start, end = (schedule[name].gather(slot) for name in ("break_start", "break_end"))
            inside &= ~((instants >= start) & (instants < end)).fill_null(False)
        return schedule, slot, inside

    def _at(self, session: dt.date) -> int:
        try:
            return self._index[session]
        except KeyError:
            raise DataError(f"{self.name}: {session} is not a session; {self._bounds()}") from None

    def _slice(self, first: dt.date, last: dt.date) -> tuple[int, int]:
        if first > last:
            return 0, 0
        if last < self._days[0] - _MARGIN or first > self._days[-1] + _MARGIN:
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
    """The calendar ``name`` within the pinned bounds, cached for the process.

    Args:
        name: of exchange_calendars, e.g. ``XNYS``; or such a name with a daily window in local time, e.g.
            ``CMES 09:30-16:00 America/New_York``: each session is cut to the window, and one that the window
            does not touch is no session. A window whose end is not after its start begins on the evening
            before: ``CMES 17:00-16:00 America/Chicago`` leaves out the hour of maintenance.

    Raises:
        ConfigError: malformed or unknown name, or unknown zone.
    """
    exchange, *window = name.split(" ")
    if not window:
        zone, schedule = _library_schedule(name)
        return SessionCalendar(name, zone, schedule)
    match = _WINDOW.fullmatch(window[0])
    if match is None or len(window) != 2:
        raise ConfigError(f"calendar {name!r} is malformed; {_GRAMMAR}")
    hour, minute, end_hour, end_minute = map(int, match.groups())
    zone = _zone(name, window[1])
    _, schedule = _library_schedule(exchange)
    cut = _cut(schedule, dt.time(hour, minute), dt.time(end_hour, end_minute), zone)
    if cut.is_empty():
        raise ConfigError(f"calendar {name!r} has no session: the window lies outside all sessions of {exchange}")
    return SessionCalendar(name, zone, cut)


def _zone(name: str, zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"calendar {name!r}: {zone!r} is no IANA time zone; {_GRAMMAR}") from None


def _library_schedule(name: str) -> tuple[ZoneInfo, pl.DataFrame]:
    """The exchange's time zone, and session, open, close, break_start, break_end of the pinned bounds."""
    import exchange_calendars
    from exchange_calendars import errors

    try:
        source = exchange_calendars.get_calendar(name, **_supported_bounds(name))
    except errors.InvalidCalendarName:
        raise ConfigError(f"calendar {name!r} is unknown; {_GRAMMAR}") from None
    except ValueError as error:
        raise ConfigError(f"calendar {name!r} cannot be built from {FIRST_DATE} on: {str(error)[:120]}") from error
    table = source.schedule
    instants = {
        column: pl.Series(table[column].dt.tz_localize(None).to_numpy().astype("datetime64[us]"))
        for column in ("open", "close", "break_start", "break_end")
    }
    days = pl.Series(table.index.to_numpy().astype("datetime64[us]")).cast(pl.Date)
    frame = pl.DataFrame({"session": days, **instants}).with_columns(
        pl.col(*instants).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    )
    return ZoneInfo(str(source.tz)), frame


def _cut(schedule: pl.DataFrame, start: dt.time, end: dt.time, zone: ZoneInfo) -> pl.DataFrame:
    """Each session cut to ``[start, end)`` of its date on the clock of ``zone``; empty ones are left out.

    A clock change inside the window is kept right by placing both edges on the clock by themselves. An edge
    that the change skips or doubles is taken with the offset from before it.
    """
    evening = _DAY if end <= start else dt.timedelta()
    days = schedule["session"].to_list()
    edges = {
        "from": [dt.datetime.combine(day - evening, start, zone).astimezone(dt.UTC) for day in days],
        "until": [dt.datetime.combine(day, end, zone).astimezone(dt.UTC) for day in days],
    }
    window = pl.DataFrame(edges, schema=dict.fromkeys(edges, _INSTANT))
    low, high = pl.max_horizontal("open", "from"), pl.min_horizontal("close", "until")
    # an edge that falls into the lunch break moves to the break's nearer trading minute
    rest_start, rest_end = pl.col("break_start"), pl.col("break_end")
    opens = pl.when((low >= rest_start) & (low < rest_end)).then(rest_end).otherwise(low)
    closes = pl.when((high > rest_start) & (high <= rest_end)).then(rest_start).otherwise(high)
    cut = pl.concat([schedule, window], how="horizontal").with_columns(open=opens, close=closes)
    within = (pl.col("open") < rest_start) & (rest_end < pl.col("close"))
    return cut.filter(pl.col("open") < pl.col("close")).select(
        "session",
        "open",
        "close",
        break_start=pl.when(within).then(rest_start),
        break_end=pl.when(within).then(rest_end),
    )


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
