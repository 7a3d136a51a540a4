"""Bars that vendors' servers of tests deliver: made by a rule, so that every row of a download can be told right."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace

from trading.sessions import get_calendar


@dataclass(frozen=True)
class Bar:
    """``start`` in UTC; prices None where nothing was traded."""

    start: dt.datetime
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None

    def revised(self, by: float) -> "Bar":
        assert self.high is not None
        return replace(self, high=round(self.high + by, 2))


def minute_bars(sessions: Iterable[dt.date], price: float, *, extended: bool = True, every: int = 1) -> list[Bar]:
    """XNYS: from 04:00 to 19:59 New York, or the regular hours alone; one bar in ``every`` minutes."""
    calendar = get_calendar("XNYS")
    bars: list[Bar] = []
    for session in sessions:
        start, minutes = calendar.open(session), calendar.minutes(session)
        if extended:
            start, minutes = start - dt.timedelta(minutes=330), 960
        bars += [_bar(start + dt.timedelta(minutes=n), price, n) for n in range(0, minutes, every)]
    return bars


def day_bars(sessions: Iterable[dt.date], price: float) -> list[Bar]:
    """One bar a session, at midnight UTC of its date."""
    return [
        _bar(dt.datetime.combine(session, dt.time(), dt.UTC), price, 7 * number)
        for number, session in enumerate(sessions)
    ]


def _bar(start: dt.datetime, price: float, n: int) -> Bar:
    first = round(price + (n % 37) / 100, 2)
    last = round(first + ((n % 5) - 2) / 100, 2)
    return Bar(start, first, round(max(first, last) + 0.03, 2), round(min(first, last) - 0.02, 2), last, 100 + n)
