"""The replay's loop, compiled: from event to event, three phases a timestamp, resumable.

A Symbol waits for one thing at a time: a flat one for its next signal; one with a pending setup for the first bar that
touches an entry level, its next signal or the setup's end; one in a position for the first bar that touches stop or
target, or its forced exit. That row is found by one scan of High and Low, and the Symbol queued at its timestamp, so
that equity, buying power and Kelly's statistics are those of the rules' order of events. `run` stops with a question
(ASK_*) where floats cannot tell; the caller answers and calls again.
"""

import math
from typing import Any

import numpy as np

from trading.replay import state
from trading.replay.compiled import LANES, bare, compiled, first_touch, inlined, lowest_bit, natural, prefetch
from trading.replay.quantities import size
from trading.replay.rules import arm, close, drop, exit_of, try_entry

NEVER, UNKNOWN = state.NEVER, state.UNKNOWN
A_ROW, A_DOING, A_LONG_ROW, A_SHORT_ROW = state.A_ROW, state.A_DOING, state.A_LONG_ROW, state.A_SHORT_ROW
FLAT, PENDING, OPEN = state.FLAT, state.PENDING, state.OPEN
REJECTED, EXPIRED = state.REJECTED, state.EXPIRED
END, SIZE, VALIDITY_OVER = state.END, state.SIZE, state.VALIDITY_OVER
DONE, ASK_SIZE = state.DONE, state.ASK_SIZE

Market, Log, Queue, Curve = state.Market, state.Log, state.Queue, state.Curve


@compiled
def _bare(market: Any, signal_row: Any, levels: Any, ahead: Any, log: Any, queue: Any, curve: Any) -> Any:
    return (
        Market(
            bare(market.open),
            bare(market.high),
            bare(market.low),
            bare(market.close),
            bare(market.grid),
            bare(market.step),
            bare(market.session_last),
        ),
        bare(signal_row),
        bare(levels),
        bare(ahead),
        Log(bare(log.whole), bare(log.money), bare(log.drops), bare(log.order)),
        Queue(bare(queue.busy), bare(queue.head), bare(queue.here)),
        Curve(bare(curve.realised), bare(curve.unrealised), bare(curve.spans)),
    )


@inlined
def _touch(high: Any, low: Any, begin: int, end: int, up: float, down: float) -> int:
    """First row of [begin, end) with High at or above `up` or Low at or below `down`; `end` if there is none."""
    row = natural(begin)
    safe = high.shape[0] - LANES
    while row < end and row <= safe:
        before = first_touch(high, low, row, up, down)
        if before < LANES:
            return int(min(row + before, end))
        row += LANES
    while row < end:
        if high[row] >= up or low[row] <= down:
            return int(row)
        row += 1
    return end


@inlined
def step_of(market: Any, y: Any, row: int) -> int:
    """Index in the grid of a Symbol's row."""
    return int(market.step[row + y.shift]) if market.step.shape[0] > 0 else int(row + y.shift)


@inlined
def day_of(market: Any, y: Any, row: int) -> int:
    """The number of the row's session among its Symbol's; sessions are gone through forwards only."""
    while market.session_last[y.session] < row:
        y.session += 1
    return int(y.session - y.session_first + y.session_base)


@inlined
def last_row(market: Any, y: Any, day: int) -> int:
    """Last row of the session of that number; NEVER where it is not there yet."""
    session = max(y.session_first + day - y.session_base, y.session)
    return int(market.session_last[session]) if session < y.session_end else NEVER


@inlined
def next_row(market: Any, signal_row: Any, y: Any, doing: Any, r: Any, s: int) -> int:
    """The next row after `y.row` on which something happens to Symbol `s`; not under `y.end` if there is none."""
    signal = signal_row[natural(y.signal)] if y.signal < y.signal_end else NEVER
    row = NEVER
    if doing[s] == OPEN:
        forced = NEVER
        day = day_of(market, y, y.row + 1) if y.row + 1 < y.end else 0
        if r.exit_at_session_end != 0:
            forced = last_row(market, y, day)
        elif r.max_hold > 0:
            forced = last_row(market, y, max(y.entry_session + r.max_hold - 1, day))
        end = min(y.end, forced)
        if y.side > 0:
            row = _touch(market.high, market.low, y.row + 1, end, y.tp, y.sl)
        else:
            row = _touch(market.high, market.low, y.row + 1, end, y.sl, y.tp)
        if row == end:
            row = forced
    elif doing[s] == PENDING:
        end = min(y.end, signal, y.p_last + 1 if y.p_last != NEVER else NEVER)
        up = y.p_long if y.p_long_qty > 0.0 else math.inf
        down = y.p_short if y.p_short_qty > 0.0 else -math.inf
        row = _touch(market.high, market.low, y.row + 1, end, up, down)
        if row == end:
            row = signal
            if y.p_last < signal:
                if r.tell_expired != 0:
                    row = y.p_last
                else:
                    doing[s] = FLAT
    else:
        row = signal
    return row


