"""Rows of frames from the log of a run, compiled."""

from typing import Any

from trading.replay import state
from trading.replay.compiled import compiled

ENTRY, EXIT, FILLED = state.ENTRY, state.EXIT, state.FILLED
SYMBOL, SIDE, SETUP, ENTRY_TIME, EXIT_TIME, REASON, BARS, ENTRY_NUMBER = (
    state.T_SYMBOL, state.T_SIDE, state.T_SETUP, state.T_ENTRY_TIME, state.T_EXIT_TIME, state.T_REASON, state.T_BARS,
    state.T_ENTRY,
)  # fmt: skip
QTY, ENTRY_PRICE, ENTRY_FEE, EXIT_PRICE, EXIT_FEE, PNL = (
    state.T_QTY, state.T_ENTRY_PRICE, state.T_ENTRY_FEE, state.T_EXIT_PRICE, state.T_EXIT_FEE, state.T_PNL,
)  # fmt: skip


@compiled
def exit_order(times: Any, symbol: Any, out: Any) -> None:
    """Fill `out` with the permutation that sorts nearly sorted (time, Symbol) pairs."""
    for i in range(times.shape[0]):
        j = i
        while j > 0:
            k = out[j - 1]
            if times[k] < times[i] or (times[k] == times[i] and symbol[k] <= symbol[i]):
                break
            out[j] = k
            j -= 1
        out[j] = i


@compiled
def lay_out_trades(
    log: Any, order: Any, symbol: Any, setup: Any, side: Any, qty: Any, entry_time: Any, entry_price: Any, exit_time: Any,
    exit_price: Any, reason: Any, fees: Any, pnl: Any, bars: Any,
) -> None:  # fmt: skip
    """Fill columns with closed trades in that order; `symbol` and `reason` as in :func:`lay_out_fills`."""
    whole, money = log.whole, log.money
    for n in range(order.shape[0]):
        i = order[n]
        symbol[n], side[n], reason[n], bars[n] = whole[SYMBOL, i], whole[SIDE, i], whole[REASON, i], whole[BARS, i]
        setup[n], entry_time[n], exit_time[n] = whole[SETUP, i], whole[ENTRY_TIME, i], whole[EXIT_TIME, i]
        qty[n], entry_price[n], exit_price[n] = money[QTY, i], money[ENTRY_PRICE, i], money[EXIT_PRICE, i]
        fees[n], pnl[n] = money[ENTRY_FEE, i] + money[EXIT_FEE, i], money[PNL, i]


@compiled
def lay_out_fills(
    log: Any, told: int, trade: Any, symbol: Any, setup: Any, time: Any, is_exit: Any, side: Any, qty: Any, price: Any,
    fee: Any, reason: Any,
) -> None:  # fmt: skip
    """Fill columns with each trade's entry and exit, in the order in which they came.

    Args:
        told: length of `log.order`.
        trade: room for a number a trade.
        symbol: index of the Symbol; `reason`: a code of `state.REASONS`.
    """
    whole, money = log.whole, log.money
    for i in range(trade.shape[0]):
        trade[whole[ENTRY_NUMBER, i]] = i
    entries = exits = n = 0
    for at in range(told):
        kind = log.order[at]
        if kind == ENTRY:
            i = trade[entries]
            entries += 1
            time[n], price[n], fee[n] = whole[ENTRY_TIME, i], money[ENTRY_PRICE, i], money[ENTRY_FEE, i]
            is_exit[n], reason[n] = 0, FILLED
        elif kind == EXIT:
            i = exits
            exits += 1
            time[n], price[n], fee[n] = whole[EXIT_TIME, i], money[EXIT_PRICE, i], money[EXIT_FEE, i]
            is_exit[n], reason[n] = 1, whole[REASON, i]
        else:
            continue
        symbol[n], side[n], setup[n], qty[n] = whole[SYMBOL, i], whole[SIDE, i], whole[SETUP, i], money[QTY, i]
        n += 1
