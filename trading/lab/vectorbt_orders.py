"""The replay's rules as an order function of vectorbt, written from the rules and not from the replay's kernel.

vectorbt calls it again and again on each bar until it has no more orders, and does the rest itself: slippage, fees,
cash, positions, trades and their pnl. One group of columns, one column a Symbol, cash shared.

A short is judged as the long that it mirrors: prices change their sign, High and Low their places.

Imported lazily, as vectorbt costs seconds.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from vectorbt.portfolio.nb import order_nb, order_nothing_nb

FIXED, PCT, RISK = 0, 1, 2
_EXITS, _ENTRIES, _REST = 0, 1, 2
_WHOLE = 1e-9  # a count of lots this close to a whole number is that number


class Rules(NamedTuple):
    """Settings of a run: costs and percentages as fractions, ``amount`` the fixed quantity, the share held or at risk.

    ``equity`` to size by; NaN = realised. ``lent`` is cash on top of the account's own, so that vectorbt never cuts an
    order: the rules know only buying power.
    """

    fees: float
    slippage: float
    leverage: float
    session_end: bool
    valid_sessions: int
    max_hold: int
    sizing: int
    amount: float
    max_position: float
    equity: float
    lent: float


class Bars(NamedTuple):
    """Arrays of (timestamps, Symbols); a Symbol without a bar at a timestamp has NaN prices.

    ``last`` marks a Symbol's last bar of a session, ``session`` counts its sessions, ``signal`` is a row of the levels
    or -1.
    """

    open: Any
    high: Any
    low: Any
    close: Any
    last: Any
    session: Any
    signal: Any


class Desk(NamedTuple):
    """What is remembered from call to call, by Symbol but for ``step``.

    ``step``: phase, column, whether that column has just been entered. ``setup``: row of the pending signal or -1, its
    last session, the session of the entry, whether the Symbol was in a position when the bar began. ``sized``:
    quantities of the two sides. ``position``: stop, target, entry price, last Close.
    """

    step: Any
    setup: Any
    sized: Any
    position: Any


@njit(cache=True)  # type: ignore[untyped-decorator]
def next_order(c: Any, bars: Bars, levels: Any, lots: Any, least: Any, rules: Rules, desk: Desk) -> Any:
    """(column, order) of the next order on bar ``c.i``; column -1 = no more on this bar.

    ``levels`` (signals, 6): long entry, stop, target, short entry, stop, target, on the tick, NaN = absent. ``lots`` and
    ``least`` are lot size and smallest quantity by Symbol.
    """
    i, step = c.i, desk.step
    if c.call_idx == 0:
        step[0], step[1], step[2] = _EXITS, c.from_col, 0
        for col in range(c.from_col, c.to_col):
            desk.setup[col, 3] = c.last_position[col] != 0.0

    while step[0] != _REST:
        if step[2] == 1:  # entered by the call before: the same bar can stop it out
            col = step[1] - 1
            step[2] = 0
            price, slipped = _exit(c, bars, rules, desk, col, False)
        elif step[1] == c.to_col:
            step[0], step[1] = step[0] + 1, c.from_col
            continue
        else:
            col = step[1]
            step[1] += 1
            if np.isnan(bars.close[i, col]):
                continue
            if step[0] == _ENTRIES:
                if desk.setup[col, 3] == 0 and desk.setup[col, 0] >= 0:
                    size, price = _entry(c, bars, levels, lots, least, rules, desk, col)
                    if size != 0.0:
                        step[2] = 1
                        return col, _order(size, price, True, rules)
                continue
            if desk.setup[col, 3] == 0:
                continue
            price, slipped = _exit(c, bars, rules, desk, col, True)
        if not np.isnan(price):
            return col, _order(-c.last_position[col], price, slipped, rules)

    if step[1] == c.from_col:  # once a bar
        _arm(c, bars, levels, lots, least, rules, desk)
    if i == c.target_shape[0] - 1:
        while step[1] < c.to_col:
            col = step[1]
            step[1] += 1
            if c.last_position[col] != 0.0:
                return col, _order(-c.last_position[col], desk.position[col, 3], True, rules)
    return -1, order_nothing_nb()


@njit(cache=True)  # type: ignore[untyped-decorator]
def _order(size: float, price: float, slipped: bool, rules: Rules) -> Any:
    return order_nb(
        size=size,
        price=price,
        fees=rules.fees,
        slippage=rules.slippage if slipped else 0.0,
        allow_partial=False,
        raise_reject=True,
    )


@njit(cache=True)  # type: ignore[untyped-decorator]
def _exit(c: Any, bars: Bars, rules: Rules, desk: Desk, col: int, held: bool) -> Any:
    """(price, slipped) of the exit on this bar, NaN = none; ``held`` since before it."""
    i = c.i
    side = 1.0 if c.last_position[col] > 0.0 else -1.0
    stop, target = side * desk.position[col, 0], side * desk.position[col, 1]
    opened, closed = bars.open[i, col], bars.close[i, col]
    worst = bars.low[i, col] if side > 0.0 else -bars.high[i, col]
    best = bars.high[i, col] if side > 0.0 else -bars.low[i, col]
    if held and side * opened <= stop:
        return opened, True
    if held and side * opened >= target:
        return opened, False
    if worst <= stop:
        return side * stop, True
    if best >= target:
        return side * target, False
    ended = bars.session[i, col] - desk.setup[col, 2] + 1
    if bars.last[i, col] and (rules.session_end or 0 < rules.max_hold <= ended):
        return closed, True
    return np.nan, True


@njit(cache=True)  # type: ignore[untyped-decorator]
def _entry(c: Any, bars: Bars, levels: Any, lots: Any, least: Any, rules: Rules, desk: Desk, col: int) -> Any:
    """(signed size, raw price) of the entry on this bar; size 0 = none. A setup that is hit is used up."""
    i, k = c.i, desk.setup[col, 0]
    opened = bars.open[i, col]
    up, down = levels[k, 0], levels[k, 3]
    long = desk.sized[col, 0] > 0.0 and bars.high[i, col] >= up
    short = desk.sized[col, 1] > 0.0 and bars.low[i, col] <= down
    if not long and not short:
        return 0.0, np.nan
    desk.setup[col, 0] = -1
    if long and short and opened < up and opened > down:
        above, below = up - opened, opened - down
        if abs(above - below) <= _WHOLE * opened:
            return 0.0, np.nan
        long = above < below
    elif long and short:
        long = opened >= up
    side, first = (1.0, 0) if long else (-1.0, 3)
    raw = side * max(side * opened, side * levels[k, first])
    if side * raw >= side * levels[k, first + 2] or side * raw <= side * levels[k, first + 1]:
        return 0.0, np.nan
    funds, notional = _equity(c, rules, desk)
    affordable = np.floor((funds * rules.leverage - notional) / raw / lots[col] + _WHOLE) * lots[col]
    qty = min(desk.sized[col, 0 if long else 1], affordable)
    if qty < least[col] or qty <= 0.0:
        return 0.0, np.nan
    desk.setup[col, 2] = bars.session[i, col]
    desk.position[col, 0], desk.position[col, 1] = levels[k, first + 1], levels[k, first + 2]
    desk.position[col, 2] = raw * (1.0 + side * rules.slippage)
    desk.position[col, 3] = bars.close[i, col]
    return side * qty, raw


@njit(cache=True)  # type: ignore[untyped-decorator]
def _equity(c: Any, rules: Rules, desk: Desk) -> Any:
    """(realised equity, open notional) from vectorbt's own cash and positions."""
    worth = notional = 0.0
    for col in range(c.from_col, c.to_col):
        value = c.last_position[col] * desk.position[col, 2]
        worth += value
        notional += abs(value)
    return c.last_cash[c.group] - rules.lent + worth, notional


