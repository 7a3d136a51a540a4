"""The rules at one Symbol and one bar, compiled: arming, entry, exit, and the booking of fills.

Two entry levels equally far from the Open as far as floats can tell, and quantities too close to call, are questions
(ASK_*) that the caller answers in exact arithmetic.
"""

from typing import Any

import numpy as np

from trading.replay import state
from trading.replay.compiled import compiled, inlined, natural
from trading.replay.quantities import afford

FLAT, PENDING, OPEN = state.FLAT, state.PENDING, state.OPEN
ENTRY, EXIT, REJECTED = state.ENTRY, state.EXIT, state.REJECTED
SL, TP, EOD, TIME = state.SL, state.TP, state.EOD, state.TIME
AMBIGUOUS, GAP_TARGET, GAP_STOP, BUYING_POWER = (
    state.AMBIGUOUS,
    state.GAP_TARGET,
    state.GAP_STOP,
    state.BUYING_POWER,
)
PESSIMISTIC, OPTIMISTIC, NEAREST_TO_OPEN = state.PESSIMISTIC, state.OPTIMISTIC, state.NEAREST_TO_OPEN
DONE, ASK_NEAREST, ASK_AFFORDABLE = state.DONE, state.ASK_NEAREST, state.ASK_AFFORDABLE
SYMBOL, SIDE, SETUP, ENTRY_TIME, EXIT_TIME, REASON, BARS, ENTRY_NUMBER, ENTRY_BAR = (
    state.T_SYMBOL, state.T_SIDE, state.T_SETUP, state.T_ENTRY_TIME, state.T_EXIT_TIME, state.T_REASON, state.T_BARS,
    state.T_ENTRY, state.T_ENTRY_BAR,
)  # fmt: skip
QTY, ENTRY_RAW, ENTRY_PRICE, ENTRY_FEE, EXIT_RAW, EXIT_PRICE, EXIT_FEE, PNL = (
    state.T_QTY, state.T_ENTRY_RAW, state.T_ENTRY_PRICE, state.T_ENTRY_FEE, state.T_EXIT_RAW, state.T_EXIT_PRICE,
    state.T_EXIT_FEE, state.T_PNL,
)  # fmt: skip
D_KIND, D_REASON, D_SYMBOL, D_SIDE, D_TIME, D_SETUP = (
    state.D_KIND, state.D_REASON, state.D_SYMBOL, state.D_SIDE, state.D_TIME, state.D_SETUP,
)  # fmt: skip

_ULP = 2.3e-16  # one float rounding, relative, rounded up


@inlined
def _add_cash(r: Any, amount: float, turnover: float) -> None:
    """Neumaier's compensated sum; `turnover` bounds the terms that `amount` is a difference of."""
    total = r.cash + amount
    if abs(r.cash) >= abs(amount):
        r.carry += (r.cash - total) + amount
    else:
        r.carry += (amount - total) + r.cash
    r.cash = total
    r.cash_error += 8.0 * _ULP * turnover


@inlined
def _told(r: Any, log: Any, kind: int) -> None:
    log.order[natural(r.order)] = kind
    r.order += 1


@inlined
def drop(r: Any, log: Any, kind: int, reason: int, s: int, side: int, time: int, setup: int) -> None:
    """Log a setup of Symbol `s` that is no more."""
    i = natural(r.drops)
    r.drops += 1
    log.drops[D_KIND, i] = kind
    log.drops[D_REASON, i] = reason
    log.drops[D_SYMBOL, i] = s
    log.drops[D_SIDE, i] = side
    log.drops[D_TIME, i] = time
    log.drops[D_SETUP, i] = setup
    _told(r, log, kind)


@inlined
def arm(y: Any, doing: Any, s: int, setup: int, expires: int, level: Any, long: float, short: float) -> bool:
    """Make a sized signal the pending setup of a flat Symbol, whatever was; False if it has no side."""
    doing[s] = FLAT
    if long <= 0.0 and short <= 0.0:
        return False
    y.p_setup = setup
    y.p_expires = expires
    y.p_long = level[0]
    y.p_long_sl = level[1]
    y.p_long_tp = level[2]
    y.p_long_qty = max(long, 0.0)
    y.p_short = level[3]
    y.p_short_sl = level[4]
    y.p_short_tp = level[5]
    y.p_short_qty = max(short, 0.0)
    doing[s] = PENDING
    return True


