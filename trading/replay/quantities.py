"""Quantities, compiled: sizing and buying power in floats that know their error.

A quantity whose unfloored value lies within its error bound of a whole number of lots is not decided here (-1): exact
arithmetic (:mod:`trading.replay.exact`) is asked. Where the equity to size by is still a plain decimal, whole numbers
tell exact ties at once. The formulas are those of :mod:`trading.sizing`.
"""

import math
from typing import Any

import numpy as np

from trading.replay import state
from trading.replay.compiled import compiled, inlined

FIXED, PCT, KELLY = state.FIXED, state.PCT, state.KELLY
QTY, ENTRY_PRICE, ENTRY_FEE = state.T_QTY, state.T_ENTRY_PRICE, state.T_ENTRY_FEE
EXIT_PRICE, EXIT_FEE, PNL = state.T_EXIT_PRICE, state.T_EXIT_FEE, state.T_PNL

_ULP = 2.3e-16  # one float rounding, relative, rounded up
_LOOSE = 1e-12  # relative error granted to a short chain of float operations
_BIG = 2.0**50  # beyond this a count of lots is not known to the unit
_WHOLE = 2.0**53  # whole numbers under this are exact


@inlined
def _lots(amount: float, error: float) -> Any:
    """Whole lots in `amount` if it is `error` less and `error` more; equal when the floor is certain."""
    low = max(np.floor(amount - error), 0.0)
    high = max(np.floor(amount + error), 0.0)
    if not (error < 1.0 and high < _BIG):
        return 0.0, _BIG
    return low, high


@inlined
def _settle(low: float, high: float, num: float, den: float, ticks: float) -> Any:
    """Decide between two neighbouring counts of lots in num / den / ticks, all whole numbers, where they are exact."""
    if high == low + 1.0 and num > 0.0:
        product = high * den * ticks
        if product < _WHOLE:
            if product <= num:
                return high, high
            return low, low
    return low, high


@inlined
def _lots_to_qty(lots: float, y: Any) -> float:
    return float(lots * y.lot_num / y.lot_den) if y.lot_den != 1.0 else float(lots * y.lot_num)


@inlined
def _size_side(
    r: Any, y: Any, funds: float, funds_error: float, plain: bool, pct: float, pct_error: float, entry: float, sl: float
) -> float:
    """Quantity of a side, 0 = under min_qty, -1 = too close to call in floats.

    `plain`: the equity to size by is the decimal that the Symbol's whole numbers were made for.
    """
    per_lot = 0.01 * y.lot_den / y.lot_num if y.lot_num != 1.0 else 0.01 * y.lot_den
    funds_error += abs(funds) * _LOOSE
    unit = (pct if r.sizing == PCT else r.max_pos_pct) * per_lot / entry
    low, high = _lots(funds * unit, funds_error * unit)
    if low != high and plain:
        ticks = np.rint(entry * y.tick_den / y.tick_num)
        low, high = _settle(low, high, y.cap_num, y.cap_den, ticks)
    if r.sizing != PCT:
        distance = abs(entry - sl)
        nearness = 1.0 / distance
        unit = per_lot * nearness
        amount = funds * pct * unit
        error = (funds_error * pct + abs(funds) * pct_error) * unit
        error += abs(amount) * 4.0 * _ULP * (abs(entry) + abs(sl)) * nearness
        low_risk, high_risk = _lots(amount, error)
        if low_risk != high_risk and plain and r.sizing != KELLY:
            ticks = abs(np.rint(entry * y.tick_den / y.tick_num) - np.rint(sl * y.tick_den / y.tick_num))
            low_risk, high_risk = _settle(low_risk, high_risk, y.risk_num, y.risk_den, ticks)
        low = min(low, low_risk)
        high = min(high, high_risk)
    if high >= _BIG:
        return -1.0
    qty = _lots_to_qty(low, y)
    if low == high:
        return qty if qty >= y.min_qty and qty > 0.0 else 0.0
    best = _lots_to_qty(high, y)
    if best < y.min_qty or best <= 0.0:
        return 0.0
    return -1.0


