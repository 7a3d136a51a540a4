"""What comes of each signal if all its sides have a quantity and are filled, compiled; Symbols apart, so that threads share them.

Nothing is decided here: the rows found are those that the kernel would look for itself (:mod:`trading.replay.search`). It
takes them where a setup is armed, or a position opened, as was supposed, and looks for itself where it was not.
"""

from typing import Any

from trading.replay import state
from trading.replay.compiled import bare, compiled, prefetch
from trading.replay.rules import arm, exit_of
from trading.replay.search import day_of, entry_row, exit_row, last_row, wait_end

_SOON = 4  # signals; what memory takes to answer

UNKNOWN = state.UNKNOWN
ENTRY_ROW, LONG_EXIT_ROW, SHORT_EXIT_ROW = state.A_ENTRY, state.A_LONG_EXIT, state.A_SHORT_EXIT


@compiled
def look_ahead(market: Any, signals: Any, sym: Any, doing: Any, run_: Any, begin: int, end: int) -> None:
    """Fill in `signals.ahead` for the signals of Symbols [begin, end); `sym` and `doing` are for notes."""
    r = run_[0]
    row, levels, ahead = bare(signals.row), bare(signals.levels), bare(signals.ahead)
    open_, high, low, close = bare(market.open), bare(market.high), bare(market.low), bare(market.close)
    for s in range(begin, end):
        y = sym[s]
        free = 0  # first row on which the Symbol is flat again
        for k in range(y.signal, y.signal_end):
            ahead[k, ENTRY_ROW] = ahead[k, LONG_EXIT_ROW] = ahead[k, SHORT_EXIT_ROW] = UNKNOWN
            if k + _SOON < y.signal_end:
                for column in (open_, high, low, close):
                    prefetch(column, row[k + _SOON] + 1)
            if row[k] < free:
                continue
            y.row = row[k]
            y.signal = k + 1
            level = levels[k]
            expires = day_of(market, y, y.row) + r.valid_sessions
            long = 1.0 if level[0] == level[0] else 0.0
            short = 1.0 if level[3] == level[3] else 0.0
            if not arm(y, doing, s, 0, expires, level, long, short):
                continue
            y.p_last = last_row(market, y, expires)
            over = wait_end(signals, y)
            at = entry_row(market, y, over)
            ahead[k, ENTRY_ROW] = at
            if at == over:
                continue
            o, h, lo, c = open_[at], high[at], low[at], close[at]
            is_long, is_short = long > 0.0 and h >= y.p_long, short > 0.0 and lo <= y.p_short
            if is_long and is_short:
                continue
            day = day_of(market, y, at)
            y.row = at
            y.side = 1 if is_long else -1
            y.sl = y.p_long_sl if is_long else y.p_short_sl
            y.tp = y.p_long_tp if is_long else y.p_short_tp
            y.entry_raw = o
            y.entry_session = day
            reason, _ = exit_of(y, r, False, o, h, lo, c, at == market.session_last[y.session], day)
            if reason == 0:
                free = min(exit_row(market, r, y), y.end)
                ahead[k, LONG_EXIT_ROW if is_long else SHORT_EXIT_ROW] = free
