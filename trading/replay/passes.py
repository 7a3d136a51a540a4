"""Compiled passes over the columns of bars and signals: boundaries, checks, timestamps, tick rounding.

They say whether all is well, fast; what is wrong is told by the polars checks of :mod:`trading.replay.contracts`.
No function here calls one of another file, so that numba's disk cache sees every change.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from trading.replay.compiled import compiled, inlined

# outcomes of read_signals
GOOD, UNSORTED, BAD, OUT_OF_DOMAIN = 0, 1, 2, 3

_INLINE = 12  # Arrow string views of up to 12 bytes carry the whole string
_CHUNK = (
    1024  # rows checked between two looks at the outcome; slices of it, as their indices are known not to be negative
)
_OFF_GRID, _FEW_STEPS = 2.0**-20, 2.0**28


class Seen(NamedTuple):
    """Where signals stand: their times (microseconds) and the rows of their bars, and where a Symbol's begin."""

    time: Any
    row: Any
    first: Any


def new_seen(room: int, symbols: int) -> Seen:
    """Nothing seen, with room for as many signals."""
    return Seen(np.empty(room, np.int64), np.empty(room, np.int64), np.zeros(symbols + 1, np.int64))


@compiled
def boundaries(views: Any, begin: int, end: int, out: Any) -> int:
    """Rows of [begin, end), but row 0, whose 16-byte string view is not that of the row before; -1 = more than `out` holds."""
    found = 0
    words = views.reshape(-1)
    begin = max(begin, 1)
    while begin < end:
        until = min(begin + _CHUNK, end)
        part = words[2 * begin - 2 : 2 * until]
        changes = np.uint64(0)
        for j in range(part.shape[0] - 2):
            changes |= part[j] ^ part[j + 2]
        if changes != 0:
            for i in range(begin, until):
                if views[i, 0] != views[i - 1, 0] or views[i, 1] != views[i - 1, 1]:
                    if found == out.shape[0]:
                        return -1
                    out[found] = i
                    found += 1
        begin = until
    return found


@compiled
def codes(views: Any, table: Any, out: Any) -> bool:
    """Index of each row's Symbol in `table` (both 16-byte views); -1 = not there. False if a view is not inline."""
    at = -1
    for i in range(views.shape[0]):
        a, b = views[i, 0], views[i, 1]
        if at < 0 or table[at, 0] != a or table[at, 1] != b:
            if (a & np.uint64(0xFFFFFFFF)) > _INLINE:
                return False
            following = at + 1
            at = -1
            if following < table.shape[0] and table[following, 0] == a and table[following, 1] == b:
                at = following
            else:
                for j in range(table.shape[0]):
                    if table[j, 0] == a and table[j, 1] == b:
                        at = j
                        break
        out[i] = at
    return True


@compiled
def ascend(numbers: Any) -> bool:
    """Whether none is less than the one before."""
    falls = False
    for i in range(1, numbers.shape[0]):
        falls |= numbers[i] < numbers[i - 1]
    return not falls


@compiled
def prices_are_good(open_: Any, high: Any, low: Any, close: Any, volume: Any, begin: int, end: int) -> bool:
    """Rows [begin, end): finite and above 0, Low <= Open, Close <= High, Volume at least 0; NaN fails every comparison."""
    while begin < end:
        until = min(begin + _CHUNK, end)
        o, h, lo, c, v = (
            open_[begin:until],
            high[begin:until],
            low[begin:until],
            close[begin:until],
            volume[begin:until],
        )
        good = True
        signs = np.int64(0)
        for i in range(o.shape[0]):
            good &= (lo[i] > 0.0) & (lo[i] <= o[i]) & (lo[i] <= c[i])
            good &= (o[i] <= h[i]) & (c[i] <= h[i]) & (h[i] < math.inf)
            signs |= v[i]
        if not good or signs < 0:
            return False
        begin = until
    return True


@inlined
def _first_not_under(values: Any, at: int, end: int, least: Any) -> int:
    """First of the ascending `values` [at, end) that is not under `least`, by steps that double; `end` if there is none."""
    step = 1
    while at + step < end and values[at + step] < least:
        step *= 2
    low, high = at, min(at + step, end)
    while low < high:
        middle = (low + high) // 2
        if values[middle] < least:
            low = middle + 1
        else:
            high = middle
    return low


