"""Where sorted bars fall: their session, their window, and the runs of rows that make one bar each.

Rows sorted by Symbol and Timestamp need no hashing: whatever belongs together lies together. So everything that is
the same for a whole run, its session and that session's open, is looked up once a run, and rows are only compared
with the row before.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from trading.bars.errors import BarsRefused
from trading.bars.reused import empty
from trading.contracts import violation
from trading.sessions import SessionCalendar

Array = np.ndarray[Any, np.dtype[Any]]

MINUTE = 60_000_000  # microseconds

# of Windows
_COLUMNS = (np.int64, np.int64, np.int32, *[np.float64] * 4, np.int64, np.int32, np.bool_)
_NONE = np.empty(0, np.int32)
_OUTSIDE = "only minutes of a regular session can be resampled; assemble_m1 cuts them"


@dataclass(frozen=True)
class Windows:
    """Windows that have at least one row, in the order of the rows.

    Attributes:
        first: row at which each begins (int64); it ends where the next one begins.
        start: microseconds since 1970 of the window's start (int64).
        session: of each, days since 1970 (int32).
        open, high, low, close: first, highest, lowest and last price (float64).
        volume: sum (int64).
        minutes: M1 bars in each (int32).
        complete: whether there is one for each of its trading minutes, a break left out (bool).
    """

    first: Array
    start: Array
    session: Array
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    minutes: Array
    complete: Array


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


def fold(bars: pl.DataFrame, changes: Array, length: int | None, source: int, calendar: SessionCalendar) -> Windows:
    """``bars`` folded into the windows of ``length`` minutes that each session's open anchors.

    Args:
        bars: at least one row, as :func:`in_order` gives them with ``changes``; with a column minutes where a row stands for
            more than one.
        length: of a window, in minutes by the clock; None: the window is the session.
        source: minutes that one row stands for.
        calendar: of all the Symbols given.

    Raises:
        BarsRefused: ``outside_session``, ``off_grid`` or ``session_mismatch``.
    """
    from trading.bars import kernel

    stamps = _micros(bars["Timestamp"])
    hours = _hours(calendar)
    # room for a window a row; what is not written to costs nothing
    arrays = [empty(len(stamps), dtype) for dtype in _COLUMNS]
    count = kernel.fold(
        stamps,
        changes,
        bars["session"].to_physical().to_numpy() if "session" in bars.columns else _NONE,
        bars["Open"].to_numpy(),
        bars["High"].to_numpy(),
        bars["Low"].to_numpy(),
        bars["Close"].to_numpy(),
        bars["Volume"].to_numpy(),
        bars["minutes"].to_numpy() if "minutes" in bars.columns else _NONE,
        hours.opens,
        hours.closes,
        hours.rests,
        hours.resumes,
        hours.days,
        source * MINUTE,
        0 if length is None else length * MINUTE,
        *arrays,
    )
    if count < 0:
        raise _refusal(bars, stamps, hours, source)
    return Windows(*(array[:count] for array in arrays))


def _refusal(bars: pl.DataFrame, stamps: Array, hours: "_Hours", source: int) -> BarsRefused:
    """What is wrong with the first kind of wrong rows."""
    slot = np.searchsorted(hours.opens, stamps, side="right") - 1
    outside = slot < 0
    if not outside.all():
        outside |= stamps >= hours.closes[slot]
    if outside.any():
        return refused("outside_session", _OUTSIDE, bars.filter(outside))
    if "session" in bars.columns:
        wrong = bars["session"].to_physical().to_numpy() != hours.days[slot]
        if wrong.any():
            return refused("session_mismatch", "session must be the calendar's of that minute", bars.filter(wrong))
    off = (stamps - hours.opens[slot]) % (source * MINUTE) != 0
    if off.any():
        grid = "be a whole minute" if source == 1 else f"be a whole number of {source} minutes after the open"
        return refused("off_grid", f"Timestamp must {grid}", bars.filter(off))
    resting = hours.trading_minutes(slot, stamps, stamps + source * MINUTE) == 0
    return refused("outside_session", _OUTSIDE, bars.filter(resting))


@cache
def _hours(calendar: SessionCalendar) -> "_Hours":
    return _Hours(calendar.frame(calendar.first_session, calendar.last_session))


class _Hours:
    """Trading hours of all sessions of a calendar, as arrays."""

    def __init__(self, schedule: pl.DataFrame) -> None:
        self.days: Array = schedule["session"].to_physical().to_numpy()
        self.opens, self.closes = _micros(schedule["open"]), _micros(schedule["close"])
        # an empty break at the open for a session without one
        self.rests, self.resumes = (
            _micros(schedule[edge].fill_null(schedule["open"])) for edge in ("break_start", "break_end")
        )

    def trading_minutes(self, slot: Array, begin: Array, end: Array) -> Array:
        """Trading minutes between two instants of a session, the break and what is past the close left out."""
        end = np.minimum(end, self.closes[slot])
        rest = np.minimum(end, self.resumes[slot]) - np.maximum(begin, self.rests[slot])
        trading: Array = (end - begin - np.maximum(rest, 0)) // MINUTE
        return trading


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
    from trading.bars import kernel

    names = bars["Symbol"].gather(np.flatnonzero(changes))
    return bool((names[1:] > names[:-1]).all()) and kernel.ascends(_micros(bars["Timestamp"]), changes)


def _micros(instants: pl.Series) -> Array:
    micros: Array = instants.to_physical().to_numpy()
    return micros