@inlined
def _looked_up(signal_row: Any, ahead: Any, y: Any, doing: Any, s: int) -> int:
    """As `next_row`, from what was looked up ahead; UNKNOWN where that supposed something else."""
    k = y.armed
    if k < 0 or ahead.shape[0] == 0:
        return UNKNOWN
    if doing[s] == OPEN and ahead[k, A_ROW] == y.row:
        return int(ahead[k, A_LONG_ROW if y.side > 0 else A_SHORT_ROW])
    if doing[s] == PENDING and ahead[k, A_ROW] != UNKNOWN and signal_row[k] == y.row:
        has_long, has_short = y.p_long == y.p_long, y.p_short == y.p_short
        if (y.p_long_qty > 0.0) == has_long and (y.p_short_qty > 0.0) == has_short:
            doing[s] = ahead[k, A_DOING]
            return int(ahead[k, A_ROW])
    return UNKNOWN


@inlined
def _schedule(
    market: Any, signal_row: Any, levels: Any, ahead: Any, y: Any, doing: Any, r: Any, queue: Any, s: int
) -> None:
    """Queue Symbol `s` at the next row after `y.row` on which something happens to it, if there is one."""
    row = _looked_up(signal_row, ahead, y, doing, s)
    if row == UNKNOWN:
        row = next_row(market, signal_row, y, doing, r, s)
    if row < y.end:
        if doing[s] == FLAT:
            prefetch(levels, 6 * y.signal)
            prefetch(levels, 6 * y.signal + 5)
            prefetch(ahead, 4 * y.signal)
        else:
            prefetch(market.open, row)
            prefetch(market.close, row)
            prefetch(market.high, row)
            prefetch(market.low, row)
        y.row = row
        t = step_of(market, y, row)
        prefetch(market.grid, t)
        word = t >> 6
        bit = np.uint64(1) << np.uint64(t & 63)
        if queue.busy[word] & bit:
            y.next = queue.head[t]
        else:
            y.next = -1
            queue.busy[word] |= bit
        queue.head[t] = s


@inlined
def _next(queue: Any, t: int, length: int) -> int:
    """First busy timestamp; none is before `t`. `length` if there is none."""
    for word in range(t >> 6, queue.busy.shape[0]):
        if queue.busy[word] != 0:
            return int((word << 6) + lowest_bit(queue.busy[word]))
    return length


@inlined
def leave(market: Any, y: Any, doing: Any, r: Any, log: Any, s: int, row: int) -> bool:
    """Phase 1 at a row of Symbol `s`, which is in a position: whether it is closed."""
    day = day_of(market, y, row)
    last = row == market.session_last[y.session]
    reason, price = exit_of(
        y, r, True, market.open[row], market.high[row], market.low[row], market.close[row], last, day
    )
    if reason == 0:
        return False
    close(y, doing, r, log, s, price, reason, r.time, row + y.bar_base)
    return True


@inlined
def enter(market: Any, y: Any, doing: Any, r: Any, log: Any, s: int, row: int) -> int:
    """Phase 2 at a row of Symbol `s`, which has a pending setup. DONE or a question."""
    day = day_of(market, y, row)
    last = row == market.session_last[y.session]
    o, h, lo, c = market.open[row], market.high[row], market.low[row], market.close[row]
    question = try_entry(y, doing, r, log, s, o, h, lo, c, last, row + y.bar_base, day)
    if question == DONE:
        r.nearest_known = 0
        r.affordable_known = 0
    return int(question)


@inlined
def take_signal(
    market: Any, signal_row: Any, levels: Any, y: Any, doing: Any, r: Any, log: Any, s: int, row: int
) -> int:
    """Phase 3 at a row of Symbol `s`: its signal is armed, a setup that is over dropped. DONE or a question about `y.signal`."""
    if doing[s] == OPEN:
        return DONE
    while y.signal < y.signal_end and signal_row[y.signal] < row:
        y.signal += 1  # came while the Symbol was in a position
    if y.signal < y.signal_end and signal_row[y.signal] == row:
        k = natural(y.signal)
        if r.size_known != 0:
            long, short = r.size_long, r.size_short
            r.size_known = 0
        else:
            long, short = size(r, log.money, levels, k, y)
            if long < 0.0 or short < 0.0:
                return ASK_SIZE
        expires = day_of(market, y, row) + r.valid_sessions
        if arm(y, doing, s, r.time, expires, levels[k], long, short):
            y.p_last = last_row(market, y, expires)
            y.armed = k
        else:
            drop(r, log, REJECTED, SIZE, s, 0, r.time, r.time)
        y.signal = k + 1
    if doing[s] == PENDING and row >= y.p_last:
        if r.tell_expired != 0:
            drop(r, log, EXPIRED, VALIDITY_OVER, s, 0, r.time, y.p_setup)
        doing[s] = FLAT
    return DONE


