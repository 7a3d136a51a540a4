"""Where sorted bars fall: their session, their window, and the runs of rows that make one bar each.

Rows sorted by Symbol and Timestamp need no hashing: whatever belongs together lies together. So everything that is
the same for a whole run, its session and that session's open, is looked up once a run, and rows are only compared
with the row before.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from trading.bars.errors import BarsRefused
from trading.contracts import violation
from trading.sessions import SessionCalendar

Array = np.ndarray[Any, np.dtype[Any]]

MINUTE = 60_000_000  # microseconds

_BLOCK = 1 << 14  # rows
_DAY = dt.timedelta(days=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_OUTSIDE = "only minutes of a regular session can be resampled; assemble_m1 cuts them"


@dataclass(frozen=True)
class Windows:
    """Windows that have at least one row, in the order of the rows.

    Attributes:
        first: row at which each begins (int64); it ends where the next one begins.
        start: microseconds since 1970 of the window's start (int64).
        minutes: its length in trading minutes, a break left out (int64).
        session: of each (Date).
    """

    first: Array
    start: Array
    minutes: Array
    session: pl.Series


def in_order(bars: pl.DataFrame) -> tuple[pl.DataFrame, Array]:
    """``bars`` by Symbol and Timestamp, and which rows begin another Symbol (bool, one per row).

    Raises:
        BarsRefused: ``sorted_unique``, a Symbol and Timestamp twice.
    """
    bars = bars.rechunk()
    changes = _symbol_changes(bars)
    if _ascends(bars, changes):
        return bars, changes
    bars = bars.sort("Symbol", "Timestamp")
    changes = _symbol_changes(bars)
    stamps = _micros(bars["Timestamp"])
    repeats = np.append(False, (stamps[1:] == stamps[:-1]) & ~changes[1:])
    if repeats.any():
        raise refused("sorted_unique", "every Symbol and minute must come once", bars.filter(repeats))
    return bars, changes


def windows_of(
    bars: pl.DataFrame, changes: Array, length: int | None, source: int, calendar: SessionCalendar
) -> Windows:
    """The windows of ``length`` minutes, anchored on each session's open, that ``bars`` fall into.

    Args:
        bars: at least one row, as :func:`in_order` gives them with ``changes``.
        length: of a window, in minutes by the clock; None: the window is the session.
        source: minutes that one row stands for.
        calendar: of all the Symbols given.

    Raises:
        BarsRefused: ``outside_session``, ``off_grid`` or ``session_mismatch``.
    """
    stamps = _micros(bars["Timestamp"])
    hours = _Hours(calendar, stamps.min(), stamps.max())
    slot = hours.slots(stamps)
    begins = changes.copy()
    if len(hours.opens) > 1:
        begins[1:] |= slot[1:] != slot[:-1]
    runs = np.flatnonzero(begins)
    day = slot[runs]  # the session of a run, whose last row is the latest
    last = stamps[np.append(runs[1:], bars.height) - 1]
    if (day < 0).any() or (last >= hours.closes[day]).any():
        raise refused("outside_session", _OUTSIDE, bars.filter((slot < 0) | (stamps >= hours.closes[slot])))
    if "session" in bars.columns:
        wrong = bars["session"].to_physical().to_numpy() != hours.by_row(hours.days, slot)
        if wrong.any():
            raise refused("session_mismatch", "session must be the calendar's of that minute", bars.filter(wrong))
    step, on_grid = _steps(stamps, hours.by_row(hours.opens, slot), source * MINUTE)
    if not on_grid:
        off = (stamps - hours.opens[slot]) % (source * MINUTE) != 0
        grid = "be a whole minute" if source == 1 else f"be a whole number of {source} minutes after the open"
        raise refused("off_grid", f"Timestamp must {grid}", bars.filter(off))
    if hours.has_breaks:
        resting = hours.trading_minutes(slot, step * source, (step + 1) * source) == 0
        if resting.any():
            raise refused("outside_session", _OUTSIDE, bars.filter(resting))
    if length is None:
        return Windows(runs, hours.opens[day], hours.minutes[day], hours.sessions.gather(day))
    window = step // np.int32(length // source)
    begins[1:] |= window[1:] != window[:-1]
    first = np.flatnonzero(begins)
    at, begin = slot[first], window[first].astype(np.int64) * length
    return Windows(
        first,
        hours.opens[at] + begin * MINUTE,
        hours.trading_minutes(at, begin, begin + length),
        hours.sessions.gather(at),
    )


class _Hours:
    """Trading hours of the sessions that may hold rows between two instants, as arrays; at least one session."""

    def __init__(self, calendar: SessionCalendar, earliest: int, latest: int) -> None:
        near = calendar.frame(_date(earliest) - _DAY, _date(latest) + _DAY)
        opens, closes = _micros(near["open"]), _micros(near["close"])
        first = min(int(np.searchsorted(closes, earliest, side="right")), max(len(closes) - 1, 0))
        schedule = near.slice(first, max(int(np.searchsorted(opens, latest, side="right")) - first, 1))
        self.sessions = schedule["session"]
        self.days: Array = self.sessions.to_physical().to_numpy()
        self.opens, self.closes = _micros(schedule["open"]), _micros(schedule["close"])
        self.minutes: Array = schedule["minutes"].to_numpy().astype(np.int64)
        self.has_breaks = schedule["break_start"].null_count() < schedule.height
        self._schedule = schedule

    def slots(self, stamps: Array) -> Array:
        """The session that was the last to open, for each row; -1 before the first."""
        if len(self.opens) == 1 and stamps.min() >= self.opens[0]:
            return np.zeros(len(stamps), dtype=np.int64)
        return np.searchsorted(self.opens, stamps, side="right") - 1

    def by_row(self, values: Array, slot: Array) -> Array:
        """``values`` of each row's session; one value where there is one session."""
        return values if len(values) == 1 else values[slot]

    def trading_minutes(self, slot: Array, begin: Array, end: Array) -> Array:
        """Trading minutes between two minutes since the open, the break and what is past the close left out."""
        end = np.minimum(end, ((self.closes - self.opens) // MINUTE)[slot])
        trading: Array = end - begin
        if self.has_breaks:
            # an empty break at the open for a session without one
            rest, resume = (
                ((_micros(self._schedule[edge].fill_null(self._schedule["open"])) - self.opens) // MINUTE)[slot]
                for edge in ("break_start", "break_end")
            )
            trading -= np.maximum(np.minimum(end, resume) - np.maximum(begin, rest), 0)
        return trading


def _steps(stamps: Array, opens: Array, unit: int) -> tuple[Array, bool]:
    """Whole units since the open (int32), and if every row is a whole number of them.

    In blocks that stay in the processor's cache: in one go, fresh memory would cost more than the arithmetic in it.
    """
    steps: Array = np.empty(len(stamps), dtype=np.int32)
    on_grid = True
    for begin in range(0, len(stamps), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        since_open = stamps[rows] - (opens if len(opens) == 1 else opens[rows])
        step = since_open // unit
        on_grid = on_grid and bool((step * unit == since_open).all())
        steps[rows] = step
    return steps, on_grid


def refused(code: str, says: str, rows: pl.DataFrame) -> BarsRefused:
    error = violation("m1_bars", code, says, rows=rows, where="resample", kind=BarsRefused)
    assert isinstance(error, BarsRefused)
    error.rows = rows
    return error


def _symbol_changes(bars: pl.DataFrame) -> Array:
    symbols = bars["Symbol"]
    changes = np.ones(bars.height, dtype=bool)
    changes[1:] = (symbols[1:] != symbols[:-1]).to_numpy()
    return changes


def _ascends(bars: pl.DataFrame, changes: Array) -> bool:
    stamps = _micros(bars["Timestamp"])
    names = bars["Symbol"].gather(np.flatnonzero(changes))
    return bool(((stamps[1:] > stamps[:-1]) | changes[1:]).all()) and bool((names[1:] > names[:-1]).all())


def _micros(instants: pl.Series) -> Array:
    micros: Array = instants.to_physical().to_numpy()
    return micros


def _date(micros: int) -> dt.date:
    return (_EPOCH + dt.timedelta(microseconds=int(micros))).date()
