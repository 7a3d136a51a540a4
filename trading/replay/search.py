"""Where the next thing happens to a Symbol, compiled: rows of touches, sessions' ends.

One scan of High and Low finds the first bar that touches an entry level, or a stop or target. What it finds depends on bars,
levels and lifetimes alone, not on money, so that :mod:`trading.replay.lookahead` can do it for all Symbols at once.
"""

import math
from typing import Any

from trading.replay import state
from trading.replay.compiled import compiled

NEVER = state.NEVER
_BLOCK = 8


@compiled
def _touch(high: Any, low: Any, begin: int, end: int, up: float, down: float) -> int:
    """First row of [begin, end) with High at or above `up` or Low at or below `down`; `end` if there is none."""
    row = begin
    while row + _BLOCK <= end:
        touched = False
        for i in range(_BLOCK):
            touched |= (high[row + i] >= up) | (low[row + i] <= down)
        if touched:
            break
        row += _BLOCK
    while row < end:
        if high[row] >= up or low[row] <= down:
            return row
        row += 1
    return end


@compiled
def step_of(market: Any, y: Any, row: int) -> int:
    """Index in the grid of a Symbol's row."""
    return int(market.step[row + y.shift]) if market.step.shape[0] > 0 else int(row + y.shift)


@compiled
def day_of(market: Any, y: Any, row: int) -> int:
    """The number of the row's session among its Symbol's; sessions are gone through forwards only."""
    while market.session_last[y.session] < row:
        y.session += 1
    return int(y.session - y.session_first + y.session_base)


@compiled
def last_row(market: Any, y: Any, day: int) -> int:
    """Last row of the session of that number; NEVER where it is not there yet."""
    session = max(y.session_first + day - y.session_base, y.session)
    return int(market.session_last[session]) if session < y.session_end else NEVER


@compiled
def next_signal(signals: Any, y: Any) -> int:
    """Row of the Symbol's next signal; NEVER where there is none."""
    return int(signals.row[y.signal]) if y.signal < y.signal_end else NEVER


@compiled
def wait_end(signals: Any, y: Any) -> int:
    """The row before which a pending setup must be touched: of the next signal, or past its last one."""
    return int(min(y.end, next_signal(signals, y), y.p_last + 1 if y.p_last != NEVER else NEVER))


@compiled
def entry_row(market: Any, y: Any, end: int) -> int:
    """First row after `y.row`, before `end`, that touches an entry level of the pending setup; `end` if there is none."""
    up = y.p_long if y.p_long_qty > 0.0 else math.inf
    down = y.p_short if y.p_short_qty > 0.0 else -math.inf
    return _touch(market.high, market.low, y.row + 1, end, up, down)  # type: ignore[no-any-return]


@compiled
def exit_row(market: Any, r: Any, y: Any) -> int:
    """First row after `y.row` that touches stop or target, or on which the position must end; `y.end` or more if none."""
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
    return forced if row == end else row