@compiled
def start(
    market: Any, signal_row: Any, levels: Any, ahead: Any, sym: Any, doing: Any, run_: Any, queue: Any, index: Any
) -> None:
    """Queue the Symbols of `index` for the first time in this call; `y.row` is the row before their first."""
    for s in index:
        y = sym[s]
        if doing[s] == PENDING:
            y.p_last = last_row(market, y, y.p_expires)
        _schedule(market, signal_row, levels, ahead, y, doing, run_[0], queue, s)


@inlined
def _end_of_time(r: Any, curve: Any) -> None:
    """Keep the curve's spans up at the end of a timestamp."""
    fills = r.entries + r.closed
    if r.in_span == 0 and fills != r.fills:
        r.in_span = 1
        r.filled = r.t
        curve.spans[0, r.spans] = r.t
    r.fills = fills
    if r.in_span != 0 and r.open == 0:
        _end_span(r, curve, r.t + 1)


@inlined
def _end_span(r: Any, curve: Any, end: int) -> None:
    curve.realised[r.filled : end] = r.cash + r.carry
    curve.spans[1, r.spans] = end
    r.spans += 1
    r.in_span = 0


@compiled
def run(
    market: Any,
    signal_row: Any,
    levels: Any,
    ahead: Any,
    sym: Any,
    doing: Any,
    run_: Any,
    log: Any,
    queue: Any,
    curve: Any,
) -> int:
    """Go on until nothing more happens (DONE) or a question comes up (ASK_*).

    Signals: `signal_row` (the bar's row, ascending within a Symbol), `levels` (n, 6: long entry, sl, tp, short entry,
    sl, tp; NaN = absent). `curve` has room for every distinct timestamp, or is empty.
    """
    market, signal_row, levels, ahead, log, queue, curve = _bare(market, signal_row, levels, ahead, log, queue, curve)
    sym, doing, run_ = bare(sym), bare(doing), bare(run_)
    r = run_[0]
    here = queue.here
    want_curve = curve.realised.shape[0] > 0
    length = market.grid.shape[0]
    while True:
        if r.phase == 0:
            t = _next(queue, r.t, length)
            r.t = t
            if r.in_span != 0:
                if t == length:
                    _end_span(r, curve, t)
                else:
                    curve.realised[r.filled : t] = r.cash + r.carry
                    r.filled = t
            if t == length:
                return DONE
            n = 0
            s = queue.head[t]
            queue.busy[t >> 6] &= ~(np.uint64(1) << np.uint64(t & 63))
            while s >= 0:
                i = n
                while i > 0 and here[i - 1] > s:
                    here[i] = here[i - 1]
                    i -= 1
                here[i] = s
                n += 1
                s = sym[s].next
            r.time = market.grid[t]
            r.here = n
            r.phase = 1
            r.i = 0
        n = r.here

        if r.phase == 1:
            for i in range(n):
                s = here[i]
                if doing[s] == OPEN:
                    leave(market, sym[s], doing, r, log, s, sym[s].row)
            r.phase = 2

        if r.phase == 2:
            for i in range(r.i, n):
                s = here[i]
                if doing[s] == PENDING:
                    question = enter(market, sym[s], doing, r, log, s, sym[s].row)
                    if question != DONE:
                        r.ask_symbol = s
                        r.ask_row = sym[s].row
                        r.i = i
                        return question
            r.phase = 3
            r.i = 0

        for i in range(r.i, n):
            s = here[i]
            y = sym[s]
            question = take_signal(market, signal_row, levels, y, doing, r, log, s, y.row)
            if question != DONE:
                r.ask_symbol = s
                r.ask_signal = y.signal
                r.i = i
                return question
            _schedule(market, signal_row, levels, ahead, y, doing, r, queue, s)
        if want_curve:
            _end_of_time(r, curve)
        r.phase = 0
        r.t += 1


@compiled
def finish(market: Any, starts: Any, sym: Any, doing: Any, run_: Any, log: Any, curve: Any, ts: Any) -> None:
    """Close what is open at its Symbol's last Close, in order of Symbol; the last point of the curve is after that."""
    r = run_[0]
    length = market.grid.shape[0]
    for s in range(doing.shape[0]):
        if doing[s] == OPEN:
            y = sym[s]
            row = starts[s + 1] - 1
            close(y, doing, r, log, s, market.close[row], END, ts[row], row + y.bar_base)
    if r.spans > 0 and curve.spans[1, r.spans - 1] == length:
        curve.realised[length - 1] = r.cash + r.carry
