"""Simulation horizons: the windows back from a session over which a variant is replayed."""

import calendar as months
import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from trading.errors import DataError
from trading.sessions import SessionCalendar

Horizon = Literal["1m", "3m", "6m", "1y"]

HORIZONS: tuple[Horizon, ...] = get_args(Horizon)

_MONTHS: dict[Horizon, int] = {"1m": 1, "3m": 3, "6m": 6, "1y": 12}


@dataclass(frozen=True)
class HorizonWindow:
    """The sessions of one horizon as of a session.

    Attributes:
        first, last: first and last session of the window by the calendar, whether there is data or not.
        expected: sessions of the calendar in it.
        available: those of them with data, ascending.
    """

    horizon: Horizon
    first: dt.date
    last: dt.date
    expected: int
    available: tuple[dt.date, ...]

    @property
    def reaches_back(self) -> bool:
        """Whether the data begins no later than the window does."""
        return bool(self.available) and self.available[0] <= self.first

    @property
    def coverage(self) -> float:
        """Share of the window's sessions with data."""
        return len(self.available) / self.expected


def horizon_window(
    horizon: Horizon, as_of: dt.date, calendar: SessionCalendar, available: Collection[dt.date]
) -> HorizonWindow:
    """The window of ``horizon``: sessions after the day one, three, six or twelve months before ``as_of``,
    up to it.

    As of 15 March, ``1m`` is 16 February to 15 March. Where the earlier month is shorter its last day
    counts: as of 31 March, ``1m`` begins on 1 March.

    Args:
        as_of: a session; it belongs to the window.
        available: sessions with data; those outside the window are ignored.

    Raises:
        DataError: ``as_of`` is no session of ``calendar``.
    """
    if not calendar.is_session(as_of):
        raise DataError(f"as-of date {as_of} is no session of {calendar.name}")
    start = _months_before(as_of, _MONTHS[horizon]) + dt.timedelta(days=1)
    sessions = calendar.sessions(start, as_of)
    have = frozenset(available)
    with_data = tuple(day for day in sessions if day in have)
    return HorizonWindow(horizon, sessions[0], as_of, len(sessions), with_data)


def horizon_windows(
    as_of: dt.date, calendar: SessionCalendar, available: Collection[dt.date]
) -> dict[Horizon, HorizonWindow]:
    """The windows of all horizons; see :func:`horizon_window`."""
    return {horizon: horizon_window(horizon, as_of, calendar, available) for horizon in HORIZONS}


def _months_before(day: dt.date, count: int) -> dt.date:
    year, month = divmod(day.year * 12 + day.month - 1 - count, 12)
    return dt.date(year, month + 1, min(day.day, months.monthrange(year, month + 1)[1]))