@inlined
def _enter(y: Any, doing: Any, r: Any, log: Any, s: int, side: int, qty: float, raw: float, bar: int, day: int) -> None:
    """Fill the pending setup's `side` on the bar and in the session of these numbers."""
    price = raw * (1.0 + side * r.slip)
    fee = r.fee * (qty * price)
    y.side = side
    y.qty = qty
    if side > 0:
        y.sl = y.p_long_sl
        y.tp = y.p_long_tp
    else:
        y.sl = y.p_short_sl
        y.tp = y.p_short_tp
    y.setup = y.p_setup
    y.entry_time = r.time
    y.entry_raw = raw
    y.entry_price = price
    y.entry_fee = fee
    y.entry_bar = bar
    y.entry_session = day
    y.entry = r.entries
    doing[s] = OPEN
    r.entries += 1
    r.open += 1
    r.notional += qty * price
    r.notional_error += 4.0 * _ULP * (qty * price + abs(r.notional))
    _add_cash(r, -fee, fee)
    _told(r, log, ENTRY)


@inlined
def close(y: Any, doing: Any, r: Any, log: Any, s: int, raw: float, reason: int, time: int, bar: int) -> None:
    """Close the position of Symbol `s` at `raw`, with slippage unless at the target."""
    price = raw if reason == TP else raw * (1.0 - y.side * r.slip)
    fee = r.fee * (y.qty * price)
    gross = y.side * (y.qty * (price - y.entry_price))
    i = natural(r.closed)
    whole, money = log.whole, log.money
    whole[SYMBOL, i] = s
    whole[SIDE, i] = y.side
    whole[SETUP, i] = y.setup
    whole[ENTRY_TIME, i] = y.entry_time
    whole[EXIT_TIME, i] = time
    whole[REASON, i] = reason
    whole[BARS, i] = bar - y.entry_bar + 1
    whole[ENTRY_NUMBER, i] = y.entry
    whole[ENTRY_BAR, i] = y.entry_bar
    money[QTY, i] = y.qty
    money[ENTRY_RAW, i] = y.entry_raw
    money[ENTRY_PRICE, i] = y.entry_price
    money[ENTRY_FEE, i] = y.entry_fee
    money[EXIT_RAW, i] = raw
    money[EXIT_PRICE, i] = price
    money[EXIT_FEE, i] = fee
    money[PNL, i] = gross - (y.entry_fee + fee)
    doing[s] = FLAT
    r.open -= 1
    r.closed += 1
    r.notional_error += 4.0 * _ULP * abs(r.notional)
    r.notional -= y.qty * y.entry_price
    if r.open == 0:
        r.notional = 0.0
        r.notional_error = 0.0
    _add_cash(r, gross - fee, y.qty * (price + y.entry_price) + fee)
    _told(r, log, EXIT)


@compiled
def signs_are_certain(run_: Any, log: Any) -> bool:
    """Whether floats tell the sign of every pnl: none but an exact 0 is within rounding of it."""
    money = log.money
    doubtful = False
    for i in range(run_[0].closed):
        pnl = money[PNL, i]
        doubtful |= (abs(pnl) <= 1e-14 * money[QTY, i] * (money[ENTRY_RAW, i] + money[EXIT_RAW, i])) & (pnl != 0.0)
    return not doubtful


@inlined
def _stop_counts(y: Any, r: Any, held: bool, target: bool, o: float, c: float) -> bool:
    """Whether a stop that the bar touched ends the position, before a `target` that it touched too; see fill_order.py."""
    if r.fill_order == PESSIMISTIC:
        return True
    stop_away = abs(o - y.sl)
    if not held and y.entry_raw != o and (r.fill_order == OPTIMISTIC or stop_away < abs(y.entry_raw - o)):
        after: bool = y.side * (c - y.sl) <= 0.0  # touched before the entry, and only then again
        return after and not target
    nearer: bool = r.fill_order == NEAREST_TO_OPEN and stop_away <= abs(y.tp - o)
    return nearer or not target


