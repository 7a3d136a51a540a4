"""The replay's loop, compiled: from event to event, three phases a timestamp, resumable.

A Symbol waits for one thing at a time: a flat one for its next signal; one with a pending setup for the first bar that
touches an entry level, its next signal or the setup's end; one in a position for the first bar that touches stop or
target, or its forced exit. That row is found by one scan of High and Low, here or ahead of the run, and the Symbol queued at
its timestamp, so that equity, buying power and Kelly's statistics are those of the rules' order of events. `run` stops with
a question (ASK_*) where floats cannot tell; the caller answers and calls again.
"""

from typing import Any

import numpy as np

from trading.replay import state
from trading.replay.compiled import bare, compiled, lowest_bit, prefetch
from trading.replay.quantities import size
from trading.replay.rules import arm, close, drop, exit_of, try_entry
from trading.replay.search import day_of, entry_row, exit_row, last_row, next_signal, step_of, wait_end

NEVER, UNKNOWN = state.NEVER, state.UNKNOWN
FLAT, PENDING, OPEN = state.FLAT, state.PENDING, state.OPEN
REJECTED, EXPIRED = state.REJECTED, state.EXPIRED
END, SIZE, VALIDITY_OVER = state.END, state.SIZE, state.VALIDITY_OVER
DONE, ASK_SIZE = state.DONE, state.ASK_SIZE
ENTRY_ROW, LONG_EXIT_ROW, SHORT_EXIT_ROW = state.A_ENTRY, state.A_LONG_EXIT, state.A_SHORT_EXIT

Market, Signals, Log, Queue, Curve = state.Market, state.Signals, state.Log, state.Queue, state.Curve


@compiled
def _bare(market: Any, signals: Any, log: Any, queue: Any, curve: Any) -> Any:
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
        Signals(bare(signals.row), bare(signals.levels), bare(signals.ahead)),
        Log(bare(log.whole), bare(log.money), bare(log.drops), bare(log.order)),
        Queue(bare(queue.busy), bare(queue.head), bare(queue.here)),
        Curve(bare(curve.realised), bare(curve.unrealised), bare(curve.spans)),
    )


@compiled
def _entry_row(market: Any, signals: Any, y: Any, end: int) -> int:
    """As `entry_row`, from what was looked up ahead where it is of this setup, armed now and with all its sides."""
    k = y.armed
    if k >= 0 and signals.ahead.shape[0] > 0 and signals.row[k] == y.row:
        whole = (y.p_long_qty > 0.0) == (y.p_long == y.p_long) and (y.p_short_qty > 0.0) == (y.p_short == y.p_short)
        row = signals.ahead[k, ENTRY_ROW]
        if whole and row != UNKNOWN:
            return int(row)
    return entry_row(market, y, end)  # type: ignore[no-any-return]


@compiled
def _exit_row(market: Any, signals: Any, r: Any, y: Any) -> int:
    """As `exit_row`, from what was looked up ahead where it is of this position, opened now."""
    k = y.armed
    if k >= 0 and signals.ahead.shape[0] > 0 and signals.ahead[k, ENTRY_ROW] == y.row:
        row = signals.ahead[k, LONG_EXIT_ROW if y.side > 0 else SHORT_EXIT_ROW]
        if row != UNKNOWN:
            return int(row)
    return exit_row(market, r, y)  # type: ignore[no-any-return]


@compiled
def next_row(market: Any, signals: Any, y: Any, doing: Any, r: Any, s: int) -> int:
    """The next row after `y.row` on which something happens to Symbol `s`; not under `y.end` if there is none."""
    if doing[s] == OPEN:
        return _exit_row(market, signals, r, y)  # type: ignore[no-any-return]
    signal = next_signal(signals, y)
    if doing[s] == PENDING:
        end = wait_end(signals, y)
        row = _entry_row(market, signals, y, end)
        if row < end:
            return row  # type: ignore[no-any-return]
        if y.p_last < signal:
            if r.tell_expired != 0:
                return int(y.p_last)
            doing[s] = FLAT
    return signal  # type: ignore[no-any-return]


