"""A run over the bars of one Symbol, compiled: the rules' phases row by row, without queue and curve.

With one Symbol the next event is simply the Symbol's own, and equity is known from its one position: it is looked at where
a session ends, and bar by bar only where a new peak or a deeper drawdown is possible.
"""

from typing import Any

import numpy as np

from trading.replay import state
from trading.replay.compiled import bare, compiled, inlined
from trading.replay.kernel import enter, leave, next_row, take_signal
from trading.replay.rules import close
from trading.replay.state import Log, Market

PENDING, OPEN, END, DONE = state.PENDING, state.OPEN, state.END, state.DONE

TALLY = np.dtype(
    [
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
    # such a Close lies between stop and target
    best = cash + side * (qty * (y.tp - price))
    least = cash + side * (qty * (y.sl - price))
    if best < tally.peak and 1.0 - least / tally.peak <= tally.worst:
        return
    for row in range(y.entry_bar, until):
        _see(tally, cash + side * (qty * (close_[row] - price)))


@compiled
def play(
    market: Any, signal_row: Any, levels: Any, sym: Any, doing: Any, run_: Any, log: Any, tallies: Any, equity: Any
) -> int:
    """Go on to the end of the bars (DONE) or to a question (ASK_*); the caller answers it and calls again.

    Args:
        sym, doing, run_, tallies: of one Symbol and its run, one record each.
        equity: out: at the end of each session.
        Others as for :func:`trading.replay.kernel.run`.
    """
    market = Market(
        bare(market.open), bare(market.high), bare(market.low), bare(market.close), bare(market.grid),
        bare(market.step), bare(market.session_last),
    )  # fmt: skip
    log = Log(bare(log.whole), bare(log.money), bare(log.drops), bare(log.order))
    signal_row, levels, equity = bare(signal_row), bare(levels), bare(equity)
    sym, doing, run_, tallies = bare(sym), bare(doing), bare(run_), bare(tallies)
    y, r, tally = sym[0], run_[0], tallies[0]
    while True:
        row = next_row(market, signal_row, y, doing, r, 0)
        if row >= y.end:
            break
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
    if doing[0] == OPEN:
        _held_until(market, y, r, tally, equity, y.end - 1)
        close(y, doing, r, log, 0, market.close[y.end - 1], END, market.grid[y.end - 1], y.end - 1)
        _see(tally, r.cash + r.carry)
    _flat_until(market, r, tally, equity, y.end)
    return DONE