@inlined
def exit_of(y: Any, r: Any, at_open: bool, o: float, h: float, lo: float, c: float, last: bool, day: int) -> Any:
    """(reason, raw price) of the exit on this bar; reason 0 = none. `at_open`: held since before it."""
    if y.side > 0:
        if at_open:
            if o <= y.sl:
                return SL, o
            if o >= y.tp:
                return TP, o
        target = h >= y.tp
        if lo <= y.sl and _stop_counts(y, r, at_open, target, o, c):
            return SL, y.sl
        if target:
            return TP, y.tp
    else:
        if at_open:
            if o >= y.sl:
                return SL, o
            if o <= y.tp:
                return TP, o
        target = lo <= y.tp
        if h >= y.sl and _stop_counts(y, r, at_open, target, o, c):
            return SL, y.sl
        if target:
            return TP, y.tp
    if last:
        if r.exit_at_session_end != 0:
            return EOD, c
        if r.max_hold > 0 and day - y.entry_session + 1 >= r.max_hold:
            return TIME, c
    return 0, 0.0


@inlined
def _reject(y: Any, doing: Any, r: Any, log: Any, s: int, reason: int, side: int) -> int:
    drop(r, log, REJECTED, reason, s, side, r.time, y.p_setup)
    doing[s] = FLAT
    return DONE


@inlined
def try_entry(
    y: Any,
    doing: Any,
    r: Any,
    log: Any,
    s: int,
    o: float,
    h: float,
    lo: float,
    c: float,
    last: bool,
    bar: int,
    day: int,
) -> int:
    """Phase 2 at one Symbol, on the bar and in the session of these numbers. DONE or a question."""
    long_hit = y.p_long_qty > 0.0 and h >= y.p_long
    short_hit = y.p_short_qty > 0.0 and lo <= y.p_short
    if not long_hit and not short_hit:
        return DONE
    side = 1 if long_hit else -1
    if long_hit and short_hit:
        if o >= y.p_long:
            side = 1
        elif o <= y.p_short:
            side = -1
        elif r.fill_order == OPTIMISTIC:
            side = 1 if c - y.p_long >= y.p_short - c else -1
        elif r.nearest_known != 0:
            side = r.nearest
        else:
            up = y.p_long - o
            down = o - y.p_short
            if abs(up - down) <= 8.0 * _ULP * (y.p_long + o + y.p_short):
                at = np.rint(o * y.tick_den / y.tick_num)
                if at * y.tick_num / y.tick_den != o:
                    return ASK_NEAREST
                # all three are on the grid: whole ticks tell
                up = np.rint(y.p_long * y.tick_den / y.tick_num) - at
                down = at - np.rint(y.p_short * y.tick_den / y.tick_num)
            side = int(up < down) - int(up > down)
        if side == 0:
            return _reject(y, doing, r, log, s, AMBIGUOUS, 0)
    if side > 0:
        raw = max(o, y.p_long)
        qty = y.p_long_qty
        through_target = raw >= y.p_long_tp
        through_stop = raw <= y.p_long_sl
    else:
        raw = min(o, y.p_short)
        qty = y.p_short_qty
        through_target = raw <= y.p_short_tp
        through_stop = raw >= y.p_short_sl
    if through_target:
        return _reject(y, doing, r, log, s, GAP_TARGET, side)
    if through_stop:
        return _reject(y, doing, r, log, s, GAP_STOP, side)
    if r.affordable_known != 0:
        qty = r.affordable
    else:
        qty = afford(r, y, qty, raw)
        if qty < 0.0:
            r.ask_side = side
            r.ask_price = raw
            return ASK_AFFORDABLE
    if qty <= 0.0:
        return _reject(y, doing, r, log, s, BUYING_POWER, side)
    _enter(y, doing, r, log, s, side, qty, raw, bar, day)
    reason, price = exit_of(y, r, False, o, h, lo, c, last, day)
    if reason != 0:
        close(y, doing, r, log, s, price, reason, r.time, bar)
    return DONE