@compiled
def _schedule(market: Any, signals: Any, y: Any, doing: Any, r: Any, queue: Any, s: int) -> None:
    """Queue Symbol `s` at the next row after `y.row` on which something happens to it, if there is one."""
    row = next_row(market, signals, y, doing, r, s)
    if row < y.end:
        if doing[s] != FLAT:
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


@compiled
def _next(queue: Any, t: int, length: int) -> int:
    """First busy timestamp; none is before `t`. `length` if there is none."""
    for word in range(t >> 6, queue.busy.shape[0]):
        if queue.busy[word] != 0:
            return int((word << 6) + lowest_bit(queue.busy[word]))
    return length


@compiled
def start(market: Any, signals: Any, sym: Any, doing: Any, run_: Any, queue: Any, index: Any) -> None:
    """Queue the Symbols of `index` for the first time in this call; `y.row` is the row before their first."""
    for s in index:
        y = sym[s]
        if doing[s] == PENDING:
            y.p_last = last_row(market, y, y.p_expires)
        _schedule(market, signals, y, doing, run_[0], queue, s)


@compiled
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


@compiled
def _end_span(r: Any, curve: Any, end: int) -> None:
    curve.realised[r.filled : end] = r.cash + r.carry
    curve.spans[1, r.spans] = end
    r.spans += 1
    r.in_span = 0


@compiled
def run(market: Any, signals: Any, sym: Any, doing: Any, run_: Any, log: Any, queue: Any, curve: Any) -> int:
    """Go on until nothing more happens (DONE) or a question comes up (ASK_*).

    `curve` has room for every distinct timestamp, or is empty; its unrealised pnl is `curve.mark`'s.
    """
    market, signals, log, queue, curve = _bare(market, signals, log, queue, curve)
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
                    y = sym[s]
                    row = y.row
                    day = day_of(market, y, row)
                    reason, price = exit_of(
                        y,
                        r,
                        True,
                        market.open[row],
                        market.high[row],
                        market.low[row],
                        market.close[row],
                        row == market.session_last[y.session],
                        day,
                    )
                    if reason != 0:
                        close(y, doing, r, log, s, price, reason, r.time, row + y.bar_base)
            r.phase = 2

        if r.phase == 2:
            for i in range(r.i, n):
                s = here[i]
                if doing[s] == PENDING:
                    y = sym[s]
                    row = y.row
                    day = day_of(market, y, row)
                    question = try_entry(
                        y,
                        doing,
                        r,
                        log,
                        s,
                        market.open[row],
                        market.high[row],
                        market.low[row],
                        market.close[row],
                        row == market.session_last[y.session],
                        row + y.bar_base,
                        day,
                    )
                    if question != DONE:
                        r.ask_symbol = s
                        r.ask_row = row
                        r.i = i
                        return question
                    r.nearest_known = 0
                    r.affordable_known = 0
            r.phase = 3
            r.i = 0

        for i in range(r.i, n):
            s = here[i]
            y = sym[s]
            if doing[s] != OPEN:
                while y.signal < y.signal_end and signals.row[y.signal] < y.row:
                    y.signal += 1  # came while the Symbol was in a position
                if y.signal < y.signal_end and signals.row[y.signal] == y.row:
                    k = y.signal
                    if r.size_known != 0:
                        long, short = r.size_long, r.size_short
                        r.size_known = 0
                    else:
                        long, short = size(r, log.money, signals.levels, k, y)
                        if long < 0.0 or short < 0.0:
                            r.ask_symbol = s
                            r.ask_signal = k
                            r.i = i
                            return ASK_SIZE
                    expires = day_of(market, y, y.row) + r.valid_sessions
                    if arm(y, doing, s, r.time, expires, signals.levels[k], long, short):
                        y.p_last = last_row(market, y, expires)
                        y.armed = k
                    else:
                        drop(r, log, REJECTED, SIZE, s, 0, r.time, r.time)
                    y.signal = k + 1
                if doing[s] == PENDING and y.row >= y.p_last:
                    if r.tell_expired != 0:
                        drop(r, log, EXPIRED, VALIDITY_OVER, s, 0, r.time, y.p_setup)
                    doing[s] = FLAT
            _schedule(market, signals, y, doing, r, queue, s)
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
