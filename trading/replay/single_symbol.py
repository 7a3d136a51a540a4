"""Runs over the bars of one Symbol, compiled: the rules' phases row by row, without queue and curve.

With one Symbol the next event is simply the Symbol's own, and equity is known from its one position: it is looked at where
a session ends, and bar by bar only where a new peak or a deeper drawdown is possible.
"""

from typing import Any

import numpy as np

from trading.replay import state
from trading.replay.compiled import bare, compiled, inlined, natural, prefetch
from trading.replay.figures import sum_up
from trading.replay.kernel import enter, leave, next_row, take_signal
from trading.replay.passes import GOOD, read_signals
from trading.replay.rules import close, signs_are_certain
from trading.replay.state import Log, Market

FLAT, PENDING, OPEN, END, DONE = state.FLAT, state.PENDING, state.OPEN, state.END, state.DONE

_AHEAD = 4  # signals; the bars of the one that many ahead are fetched from memory

# why play_sets stopped, beside DONE and ASK_*; and what is to be done next with the set at hand
NOT_READ, SIGNS = 11, 12
TO_READ, TO_BEGIN, TO_PLAY, TO_SUM_UP = range(4)

TALLY = np.dtype(
    [
        # the set at hand, how far it is, and what came of reading its signals
        ("set", "i8"),
        ("stage", "i8"),
        ("outcome", "i8"),
        # the highest equity at Close so far, the greatest 1 - equity / peak, and the first session whose end has not come
        ("peak", "f8"),
        ("worst", "f8"),
        ("session", "i8"),
    ],
    align=True,
)


@inlined
def _see(tally: Any, equity: float) -> None:
    if equity >= tally.peak:
        tally.peak = equity
    else:
        tally.worst = max(tally.worst, 1.0 - equity / tally.peak)


@inlined
def _flat_until(market: Any, r: Any, tally: Any, equity: Any, row: int) -> None:
    """Equity at the ends of sessions before `row`; nothing has been held since the last one."""
    while tally.session < equity.shape[0] and market.session_last[tally.session] < row:
        equity[tally.session] = r.cash + r.carry
        tally.session += 1


@inlined
def _held_until(market: Any, y: Any, r: Any, tally: Any, equity: Any, until: int) -> None:
    """Equity at the Closes of the rows from the entry to before `until`, on which the position was held."""
    cash, side, qty, price, close_ = r.cash + r.carry, y.side, y.qty, y.entry_price, market.close
    while market.session_last[tally.session] < until:
        equity[tally.session] = cash + side * (qty * (close_[market.session_last[tally.session]] - price))
        tally.session += 1
    peak, first = tally.peak, natural(y.entry_bar)
    if first >= until:
        return
    # such a Close lies between stop and target
    best = cash + side * (qty * (y.tp - price))
    least = cash + side * (qty * (y.sl - price))
    if best < peak and 1.0 - least / peak <= tally.worst:
        return
    low = high = side * close_[first]
    for row in range(first + 1, until):
        low = min(low, side * close_[row])
        high = max(high, side * close_[row])
    best = cash + side * (qty * (side * high - price))
    least = cash + side * (qty * (side * low - price))
    if 1.0 - least / max(best, peak) <= tally.worst:
        tally.peak = max(best, peak)
    elif best < peak:
        tally.worst = 1.0 - least / peak
    else:
        for row in range(first, until):
            _see(tally, cash + side * (qty * (close_[row] - price)))