@inlined
def _ascend(ts: Any, days: Any, begin: int, end: int) -> bool:
    """Timestamps ascend and sessions do not go back on rows [begin, end)."""
    begin += 1
    while begin < end:
        until = min(begin + _CHUNK, end)
        times, sessions = ts[begin - 1 : until], days[begin - 1 : until]
        bad = False
        for i in range(times.shape[0] - 1):
            bad |= times[i + 1] <= times[i]
        for i in range(sessions.shape[0] - 1):
            bad |= sessions[i + 1] < sessions[i]
        if bad:
            return False
        begin = until
    return True


@inlined
def _same(values: Any, a: int, b: int, n: int) -> bool:
    """Rows [a, a + n) and [b, b + n) are the same."""
    begin = 0
    while begin < n:
        end = min(begin + _CHUNK, n)
        one, other = values[a + begin : a + end], values[b + begin : b + end]
        differs = one[0] ^ other[0]
        for i in range(one.shape[0]):
            differs |= one[i] ^ other[i]
        if differs != 0:
            return False
        begin = end
    return True


@compiled
def order_is_good(ts: Any, days: Any, starts: Any, first: int, last: int, twin: Any) -> bool:
    """Whether rows of Symbols [first, last) ascend; twin[s] = a Symbol before with the same timestamps and sessions, or s."""
    for s in range(first, last):
        begin, end = starts[s], starts[s + 1]
        twin[s] = s
        if s > 0:
            for other in (twin[s - 1] if s > first else 0, 0):
                at, n = starts[other], end - begin
                if starts[other + 1] - at == n and _same(ts, at, begin, n) and _same(days, at, begin, n):
                    twin[s] = other
                    break
        if twin[s] == s and not _ascend(ts, days, begin, end):
            return False
    return True


@compiled
def session_ends(days: Any, starts: Any, twin: Any, last: Any, first: Any) -> int:
    """Fill `last` with each Symbol's last rows of its sessions, `first` with where a Symbol's begin; their number.

    With an empty `last` only count. A session's length is guessed to be that of the one before.
    """
    found = 0
    fill = last.shape[0] > 0
    length = 1
    for s in range(starts.shape[0] - 1):
        first[s] = found
        row, end = starts[s], starts[s + 1]
        if twin[s] != s:
            begin, count = first[twin[s]], first[twin[s] + 1] - first[twin[s]]
            if fill:
                for i in range(count):
                    last[found + i] = last[begin + i] + row - starts[twin[s]]
            found += count
            continue
        while row < end:
            day = days[row]
            after = row + length
            if not (after <= end and days[after - 1] == day and (after == end or days[after] != day)):
                after = _first_not_under(days, row, end, day + 1)
                length = after - row
            if fill:
                last[found] = after - 1
            found += 1
            row = after
    first[starts.shape[0] - 1] = found
    return found


@compiled
def merge_into(grid: Any, ts: Any, begin: int, end: int, novel: Any) -> int:
    """Timestamps of rows [begin, end) that `grid` lacks, into `novel`; their number."""
    found = 0
    at = np.searchsorted(grid, ts[begin]) if end > begin else 0
    for i in range(begin, end):
        at = _first_not_under(grid, at, grid.shape[0], ts[i])
        if at == grid.shape[0] or grid[at] != ts[i]:
            novel[found] = ts[i]
            found += 1
    return found


@compiled
def places(grid: Any, ts: Any, begin: int, end: int, out: Any) -> None:
    """Index in `grid` of rows [begin, end), which it has."""
    at = 0 if end == begin else np.searchsorted(grid, ts[begin])
    for i in range(begin, end):
        if at < grid.shape[0] and grid[at] != ts[i]:
            at = _first_not_under(grid, at, grid.shape[0], ts[i])
        out[i - begin] = at
        at += 1


@compiled
def latest(days: Any, steps: Any, first_day: int, out: Any) -> None:
    """out[day - first_day] = the greatest of `steps` of that day; others stay."""
    for i in range(days.shape[0]):
        k = days[i] - first_day
        out[k] = max(out[k], steps[i])


@inlined
def _to_tick(x: float, num: float, den: float, up: bool) -> float:
    """trading.ticks.round_levels of one level within its fast domain."""
    steps = x * den / num if num != 1.0 else x * den
    k = np.rint(steps)
    if abs(steps - k) > _OFF_GRID and abs(steps) < _FEW_STEPS:
        # two roundings cannot take it that far from a whole number
        return float((np.ceil(steps) if up else np.floor(steps)) * num / den + 0.0)
    y = k * num / den
    if y == x:
        return float(y + 0.0)
    if up:
        k = np.ceil(steps)
        if (k - 1.0) * num / den >= x:
            k -= 1.0
        if k * num / den < x:
            k += 1.0
    else:
        k = np.floor(steps)
        if (k + 1.0) * num / den <= x:
            k += 1.0
        if k * num / den > x:
            k -= 1.0
    return float(k * num / den + 0.0)