@njit(cache=True)  # type: ignore[untyped-decorator]
def _arm(c: Any, bars: Bars, levels: Any, lots: Any, least: Any, rules: Rules, desk: Desk) -> None:
    """Signals of this bar become the pending setups of flat Symbols; those whose time is over go."""
    i = c.i
    for col in range(c.from_col, c.to_col):
        if np.isnan(bars.close[i, col]):
            continue
        desk.position[col, 3] = bars.close[i, col]
        k = bars.signal[i, col]
        if k >= 0 and c.last_position[col] == 0.0:
            desk.setup[col, 0] = -1
            desk.setup[col, 1] = bars.session[i, col] + rules.valid_sessions
            for side in range(2):
                entry, stop = levels[k, 3 * side], levels[k, 3 * side + 1]
                qty = 0.0 if np.isnan(entry) else rules.amount
                if rules.sizing != FIXED and not np.isnan(entry):
                    funds = _equity(c, rules, desk)[0] if np.isnan(rules.equity) else rules.equity
                    share = rules.amount if rules.sizing == PCT else rules.max_position
                    wanted = funds * share / entry / lots[col]
                    if rules.sizing == RISK:
                        wanted = min(wanted, funds * rules.amount / abs(entry - stop) / lots[col])
                    qty = np.floor(wanted * (1.0 + 1e-12) + _WHOLE) * lots[col]
                desk.sized[col, side] = qty if qty >= least[col] else 0.0
                if desk.sized[col, side] > 0.0:
                    desk.setup[col, 0] = k
        if bars.last[i, col] and desk.setup[col, 1] <= bars.session[i, col]:
            desk.setup[col, 0] = -1
