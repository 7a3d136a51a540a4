"""The replay's state and log as plain numpy records, shared by the compiled kernel and everything around it.

Times are int64 microseconds UTC. Row numbers index the bars of the current call; bar and session numbers
count per Symbol over all calls, so that a run can stop and go on.
"""

import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

NEVER = np.iinfo(np.int64).max

# what a Symbol is doing (codes of the `doing` array)
FLAT, PENDING, OPEN = 0, 1, 2

# what came first inside a bar, see fill_order.py
PESSIMISTIC, OPTIMISTIC, NEAREST_TO_OPEN = 0, 1, 2

# kinds of log rows
ENTRY, EXIT, REJECTED, EXPIRED = 1, 2, 3, 4

# reasons of log rows
SL, TP, EOD, TIME, END, FLATTENED = 1, 2, 3, 4, 5, 6
AMBIGUOUS, GAP_TARGET, GAP_STOP, BUYING_POWER, SIZE = 11, 12, 13, 14, 15
VALIDITY_OVER, FILLED = 21, 22
REASONS = {
    SL: "sl",
    TP: "tp",
    EOD: "eod",
    TIME: "time",
    END: "end",
    FLATTENED: "flatten",
    AMBIGUOUS: "ambiguous",
    GAP_TARGET: "gap_through_target",
    GAP_STOP: "gap_through_stop",
    BUYING_POWER: "buying_power",
    SIZE: "size",
    VALIDITY_OVER: "expired",
    FILLED: "entry",
}

# sizing modes
FIXED, PCT, RISK, KELLY = 0, 1, 2, 3

# why the kernel stopped
DONE, ASK_NEAREST, ASK_AFFORDABLE, ASK_SIZE = 0, 1, 2, 3

SYMBOL = np.dtype(
    [
        # the instrument; a lot is lot_num / lot_den, a tick tick_num / tick_den, in lowest terms
        ("lot_num", "f8"),
        ("lot_den", "f8"),
        ("tick_num", "f8"),
        ("tick_den", "f8"),
        ("min_qty", "f8"),
        # lots by the equity that sizing starts from: risk_num / risk_den over a stop distance in ticks, cap_num / cap_den
        # over an entry in ticks, in lowest terms; 0 / 0 where these are no whole numbers to a float
        ("risk_num", "f8"),
        ("risk_den", "f8"),
        ("cap_num", "f8"),
        ("cap_den", "f8"),
        # this call's rows and signals: [start, end), and what to add to a row to number the bar
        ("end", "i8"),
        ("bar_base", "i8"),
        ("signal", "i8"),
        ("signal_end", "i8"),
        # this call's sessions: [first, end) in the table of last rows, the one the Symbol is in, the first one's number
        ("session", "i8"),
        ("session_first", "i8"),
        ("session_end", "i8"),
        ("session_base", "i8"),
        # the next row on which something happens, what to add to a row for its place in Market.step, and the next Symbol
        # in the queue at the same timestamp
        ("row", "i8"),
        ("shift", "i8"),
        ("next", "i8"),
        # which of this call's signals the pending setup, or the position, came of; -1 = it came of none of them
        ("armed", "i8"),
        # pending setup; a quantity of 0 is an absent side, a NaN target none; p_last = row after which it is over
        ("p_setup", "i8"),
        ("p_expires", "i8"),
        ("p_last", "i8"),
        ("p_long", "f8"),
        ("p_long_sl", "f8"),
        ("p_long_tp", "f8"),
        ("p_long_qty", "f8"),
        ("p_short", "f8"),
        ("p_short_sl", "f8"),
        ("p_short_tp", "f8"),
        ("p_short_qty", "f8"),
        # open position; `entry` is the number of its entry in this call's log, -1 = it was opened before
        ("side", "i8"),
        ("qty", "f8"),
        ("sl", "f8"),
        ("tp", "f8"),
        ("setup", "i8"),
        ("entry_time", "i8"),
        ("entry_raw", "f8"),
        ("entry_price", "f8"),
        ("entry_fee", "f8"),
        ("entry_bar", "i8"),
        ("entry_session", "i8"),
        ("entry", "i8"),
    ],
    align=True,
)

# rows of Log.whole and Log.money, one column a closed trade, in order of exit; of Log.drops, one column a dropped setup
T_SYMBOL, T_SIDE, T_SETUP, T_ENTRY_TIME, T_EXIT_TIME, T_REASON, T_BARS, T_ENTRY, T_ENTRY_BAR = range(9)
T_QTY, T_ENTRY_RAW, T_ENTRY_PRICE, T_ENTRY_FEE, T_EXIT_RAW, T_EXIT_PRICE, T_EXIT_FEE, T_PNL = range(8)
D_KIND, D_REASON, D_SYMBOL, D_SIDE, D_TIME, D_SETUP = range(6)
# columns of what was looked up ahead for a signal: the next row on which something happens to its Symbol once it is armed, and
# what the Symbol does until then; the next row after that if the row is a long entry, or a short one
A_ROW, A_DOING, A_LONG_ROW, A_SHORT_ROW = range(4)
UNKNOWN = -1