@compiled
def _kelly(r: Any, money: Any) -> None:
    """Bring r.kelly_pct and its error bound up to the trades closed so far."""
    if r.kelly_at == r.closed:
        return
    r.kelly_at = r.closed
    r.kelly_error = 0.0
    if r.closed < r.kelly_min_trades:
        r.kelly_pct = r.kelly_min_pct
        return
    wins = losses = 0
    win = loss = win_error = loss_error = 0.0
    for i in range(r.closed - 1, max(r.closed - r.kelly_lookback, 0) - 1, -1):
        pnl = money[PNL, i]
        error = 16.0 * _ULP * money[QTY, i] * (money[EXIT_PRICE, i] + money[ENTRY_PRICE, i])
        error += 4.0 * _ULP * (money[EXIT_FEE, i] + money[ENTRY_FEE, i])
        if abs(pnl) <= error:
            r.kelly_error = math.inf  # its sign is not certain
            return
        if pnl > 0.0:
            wins += 1
            win += pnl
            win_error += error
        else:
            losses += 1
            loss -= pnl
            loss_error += error
    r.kelly_pct = 0.0
    if wins == 0:
        return
    share = wins / (wins + losses)
    f = share
    f_error = 2.0 * _ULP
    if losses > 0:
        rest = (1.0 - share) / ((win / wins) / (loss / losses))
        f = share - rest
        f_error += rest * (win_error / win + loss_error / loss + _LOOSE)
    if abs(f) <= f_error:
        r.kelly_error = math.inf
        return
    if f < 0.0:
        return
    pct = 100.0 * r.kelly_fraction * f
    error = 100.0 * r.kelly_fraction * f_error + _LOOSE * pct
    if pct + error <= r.kelly_min_pct:
        r.kelly_pct = r.kelly_min_pct
    elif pct - error >= r.kelly_max_pct:
        r.kelly_pct = r.kelly_max_pct
    else:
        r.kelly_pct = min(r.kelly_max_pct, max(r.kelly_min_pct, pct))
        r.kelly_error = error


@inlined
def size(r: Any, money: Any, levels: Any, k: int, y: Any) -> Any:
    """(long, short) quantities of signal `k` now; a -1 = too close to call."""
    has_long = levels[k, 0] == levels[k, 0]
    has_short = levels[k, 3] == levels[k, 3]
    if r.sizing == FIXED:
        qty = r.fixed_qty if r.fixed_qty >= y.min_qty else 0.0
        return qty if has_long else 0.0, qty if has_short else 0.0
    pct, pct_error = r.pct, 0.0
    if r.sizing == KELLY:
        _kelly(r, money)
        if math.isinf(r.kelly_error):
            return -1.0, -1.0
        pct, pct_error = r.kelly_pct, r.kelly_error
    funds = r.cash + r.carry
    funds_error = r.cash_error
    plain = r.entries == 0  # nothing has moved the initial cash yet
    if r.sizing_equity == r.sizing_equity:
        funds = r.sizing_equity
        funds_error = 0.0
        plain = True
    long = short = 0.0
    if has_long:
        long = _size_side(r, y, funds, funds_error, plain, pct, pct_error, levels[k, 0], levels[k, 1])
    if has_short:
        short = _size_side(r, y, funds, funds_error, plain, pct, pct_error, levels[k, 3], levels[k, 4])
    return long, short


@inlined
def afford(r: Any, y: Any, qty: float, raw: float) -> float:
    """`qty` cut to buying power, 0 = under min_qty, -1 = too close to call in floats."""
    lot = y.lot_num / y.lot_den if y.lot_den != 1.0 else y.lot_num
    funds = (r.cash + r.carry) * r.leverage
    error = r.cash_error * r.leverage + r.notional_error + _LOOSE * (abs(funds) + r.notional)
    room = funds - r.notional
    if room - error >= (qty + lot) * raw * (1.0 + _LOOSE):
        return qty
    lots = room / (raw * lot)
    error = error / (raw * lot) + _LOOSE * abs(lots)
    if _lots_to_qty(np.floor(lots - error), y) >= qty:
        return qty
    low, high = _lots(lots, error)
    if high >= _BIG:
        return -1.0
    least = min(qty, _lots_to_qty(low, y))
    most = min(qty, _lots_to_qty(high, y))
    if most < y.min_qty or most <= 0.0:
        return 0.0
    if least == most:
        return least
    return -1.0
