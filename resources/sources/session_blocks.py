"""Rows in memory: a span of sessions from every file at once, because a file is decoded by row group, not by session."""

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil

import polars as pl

from resources.sources.bar_file import read_bars
from resources.sources.errors import SourceFileRefused
from resources.sources.file_content import FileContent, Stamp, by_date, dates_of, stamp_of
from resources.sources.file_format import FileFormat
from resources.sources.layout import BarFile
from resources.sources.threads import each
from trading.sessions import SessionCalendar

BYTES_PER_ROW = 48
"""Of a bar in memory: six columns of eight bytes."""

EVERYTHING = (dt.date.min, dt.date.max)
_ONE_DAY = dt.timedelta(days=1)

Span = tuple[dt.date, dt.date]
"""First and last date, both included."""


def plan_blocks(rows: Mapping[dt.date, int], wanted: Iterable[dt.date], budget: int) -> list[Span]:
    """Spans of about equal weight that hold all ``wanted`` sessions, as few as the budget allows.

    Args:
        rows: of all files together, by date; what lies between two wanted sessions weighs too.
        wanted: in any order.
        budget: rows in one span; a single session may be more.
    """
    days = sorted(rows)
    ends = [0, *accumulate(rows[day] for day in days)]

    def weight(first: dt.date, last: dt.date) -> int:
        return ends[bisect_right(days, last)] - ends[bisect_left(days, first)]

    sessions = sorted(set(wanted))
    total = sum(rows.get(day, 0) for day in sessions)
    # Equal spans: the last one is not a remainder for which every file would be decoded once more.
    target = min(budget, total / max(1, ceil(total / max(budget, 1))) + max(rows.values(), default=0))
    spans: list[Span] = []
    for day in sessions:
        if spans and weight(spans[-1][0], day) <= target:
            spans[-1] = (spans[-1][0], day)
        else:
            spans.append((day, day))
    return spans


@dataclass(frozen=True)
class _Part:
    """Rows of one file from its row ``first`` on, by date."""

    stamp: Stamp
    frame: pl.DataFrame
    first: int
    day: dt.date | None


class SessionBlocks:
    """Keeps the rows of one span of sessions, and of files of a day those around the last session asked for.

    Args:
        form: how the files are written.
        budget: bytes that a planned span may take.
    """

    def __init__(self, form: FileFormat, budget: int) -> None:
        self._form = form
        self._budget = budget
        self._plan: list[Span] = []
        self._span: Span | None = None
        self._calendar = ""
        self._parts: dict[str, _Part] = {}

    def plan(self, rows: Mapping[dt.date, int], wanted: Sequence[dt.date]) -> None:
        """Sessions that will be read, best in ascending order; ``rows`` of all files together by date."""
        self._plan = plan_blocks(rows, wanted, self._budget // BYTES_PER_ROW)

    def release(self, session: dt.date) -> None:
        """Let go of everything once the last planned session is read."""
        if self._plan and session >= self._plan[-1][1]:
            self._plan = []
            self._span = None
            self._parts.clear()

    def move(self, session: dt.date, exchange: SessionCalendar, *, whole: bool) -> None:
        """Make ``session`` one of those held: with its planned span, alone, or with ``whole`` all there is."""
        self._turn_to(exchange)
        if self._span is None or not self._span[0] <= session <= self._span[1]:
            alone = (session, session)
            planned = (span for span in self._plan if span[0] <= session <= span[1])
            self._span = EVERYTHING if whole else next(planned, alone)
            self._parts = {shown: part for shown, part in self._parts.items() if part.day is not None}
        far = [s for s, part in self._parts.items() if part.day is not None and abs(part.day - session) > _ONE_DAY]
        for shown in far:
            del self._parts[shown]

    def _turn_to(self, exchange: SessionCalendar) -> None:
        """What is held is by date, and a row's date is the calendar's to say."""
        if self._calendar != exchange.name:
            self._parts.clear()
            self._calendar, self._span = exchange.name, None

    def keep(self, file: BarFile, content: FileContent, frame: pl.DataFrame, exchange: SessionCalendar) -> None:
        """Take all rows of a file, by date, that were read already; of a file of many days where all are to be held."""
        self._turn_to(exchange)
        if file.day is None:
            self._span = EVERYTHING
        self._parts[file.shown] = _Part(content.stamp, frame, 0, file.day)

    def load(
        self, files: Iterable[tuple[BarFile, FileContent]], exchange: SessionCalendar
    ) -> list[tuple[BarFile, SourceFileRefused]]:
        """Read what is not held yet of the span; returns the files that turned out to be unusable."""
        missing = [(f, c) for f, c in files if f.shown not in self._parts or self._parts[f.shown].stamp != c.stamp]
        refused = []
        for (file, _), part in each(lambda pair: self._read(*pair, exchange), missing):
            if isinstance(part, SourceFileRefused):
                refused.append((file, part))
            else:
                self._parts[file.shown] = part
        return refused

    def rows(self, file: BarFile, start: int, length: int) -> pl.DataFrame:
        """``length`` rows from the file's row ``start`` on, by date."""
        part = self._parts[file.shown]
        return part.frame.slice(start - part.first, length)

    def _read(self, file: BarFile, content: FileContent, exchange: SessionCalendar) -> _Part:
        assert self._span is not None
        start, length = content.between(*(EVERYTHING if file.day else self._span))
        if content.ordered:
            whole = length == content.rows
            frame = read_bars(file.path, file.symbol, file.shown, self._form, rows=None if whole else (start, length))
        else:
            frame = read_bars(file.path, file.symbol, file.shown, self._form)
            frame = by_date(frame, dates_of(frame, self._form, exchange)).slice(start, length)
        if stamp_of(file) != content.stamp:
            raise SourceFileRefused(file.shown, "it changed while it was read: is it still being copied?")
        return _Part(content.stamp, frame, start, file.day)
