"""Rows folded into windows, compiled: one pass over sorted rows, nothing hashed, nothing in between kept.

Imported lazily: loading numba and what it compiled takes about a second.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba import types

MINUTE = 60_000_000  # microseconds
NEVER = np.iinfo(np.int64).max

_F = TypeVar("_F", bound=Callable[..., Any])


def _column(dtype: Any) -> Any:
    """Of any array of that type, one that may not be written to included."""
    return types.Array(dtype, 1, "C", readonly=True)


_COLUMNS = [
    *(types.int64, types.boolean, types.int32, *[types.float64] * 4, types.int64, types.int32),
    *(types.int64, types.int64, types.int64, types.int64, types.int32),
]
_OUTPUTS = [types.int64, types.int64, types.int32, *[types.float64] * 4, types.int64, types.int32, types.boolean]
_FOLD = types.int64(
    *(_column(dtype) for dtype in _COLUMNS), types.int64, types.int64, *(dtype[::1] for dtype in _OUTPUTS)
)
_ASCENDS = types.boolean(_column(types.int64), _column(types.boolean))


def _compiled(signature: Any) -> Callable[[_F], _F]:
    """njit when this module is imported, for one signature: whatever arrays come, nothing is compiled again.

    With numba's disk cache; without it where no directory can be written.
    """

    def compiled(function: _F) -> _F:
        try:
            return cast(_F, numba.njit(signature, cache=True, nogil=True)(function))
        except RuntimeError:
            return cast(_F, numba.njit(signature, nogil=True)(function))

    return compiled


@_compiled(_ASCENDS)
def ascends(stamps: Any, begins: Any) -> bool:
    """Whether each of ``stamps`` is later than the one before, but for rows that begin another Symbol."""
    falls = False
    for row in range(1, stamps.shape[0]):
        falls |= stamps[row] <= stamps[row - 1] and not begins[row]
    return not falls


@_compiled(_FOLD)
def fold(
    stamps: Any,
    begins: Any,
    session: Any,
    open_: Any,
    high: Any,
    low: Any,
    close: Any,
    volume: Any,
    minutes: Any,
    opens: Any,
    closes: Any,
    rests: Any,
    resumes: Any,
    days: Any,
    unit: int,
    length: int,
    first: Any,
    starts: Any,
    dates: Any,
    firsts: Any,
    highs: Any,
    lows: Any,
    lasts: Any,
    volumes: Any,
    counts: Any,
    full: Any,
) -> int:
    """Fold each run of rows in one window into one entry of the outputs; how many there are, or -1 for a row that may not be.

    Args:
        stamps: microseconds since 1970, ascending within a Symbol (int64).
        begins: rows that begin another Symbol (bool).
        session: day of each row since 1970 (int32), or empty.
        open_, high, low, close, volume: of each row.
        minutes: that each row stands for (int32), or empty: one.
        opens, closes, rests, resumes: of each session, ascending (int64 microseconds); an empty break is at the open.
        days: of each session (int32).
        unit: microseconds between rows.
        length: microseconds of a window; 0: the session.
        first, starts, dates: row, start (int64) and day of the session (int32) of each window.
        firsts, highs, lows, lasts, volumes, counts: first, highest, lowest, last price, sum of Volume and of minutes (int32) of
            each.
        full: whether those are all trading minutes of the window (bool).
    """
    sessions = opens.shape[0]
    dated, counted = session.shape[0] > 0, minutes.shape[0] > 0
    slot, window = -1, -1
    # of the session and of the window that the rows are in; kept out of the arrays, which a processor would read again
    opened: Any = np.int64(0)
    closed = rest = resume = next_open = before = end = day = total = count = trading = opened
    highest = lowest = last = 0.0
    for row in range(stamps.shape[0]):
        at = stamps[row]
        fresh = begins[row]
        if fresh or at >= next_open:
            fresh = True
            # Symbols come one after the other through the same few sessions: where the last one was is often where this one is
            if slot < 0 or at < opened or at >= next_open:
                slot = np.searchsorted(opens, at, side="right") - 1
                if slot < 0:
                    return -1
                opened, closed, rest, resume, day = (
                    opens[slot],
                    closes[slot],
                    rests[slot],
                    resumes[slot],
                    np.int64(days[slot]),
                )
                next_open = opens[slot + 1] if slot + 1 < sessions else NEVER
        if at >= closed or (dated and session[row] != day):
            return -1
        # a whole number of units after a row that was on the grid is on it too, and adding is cheaper than dividing
        if (fresh or at != before + unit) and (at - opened) % unit != 0:
            return -1
        if rest <= at and min(at + unit, closed) <= resume:
            return -1
        before = at
        if fresh or at >= end:
            if window >= 0:
                highs[window], lows[window], lasts[window] = highest, lowest, last
                volumes[window], counts[window], full[window] = total, count, count * MINUTE == trading
            window += 1
            start, end = opened, closed
            if length > 0:
                start += (at - start) // length * length
                end = start + length
            stop = min(end, closed)
            trading = stop - start - max(min(stop, resume) - max(start, rest), 0)
            first[window], starts[window], dates[window], firsts[window] = row, start, day, open_[row]
            highest, lowest = high[row], low[row]
            total = count = np.int64(0)
        # a NaN stays one, as in the extremes of numpy
        highest = highest if high[row] <= highest or highest != highest else high[row]
        lowest = lowest if low[row] >= lowest or lowest != lowest else low[row]
        last = close[row]
        total += volume[row]
        count += minutes[row] if counted else 1
    if window >= 0:
        highs[window], lows[window], lasts[window] = highest, lowest, last
        volumes[window], counts[window], full[window] = total, count, count * MINUTE == trading
    return window + 1