@compiled
def read_signals(
    owner: Any, times: Any, columns: Any, begin: int, end: int, ts: Any, starts: Any, twin: Any, ticks: Any, row: Any,
    levels: Any, first: Any, nans: Any, seen: Any,
) -> int:  # fmt: skip
    """Check signals [begin, end) and read them; GOOD or what is the matter.

    Args:
        owner: index of the Symbol; `times`: microseconds; `columns`: the six level columns, NaN = absent.
        ts, starts, twin: of the bars; a twin's timestamps stand for a Symbol's own, so that they are near.
        ticks: (symbols, 3): tick numerator, denominator, and under what absolute level rounding is exact.
        row, levels: out: the bar's row, and (n, 6) tick-rounded levels.
        first: out: (symbols + 1,) where a Symbol's signals begin.
        nans: out: nans[0] is raised by the number of NaN levels.
        seen: the signals that were read before, to save the search where they stand on the same bars; then those of this
            call. Of no length: the guess is that a signal is as far from the one before as that was from its own.
    """
    long_entry, sl_long, tp_long, short_entry, sl_short, tp_short = columns
    symbols = starts.shape[0] - 1
    before, at, stop, shift, stride, absent = -1, 0, 0, 0, 1, 0
    known, known_end = 0, 0
    outside = False
    for i in range(begin, end):
        s = owner[i]
        if s != before:
            if s < 0:
                return BAD
            if s < before:
                return UNSORTED
            for j in range(before + 1, s + 1):
                first[j] = i - begin
            before = s
            at = starts[twin[s]]
            shift = starts[s] - at
            stop = starts[s + 1] - shift
            known, known_end = seen.first[s], seen.first[s + 1]
            num, den, domain = ticks[s, 0], ticks[s, 1], ticks[s, 2]
        elif times[i] <= times[i - 1]:
            return UNSORTED
        t = times[i]
        since = at
        while known < known_end and seen.time[known] < t:
            known += 1
        if known < known_end and seen.time[known] == t:
            at = seen.row[known] - shift
        else:
            at = since + stride
            if not (at < stop and ts[at] == t):
                at = _first_not_under(ts, since, stop, t)
                if at == stop or ts[at] != t:
                    # perhaps it comes earlier than the signal before it, which only a sorted frame could exclude
                    return BAD
        stride = at - since
        k = i - begin
        row[k] = at + shift
        le, sl, tp = long_entry[i], sl_long[i], tp_long[i]
        if le == le:
            if not (-math.inf < sl < le < math.inf) or tp <= le or tp == math.inf or not le > 0.0:
                return BAD
            if not (le < domain) or not (abs(sl) < domain) or tp >= domain:
                outside = True
            le = _to_tick(le, num, den, True)
            sl = _to_tick(sl, num, den, False)
            if tp == tp:
                tp = _to_tick(tp, num, den, True)
            else:
                absent += 1
        else:
            if sl == sl or tp == tp:
                return BAD
            absent += 3
        levels[k, 0] = le
        levels[k, 1] = sl
        levels[k, 2] = tp
        le, sl, tp = short_entry[i], sl_short[i], tp_short[i]
        if le == le:
            if not (le < sl < math.inf) or tp >= le or tp == -math.inf or not le > 0.0:
                return BAD
            if not (sl < domain) or tp <= -domain:
                outside = True
            le = _to_tick(le, num, den, False)
            sl = _to_tick(sl, num, den, True)
            if tp == tp:
                tp = _to_tick(tp, num, den, False)
            else:
                absent += 1
            if not le > 0.0:
                return OUT_OF_DOMAIN if outside else BAD
        else:
            if sl == sl or tp == tp:
                return BAD
            absent += 3
        levels[k, 3] = le
        levels[k, 4] = sl
        levels[k, 5] = tp
    for j in range(before + 1, symbols + 1):
        first[j] = end - begin
    if seen.row.shape[0] > 0:
        for k in range(end - begin):
            seen.time[k] = times[begin + k]
            seen.row[k] = row[k]
        for j in range(symbols + 1):
            seen.first[j] = first[j]
    nans[0] += absent
    return OUT_OF_DOMAIN if outside else GOOD