@compiled
def _play(
    market: Any, signal_row: Any, levels: Any, sym: Any, doing: Any, run_: Any, log: Any, tally: Any, equity: Any
) -> int:
    """Go on to the end of the bars (DONE) or to a question (ASK_*)."""
    market = Market(
        bare(market.open), bare(market.high), bare(market.low), bare(market.close), bare(market.grid),
        bare(market.step), bare(market.session_last),
    )  # fmt: skip
    log = Log(bare(log.whole), bare(log.money), bare(log.drops), bare(log.order))
    signal_row, levels, doing, equity = bare(signal_row), bare(levels), bare(doing), bare(equity)
    y, r = sym[0], run_[0]
    while True:
        row = next_row(market, signal_row, y, doing, r, 0)
        if row >= y.end:
            break
        row = natural(row)
        r.time = market.grid[row]
        closed = r.closed
        if doing[0] == OPEN:
            _held_until(market, y, r, tally, equity, row)
            leave(market, y, doing, r, log, 0, row)
        elif doing[0] == PENDING:
            _flat_until(market, r, tally, equity, row)
            question = enter(market, y, doing, r, log, 0, row)
            if question != DONE:
                r.ask_symbol = 0
                r.ask_row = row
                return int(question)
        if r.closed != closed:
            _see(tally, r.cash + r.carry)
        question = take_signal(market, signal_row, levels, y, doing, r, log, 0, row)
        if question != DONE:
            r.ask_symbol = 0
            r.ask_signal = y.signal
            return int(question)
        y.row = row
        if y.signal + _AHEAD < y.signal_end:
            soon = signal_row[y.signal + _AHEAD]
            prefetch(market.open, soon)
            prefetch(market.high, soon)
            prefetch(market.low, soon)
            prefetch(market.close, soon)
            prefetch(market.grid, soon)
    if doing[0] == OPEN:
        _held_until(market, y, r, tally, equity, y.end - 1)
        close(y, doing, r, log, 0, market.close[y.end - 1], END, market.grid[y.end - 1], y.end - 1)
        _see(tally, r.cash + r.carry)
    _flat_until(market, r, tally, equity, y.end)
    return DONE


@compiled
def play_sets(
    market: Any, source: Any, settings: Any, edges: Any, signals: Any, sym: Any, doing: Any, run_: Any, log: Any,
    tallies: Any, equity: Any, figures: Any, per_year: float, end: int,
) -> int:  # fmt: skip
    """Go on with the sets before `end`: DONE, or why it stopped; the caller sees to that, and calls again.

    ASK_*: a question of the run. NOT_READ: the signals of the set are not good (`tallies.outcome`); rounded some other way,
    they may be played. SIGNS: a pnl too near to zero, to be settled.

    Args:
        source: the frame's owner, times and columns, and of the bars ts, starts, twin and ticks, as
            :func:`trading.replay.passes.read_signals` takes them.
        settings: records of runs and Symbols that have not begun, and the index among them of each set.
        edges: where the rows of each set begin, and their number.
        signals: room for those of one set: row, levels, first, nans, seen.
        sym, doing, run_, tallies: one record each, of the set at hand.
        equity, figures: out: a row a set.
    """
    owner, times, columns, ts, starts, twin, ticks = source
    runs, symbols, which = settings
    row, levels, first, nans, seen = signals
    y, r, tally = sym[0], run_[0], tallies[0]
    while tally.set < end:
        i = tally.set
        if tally.stage == TO_READ:
            tally.stage = TO_BEGIN
            tally.outcome = read_signals(
                owner, times, columns, edges[i], edges[i + 1], ts, starts, twin, ticks, row, levels, first, nans, seen
            )
            if tally.outcome != GOOD:
                return NOT_READ
        if tally.stage == TO_BEGIN:
            sym[0] = symbols[which[i]]
            run_[0] = runs[which[i]]
            doing[0] = FLAT
            y.signal, y.signal_end = first[0], first[1]
            tally.peak, tally.worst, tally.session = r.cash, 0.0, 0
            tally.stage = TO_PLAY
        if tally.stage == TO_PLAY:
            question = _play(market, row, levels, sym, doing, run_, log, tally, equity[i])
            if question != DONE:
                return int(question)
            tally.stage = TO_SUM_UP
            if not signs_are_certain(run_, log):
                return SIGNS
        sum_up(run_, log, equity[i], runs[which[i]].cash, tally.worst, ts.shape[0], per_year, figures[i])
        tally.stage = TO_READ
        tally.set = i + 1
    return DONE
