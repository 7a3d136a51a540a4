"""Which span of time has to be asked for to know all bars of a session."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trading.ports.sources import Step
from trading.sessions import SessionCalendar

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, order=True)
class Span:
    """``[start, end)``, UTC."""

    start: dt.datetime
    end: dt.datetime

    def covers(self, other: "Span") -> bool:
        return self.start <= other.start and other.end <= self.end

    def __str__(self) -> str:
        """By days, for a person; a bound that is no midnight UTC belongs to the day it lies in."""
        return f"{self.start:%Y-%m-%d} to {self.end - dt.timedelta(microseconds=1):%Y-%m-%d}"


def span_of(session: dt.date, calendar: SessionCalendar, step: Step) -> Span:
    """The span outside which no bar of ``session`` can start.

    Minutes: the whole day on the exchange's clock, extended hours included, and the session's own hours where they
    begin the evening before. Days: midnight to midnight UTC of the date that labels them.
    """
    if step == "1d":
        midnight = dt.datetime.combine(session, dt.time(), dt.UTC)
        return Span(midnight, midnight + _DAY)
    start = dt.datetime.combine(session, dt.time(), calendar.timezone).astimezone(dt.UTC)
    end = dt.datetime.combine(session + _DAY, dt.time(), calendar.timezone).astimezone(dt.UTC)
    return Span(min(start, calendar.open(session)), max(end, calendar.close(session)))


def joined(
    sessions: Iterable[dt.date], calendar: SessionCalendar, step: Step, longest: dt.timedelta
) -> list[tuple[Span, Sequence[dt.date]]]:
    """As few spans as ``longest`` allows, each with its sessions, ascending.

    Sessions that follow each other share a span; one that is not among ``sessions`` ends it, because it would be asked
    for again without need.
    """
    spans: list[tuple[Span, list[dt.date]]] = []
    for session in sorted(set(sessions)):
        own = span_of(session, calendar, step)
        if spans:
            span, members = spans[-1]
            whole = Span(span.start, max(span.end, own.end))
            if calendar.next(members[-1]) == session and whole.end - whole.start <= longest:
                spans[-1] = (whole, [*members, session])
                continue
        spans.append((own, [session]))
    return [(span, tuple(members)) for span, members in spans]
