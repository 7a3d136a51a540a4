"""What comes of each signal if all its sides have a quantity and are filled, compiled; Symbols apart, so that threads share them.

Nothing is decided here: the rows are those that the kernel would look for itself, by the same functions. It takes them where a
setup was armed, or a position opened, as was supposed, and looks for itself where it was not.
"""

from typing import Any

from trading.replay import state
from trading.replay.compiled import bare, compiled, prefetch
from trading.replay.kernel import day_of, last_row, next_row
from trading.replay.rules import arm, exit_of
from trading.replay.state import Market

UNKNOWN, PENDING, OPEN = state.UNKNOWN, state.PENDING, state.OPEN
A_ROW, A_DOING, A_LONG_ROW, A_SHORT_ROW = state.A_ROW, state.A_DOING, state.A_LONG_ROW, state.A_SHORT_ROW
_SOON = 4  # signals; what memory takes to answer


@compiled
def look_ahead(
    market: Any, signal_row: Any, levels: Any, sym: Any, doing: Any, run_: Any, begin: int, end: int, ahead: Any
) -> None:
    """Fill in `ahead` for the signals of Symbols [begin, end); `sym` and `doing` are for notes."""
    r = run_[0]
    signal_row, levels, doing, ahead = bare(signal_row), bare(levels), bare(doing), bare(ahead)
    open_, high, low, close = bare(market.open), bare(market.high), bare(market.low), bare(market.close)
    market = Market(open_, high, low, close, bare(market.grid), bare(market.step), bare(market.session_last))
    for s in range(begin, end):
        y = sym[s]
        free = 0  # first row on which the Symbol is flat again
        for k in range(y.signal, y.signal_end):
            if k + _SOON < y.signal_end:
                for column in (open_, high, low, close):
                    prefetch(column, signal_row[k + _SOON] + 1)
            ahead[k, A_ROW] = ahead[k, A_LONG_ROW] = ahead[k, A_SHORT_ROW] = UNKNOWN
            row = signal_row[k]
            if row < free:
                continue
            y.row = row
            y.signal = k + 1
            level = levels[k]
            expires = day_of(market, y, row) + r.valid_sessions
            long = 1.0 if level[0] == level[0] else 0.0
            short = 1.0 if level[3] == level[3] else 0.0
            if not arm(y, doing, s, 0, expires, level, long, short):
                continue
            y.p_last = last_row(market, y, expires)
            row = min(next_row(market, signal_row, y, doing, r, s), y.end)
            ahead[k, A_ROW] = row
            ahead[k, A_DOING] = doing[s]
            if doing[s] != PENDING or row == y.end:
                continue
            o, h, lo, c = open_[row], high[row], low[row], close[row]
            is_long, is_short = long > 0.0 and h >= y.p_long, short > 0.0 and lo <= y.p_short
            if is_long == is_short:
                continue  # both: the rules tell which; none: a signal takes its place
            day = day_of(market, y, row)
            y.row = row
            y.side = 1 if is_long else -1
            y.sl = y.p_long_sl if is_long else y.p_short_sl
            y.tp = y.p_long_tp if is_long else y.p_short_tp
            y.entry_raw = o
            y.entry_session = day
            reason, _ = exit_of(y, r, False, o, h, lo, c, row == market.session_last[y.session], day)
            if reason == 0:
                doing[s] = OPEN
                free = min(next_row(market, signal_row, y, doing, r, s), y.end)
                ahead[k, A_LONG_ROW if is_long else A_SHORT_ROW] = free
