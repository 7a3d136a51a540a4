"""The replay's state and log as plain numpy records, shared by the compiled kernel and everything around it.

Times are int64 microseconds UTC. Row numbers index the bars of the current call; bar and session numbers
count per Symbol over all calls, so that a run can stop and go on.
"""

import zlib

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
PRESIZED, PCT, RISK, KELLY = 0, 1, 2, 3

# why the kernel stopped
DONE, ASK_NEAREST, ASK_AFFORDABLE, ASK_SIZE = 0, 1, 2, 3

SYMBOL = np.dtype(
    [
        # the instrument; a lot is lot_num / lot_den in lowest terms
        ("lot_num", "f8"),
        ("lot_den", "f8"),
        ("min_qty", "f8"),
        # this call's rows and signals: [start, end), and what to add to a row to number the bar
        ("end", "i8"),
        ("bar_base", "i8"),
        ("signal", "i8"),
        ("signal_end", "i8"),
        # pending setup; a quantity of 0 is an absent side, a NaN target none
        ("p_setup", "i8"),
        ("p_expires", "i8"),
        ("p_long", "f8"),
        ("p_long_sl", "f8"),
        ("p_long_tp", "f8"),
        ("p_long_qty", "f8"),
        ("p_short", "f8"),
        ("p_short_sl", "f8"),
        ("p_short_tp", "f8"),
        ("p_short_qty", "f8"),
        # open position
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
        ("mark", "f8"),
    ],
    align=True,
)

EVENT = np.dtype(
    [
        ("kind", "i8"),
        ("reason", "i8"),
        ("symbol", "i8"),
        ("side", "i8"),
        ("time", "i8"),
        ("setup", "i8"),
        ("qty", "f8"),
        ("raw", "f8"),  # before slippage
        ("slipped", "i8"),
        ("price", "f8"),
        ("fee", "f8"),
        # of exits: the trade as a whole
        ("entry_time", "i8"),
        ("entry_raw", "f8"),
        ("entry_price", "f8"),
        ("entry_fee", "f8"),
        ("pnl", "f8"),
        ("bars", "i8"),
    ],
    align=True,
)

# Compiled code keeps these numbers, and numba's disk cache does not see them change here. It does see dtypes:
# a field that carries their fingerprint makes other numbers another dtype, hence compiled anew.
_CODES = sorted((name, code) for name, code in globals().items() if name.isupper() and isinstance(code, int))
_FINGERPRINT = f"codes_{zlib.crc32(repr(_CODES).encode()):08x}"

RUN = np.dtype(
    [
        (_FINGERPRINT, "i8"),
        # settings
        ("slip", "f8"),
        ("fee", "f8"),
        ("leverage", "f8"),
        ("exit_at_session_end", "i8"),
        ("max_hold", "i8"),
        ("fill_order", "i8"),
        ("valid_sessions", "i8"),
        ("sizing", "i8"),
        ("sizing_equity", "f8"),
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
        ("open", "i8"),
        ("pending", "i8"),
        ("events", "i8"),
        ("closed", "i8"),
        # Kelly's risk per trade as of `kelly_at` closed trades; its error is infinite where only exact
        # arithmetic tells
        ("kelly_at", "i8"),
        ("kelly_pct", "f8"),
        ("kelly_error", "f8"),
        # where the run is: phase 0 = between timestamps, else the phase at the i-th of `here` Symbols
        ("phase", "i8"),
        ("here", "i8"),
        ("i", "i8"),
        ("time", "i8"),
        ("curve", "i8"),
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