class Market(NamedTuple):
    """Bars as flat arrays of n rows, Symbol after Symbol, ascending in time; read-only.

    Attributes:
        grid: (t,) int64 microseconds UTC, the distinct timestamps, ascending.
        step: int32, ``step[row + shift]`` is the index in ``grid`` of a Symbol's row; Symbols with the same timestamps
            share one stretch of it. Empty where all Symbols have all timestamps: the index is row + shift.
        session_last: int64, a Symbol's last rows of its sessions, Symbol after Symbol; NEVER = not there yet.
    """

    open: Any
    high: Any
    low: Any
    close: Any
    grid: Any
    step: Any
    session_last: Any


class Log(NamedTuple):
    """What happened: closed trades, dropped setups, and in ``order`` the kinds (uint8) of all events as they came."""

    whole: Any
    money: Any
    drops: Any
    order: Any


class Queue(NamedTuple):
    """Symbols by the timestamp of their next event: a bit of ``busy`` says whether there is one, ``head`` (t,) the first."""

    busy: Any
    head: Any
    here: Any


class Curve(NamedTuple):
    """Per distinct timestamp: realised equity, unrealised pnl at Close; currency. Empty = not asked for.

    A run fills them in where equity moves: within ``spans``, (2, n) int64, first and past the last index of stretches in
    which something was held. Before the first span equity is the initial cash, after one what it was in the end.
    """

    realised: Any
    unrealised: Any
    spans: Any


def fingerprint() -> str:
    """Of the numbers above and of the compiled modules' source.

    Compiled code keeps those numbers, and numba's disk cache does not see them change here, nor a function that was
    called from another file. It does see dtypes: a field that carries this makes other code another dtype, hence
    compiled anew.
    """
    codes = sorted((name, code) for name, code in globals().items() if name.isupper() and isinstance(code, int))
    folder = Path(__file__).parent
    source = b"".join(
        (folder / f"{name}.py").read_bytes()
        for name in (
            *("compiled", "passes", "quantities", "rules", "kernel", "lookahead", "curve", "layout"),
            *("figures", "single_symbol"),
        )
    )
    return f"code_{zlib.crc32(repr(codes).encode() + source):08x}"


RUN = np.dtype(
    [
        (fingerprint(), "i8"),
        # settings
        ("slip", "f8"),
        ("fee", "f8"),
        ("leverage", "f8"),
        ("exit_at_session_end", "i8"),
        ("max_hold", "i8"),
        ("fill_order", "i8"),
        ("valid_sessions", "i8"),
        ("tell_expired", "i8"),
        ("sizing", "i8"),
        ("sizing_equity", "f8"),
        ("fixed_qty", "f8"),
        ("pct", "f8"),
        ("max_pos_pct", "f8"),
        ("kelly_lookback", "i8"),
        ("kelly_min_trades", "i8"),
        ("kelly_fraction", "f8"),
        ("kelly_min_pct", "f8"),
        ("kelly_max_pct", "f8"),
        # realised equity as cash + carry (compensated sum), and a bound of its distance from the exact one
        ("cash", "f8"),
        ("carry", "f8"),
        ("cash_error", "f8"),
        # sum of qty * entry fill over the open positions, and a bound of its error
        ("notional", "f8"),
        ("notional_error", "f8"),
        ("open", "i8"),
        # lengths of the log
        ("entries", "i8"),
        ("closed", "i8"),
        ("drops", "i8"),
        ("order", "i8"),
        # Kelly's risk per trade as of `kelly_at` closed trades; its error is infinite where only exact
        # arithmetic tells
        ("kelly_at", "i8"),
        ("kelly_pct", "f8"),
        ("kelly_error", "f8"),
        # where the run is: phase 0 = between timestamps, else the phase at the i-th of `here` Symbols; `filled`: the
        # curve's next point to make in a span; `fills`: as of the timestamp before
        ("phase", "i8"),
        ("here", "i8"),
        ("i", "i8"),
        ("t", "i8"),
        ("time", "i8"),
        ("filled", "i8"),
        ("spans", "i8"),
        ("in_span", "i8"),
        ("fills", "i8"),
        # a question put to exact arithmetic, and its answers
        ("ask_symbol", "i8"),
        ("ask_row", "i8"),
        ("ask_signal", "i8"),
        ("ask_side", "i8"),
        ("ask_price", "f8"),
        ("nearest_known", "i8"),
        ("nearest", "i8"),
        ("affordable_known", "i8"),
        ("affordable", "f8"),
        ("size_known", "i8"),
        ("size_long", "f8"),
        ("size_short", "f8"),
    ],
    align=True,
)
