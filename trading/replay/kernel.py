"""The replay's rules, compiled: three phases a timestamp over all Symbols, in one resumable loop.

Everything is decided here in floats, except where a float cannot be trusted: a quantity whose unfloored value
lies within its error bound of a whole number of lots, and two entry levels equally far from the Open as far as
floats can tell. There `run` stops with a question (ASK_*); the caller answers it in exact arithmetic and calls again.

Imported lazily, as numba costs about a second. All in one file: numba's disk cache watches the file of a function, not
those of the functions that it calls.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from trading.replay import state

_F = TypeVar("_F", bound=Callable[..., Any])


def _compiled(function: _F) -> _F:
    """njit with numba's disk cache; without it where no directory can be written."""
    try:
        return cast(_F, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:
        return cast(_F, numba.njit(nogil=True)(function))


NEVER = state.NEVER
FLAT, PENDING, OPEN = state.FLAT, state.PENDING, state.OPEN
ENTRY, EXIT, REJECTED, EXPIRED = state.ENTRY, state.EXIT, state.REJECTED, state.EXPIRED
SL, TP, EOD, TIME = state.SL, state.TP, state.EOD, state.TIME
AMBIGUOUS, GAP_TARGET, GAP_STOP = state.AMBIGUOUS, state.GAP_TARGET, state.GAP_STOP
BUYING_POWER, SIZE, VALIDITY_OVER, FILLED = state.BUYING_POWER, state.SIZE, state.VALIDITY_OVER, state.FILLED
PRESIZED, PCT, RISK, KELLY = state.PRESIZED, state.PCT, state.RISK, state.KELLY
PESSIMISTIC, OPTIMISTIC, NEAREST_TO_OPEN = state.PESSIMISTIC, state.OPTIMISTIC, state.NEAREST_TO_OPEN
DONE, ASK_NEAREST, ASK_AFFORDABLE, ASK_SIZE = (
    state.DONE,
    state.ASK_NEAREST,
    state.ASK_AFFORDABLE,
    state.ASK_SIZE,
)

_ULP = 2.3e-16  # one float rounding, relative, rounded up
_LOOSE = 1e-12  # relative error granted to a short chain of float operations
_BIG = 2.0**50  # beyond this a count of lots is not known to the unit


@_compiled
def _add_cash(r: Any, amount: float, turnover: float) -> None:
    """Neumaier's compensated sum; `turnover` bounds the terms that `amount` is a difference of."""
    total = r.cash + amount
    if abs(r.cash) >= abs(amount):
        r.carry += (r.cash - total) + amount
    else:
        r.carry += (amount - total) + r.cash
    r.cash = total
    r.cash_error += 8.0 * _ULP * turnover


@_compiled
def _log(events: Any, r: Any, kind: int, reason: int, s: int, side: int, time: int, setup: int) -> Any:
    e = events[r.events]
    r.events += 1
    e.kind = kind
    e.reason = reason
    e.symbol = s
    e.side = side
    e.time = time
    e.setup = setup
    e.qty = 0.0
    e.raw = math.nan
    e.slipped = 0
    e.price = math.nan
    e.fee = 0.0
    e.entry_time = time
    e.entry_raw = math.nan
    e.entry_price = math.nan
    e.entry_fee = 0.0
    e.pnl = 0.0
    e.bars = 0
    return e


@_compiled
def _enter(y: Any, doing: Any, r: Any, events: Any, s: int, side: int, qty: float, raw: float, row: Any) -> None:
    """Fill the pending setup's `side`; `row` is (time, bar number, session number, close)."""
    price = raw * (1.0 + side * r.slip)
    fee = r.fee * (qty * price)
    e = _log(events, r, ENTRY, FILLED, s, side, row[0], y.p_setup)
    e.qty = qty
    e.raw = raw
    e.slipped = 1
    e.price = price
    e.fee = fee
    y.side = side
    y.qty = qty
    if side > 0:
        y.sl = y.p_long_sl
        y.tp = y.p_long_tp
    else:
        y.sl = y.p_short_sl
        y.tp = y.p_short_tp
    y.setup = y.p_setup
    y.entry_time = row[0]
    y.entry_raw = raw
    y.entry_price = price
    y.entry_fee = fee
    y.entry_bar = row[1]
    y.entry_session = row[2]
    y.mark = row[3]
    doing[s] = OPEN
    r.pending -= 1
    r.open += 1
    _add_cash(r, -fee, fee)


@_compiled
def close(
    y: Any,
    doing: Any,
    r: Any,
    events: Any,
    s: int,
    raw: float,
    slipped: bool,
    reason: int,
    time: int,
    bar: int,
) -> None:
    """Close the position of Symbol `s` at `raw`, with slippage or not."""
    price = raw * (1.0 - y.side * r.slip) if slipped else raw
    fee = r.fee * (y.qty * price)
    gross = y.side * (y.qty * (price - y.entry_price))
    e = _log(events, r, EXIT, reason, s, y.side, time, y.setup)
    e.qty = y.qty
    e.raw = raw
    e.slipped = 1 if slipped else 0
    e.price = price
    e.fee = fee
    e.entry_time = y.entry_time
    e.entry_raw = y.entry_raw
    e.entry_price = y.entry_price
    e.entry_fee = y.entry_fee
    e.pnl = gross - (y.entry_fee + fee)
    e.bars = bar - y.entry_bar + 1
    doing[s] = FLAT
    r.open -= 1
    r.closed += 1
    _add_cash(r, gross - fee, y.qty * (price + y.entry_price) + fee)


@_compiled
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


@_compiled
def _exit_of(y: Any, r: Any, at_open: bool, o: float, h: float, lo: float, c: float, last: bool, session: int) -> Any:
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
        if r.max_hold > 0 and session - y.entry_session + 1 >= r.max_hold:
            return TIME, c
    return 0, 0.0


@_compiled
def _lots(amount: float, error: float) -> Any:
    """Whole lots in `amount` if it is `error` less and `error` more; equal when the floor is certain."""
    low = max(np.floor(amount - error), 0.0)
    high = max(np.floor(amount + error), 0.0)
    if not (error < 1.0 and high < _BIG):
        return 0.0, _BIG
    return low, high


@_compiled
def _lots_to_qty(lots: float, y: Any) -> float:
    return float(lots * y.lot_num / y.lot_den)


@_compiled
def _size_side(
    mode: int,
    funds: float,
    funds_error: float,
    pct: float,
    pct_error: float,
    max_pct: float,
    entry: float,
    sl: float,
    y: Any,
) -> float:
    """Quantity of a side, 0 = under min_qty, -1 = too close to call in floats."""
    lot = y.lot_num / y.lot_den
    funds_error += abs(funds) * _LOOSE
    unit = (pct if mode == PCT else max_pct) / 100.0 / entry / lot
    low, high = _lots(funds * unit, funds_error * unit)
    if mode != PCT:
        distance = abs(entry - sl)
        unit = 1.0 / 100.0 / distance / lot
        amount = funds * pct * unit
        error = (funds_error * pct + abs(funds) * pct_error) * unit
        error += abs(amount) * 4.0 * _ULP * (abs(entry) + abs(sl)) / distance
        low_risk, high_risk = _lots(amount, error)
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


@_compiled
def presize(mode: int, funds: float, pct: float, max_pct: float, levels: Any, owner: Any, sym: Any, qty: Any) -> None:
    """Size every signal by a constant equity; -1 where exact arithmetic has to tell."""
    for k in range(levels.shape[0]):
        y = sym[owner[k]]
        for side in range(2):
            entry = levels[k, 3 * side]
            qty[k, side] = 0.0
            if entry == entry:
                qty[k, side] = _size_side(mode, funds, 0.0, pct, 0.0, max_pct, entry, levels[k, 3 * side + 1], y)


@_compiled
def _kelly(r: Any, events: Any) -> None:
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
    i = r.events - 1
    while wins + losses < r.kelly_lookback and i >= 0:
        e = events[i]
        i -= 1
        if e.kind != EXIT:
            continue
        error = 16.0 * _ULP * e.qty * (e.price + e.entry_price) + 4.0 * _ULP * (e.fee + e.entry_fee)
        if abs(e.pnl) <= error:
            r.kelly_error = math.inf  # its sign is not certain
            return
        if e.pnl > 0.0:
            wins += 1
            win += e.pnl
            win_error += error
        else:
            losses += 1
            loss -= e.pnl
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


@_compiled
def _size(r: Any, events: Any, levels: Any, k: int, y: Any) -> Any:
    """(long, short) quantities of signal `k` by realised equity now; a -1 = too close to call."""
    pct, pct_error = r.pct, 0.0
    if r.sizing == KELLY:
        _kelly(r, events)
        if math.isinf(r.kelly_error):
            return -1.0, -1.0
        pct, pct_error = r.kelly_pct, r.kelly_error
    funds = r.cash + r.carry
    funds_error = r.cash_error
    if r.sizing_equity == r.sizing_equity:
        funds = r.sizing_equity
        funds_error = 0.0
    long = short = 0.0
    if levels[k, 0] == levels[k, 0]:
        long = _size_side(r.sizing, funds, funds_error, pct, pct_error, r.max_pos_pct, levels[k, 0], levels[k, 1], y)
    if levels[k, 3] == levels[k, 3]:
        short = _size_side(r.sizing, funds, funds_error, pct, pct_error, r.max_pos_pct, levels[k, 3], levels[k, 4], y)
    return long, short


@_compiled
def arm(y: Any, doing: Any, r: Any, s: int, setup: int, expires: int, level: Any, long: float, short: float) -> bool:
    """Make a sized signal the pending setup of a flat Symbol, whatever was; False if it has no side."""
    if doing[s] == PENDING:
        doing[s] = FLAT
        r.pending -= 1
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
    r.pending += 1
    return True


@_compiled
def _drop(y: Any, doing: Any, r: Any, events: Any, s: int, kind: int, reason: int, side: int, time: int) -> None:
    _log(events, r, kind, reason, s, side, time, y.p_setup)
    doing[s] = FLAT
    r.pending -= 1


@_compiled
def _afford(r: Any, sym: Any, doing: Any, y: Any, qty: float, raw: float) -> float:
    """`qty` cut to buying power, 0 = under min_qty, -1 = too close to call in floats."""
    notional = 0.0
    if r.open > 0:
        for j in range(doing.shape[0]):
            if doing[j] == OPEN:
                notional += sym[j].qty * sym[j].entry_price
    funds = (r.cash + r.carry) * r.leverage
    per_lot = raw * y.lot_num / y.lot_den
    lots = (funds - notional) / per_lot
    error = (r.cash_error * r.leverage + _LOOSE * (abs(funds) + notional)) / per_lot + _LOOSE * abs(lots)
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


@_compiled
def _try_entry(
    sym: Any,
    doing: Any,
    r: Any,
    events: Any,
    s: int,
    row: int,
    o: float,
    h: float,
    lo: float,
    time: Any,
    last: bool,
) -> int:
    """Phase 2 at one Symbol; `time` is (time, bar number, session number, close). DONE or a question."""
    y = sym[s]
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
            side = 1 if time[3] - y.p_long >= y.p_short - time[3] else -1
        elif r.nearest_known != 0:
            side = r.nearest
        else:
            up = y.p_long - o
            down = o - y.p_short
            if abs(up - down) <= 8.0 * _ULP * (y.p_long + o + y.p_short):
                r.ask_symbol = s
                r.ask_row = row
                return ASK_NEAREST
            side = 1 if up < down else -1
        if side == 0:
            _drop(y, doing, r, events, s, REJECTED, AMBIGUOUS, 0, time[0])
            return DONE
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
        _drop(y, doing, r, events, s, REJECTED, GAP_TARGET, side, time[0])
        return DONE
    if through_stop:
        _drop(y, doing, r, events, s, REJECTED, GAP_STOP, side, time[0])
        return DONE
    if r.affordable_known != 0:
        qty = r.affordable
    else:
        cut = _afford(r, sym, doing, y, qty, raw)
        if cut < 0.0:
            r.ask_symbol = s
            r.ask_row = row
            r.ask_side = side
            r.ask_price = raw
            return ASK_AFFORDABLE
        qty = cut
    if qty <= 0.0:
        _drop(y, doing, r, events, s, REJECTED, BUYING_POWER, side, time[0])
        return DONE
    _enter(y, doing, r, events, s, side, qty, raw, time)
    reason, price = _exit_of(y, r, False, o, h, lo, time[3], last, time[2])
    if reason != 0:
        close(y, doing, r, events, s, price, reason != TP, reason, time[0], time[1])
    return DONE


@_compiled
def run(
    ts: Any,
    open_: Any,
    high: Any,
    low: Any,
    close_: Any,
    last: Any,
    session: Any,
    signal_row: Any,
    levels: Any,
    qty: Any,
    sym: Any,
    doing: Any,
    clock: Any,
    cursor: Any,
    next_signal: Any,
    here: Any,
    run_: Any,
    events: Any,
    curve_ts: Any,
    curve_realised: Any,
    curve_unrealised: Any,
) -> int:
    """Go on until all bars are used (DONE) or a question comes up (ASK_*).

    Bars are flat arrays, Symbol after Symbol, each ascending in time; `cursor` is each Symbol's next row and
    `clock` that row's time (NEVER at its end). `last` flags a Symbol's last bar of a session, `session` numbers
    its sessions. Signals: `signal_row` (the bar's row, ascending), `levels` (n, 6: long entry, sl, tp, short
    entry, sl, tp; NaN = absent), `qty` (n, 2; used when sizing is PRESIZED). `curve_*` have room for every
    distinct timestamp, or are empty.
    """
    r = run_[0]
    n_symbols = doing.shape[0]
    want_curve = curve_ts.shape[0] > 0
    while True:
        if r.phase == 0:
            t = NEVER
            n = 0
            for s in range(n_symbols):
                at = clock[s]
                if at < t:
                    t = at
                    n = 0
                if at == t and at != NEVER:
                    here[n] = s
                    n += 1
            if t == NEVER:
                return DONE
            r.time = t
            r.here = n
            r.phase = 1
            r.i = 0
        t = r.time
        n = r.here

        if r.phase == 1:
            if r.open > 0:
                for i in range(n):
                    s = here[i]
                    if doing[s] == OPEN:
                        y = sym[s]
                        row = cursor[s]
                        reason, price = _exit_of(
                            y,
                            r,
                            True,
                            open_[row],
                            high[row],
                            low[row],
                            close_[row],
                            last[row] != 0,
                            session[row],
                        )
                        if reason != 0:
                            close(y, doing, r, events, s, price, reason != TP, reason, t, row + y.bar_base)
            r.phase = 2
            r.i = 0

        if r.phase == 2:
            if r.pending > 0:
                for i in range(r.i, n):
                    s = here[i]
                    if doing[s] == PENDING:
                        row = cursor[s]
                        moment = (t, row + sym[s].bar_base, session[row], close_[row])
                        question = _try_entry(
                            sym,
                            doing,
                            r,
                            events,
                            s,
                            row,
                            open_[row],
                            high[row],
                            low[row],
                            moment,
                            last[row] != 0,
                        )
                        if question != DONE:
                            r.i = i
                            return question
                        r.nearest_known = 0
                        r.affordable_known = 0
            r.phase = 3
            r.i = 0

        for i in range(r.i, n):
            s = here[i]
            row = cursor[s]
            if next_signal[s] == row:
                y = sym[s]
                k = y.signal
                if doing[s] != OPEN:
                    if r.sizing == PRESIZED:
                        long, short = qty[k, 0], qty[k, 1]
                    elif r.size_known != 0:
                        long, short = r.size_long, r.size_short
                        r.size_known = 0
                    else:
                        long, short = _size(r, events, levels, k, y)
                        if long < 0.0 or short < 0.0:
                            r.ask_symbol = s
                            r.ask_row = row
                            r.ask_signal = k
                            r.i = i
                            return ASK_SIZE
                    if not arm(y, doing, r, s, t, session[row] + r.valid_sessions, levels[k], long, short):
                        _log(events, r, REJECTED, SIZE, s, 0, t, t)
                y.signal = k + 1
                next_signal[s] = signal_row[k + 1] if k + 1 < y.signal_end else NEVER
            if last[row] != 0 and doing[s] == PENDING and session[row] >= sym[s].p_expires:
                _drop(sym[s], doing, r, events, s, EXPIRED, VALIDITY_OVER, 0, t)
            if doing[s] == OPEN:
                sym[s].mark = close_[row]
            cursor[s] = row + 1
            clock[s] = ts[row + 1] if row + 1 < sym[s].end else NEVER

        if want_curve:
            unrealised = 0.0
            if r.open > 0:
                for s in range(n_symbols):
                    if doing[s] == OPEN:
                        y = sym[s]
                        unrealised += y.side * (y.qty * (y.mark - y.entry_price))
            j = r.curve
            curve_ts[j] = t
            curve_realised[j] = r.cash + r.carry
            curve_unrealised[j] = unrealised
            r.curve = j + 1
        r.phase = 0


def warm_up() -> None:
    """Load (or compile) everything that a run needs, on one empty run."""
    none_f, none_i = np.empty(0), np.empty(0, np.int64)
    run(
        none_i, none_f, none_f, none_f, none_f, np.empty(0, np.uint8), none_i,
        none_i, np.empty((0, 6)), np.empty((0, 2)),
        np.zeros(0, state.SYMBOL), np.empty(0, np.uint8), none_i, none_i, none_i, none_i,
        np.zeros(1, state.RUN), np.zeros(0, state.EVENT), none_i, none_f, none_f,
    )  # fmt: skip
