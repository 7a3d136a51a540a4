"""The equity curve of a run, compiled: open positions marked at Close, equity and drawdown along it."""

from typing import Any

from trading.replay import state
from trading.replay.compiled import bare, compiled, prefetch
from trading.replay.kernel import step_of

END = state.END
SYMBOL, SIDE, REASON, BARS, ENTRY_BAR = state.T_SYMBOL, state.T_SIDE, state.T_REASON, state.T_BARS, state.T_ENTRY_BAR
QTY, ENTRY_PRICE = state.T_QTY, state.T_ENTRY_PRICE
_SOON = 8  # trades; what memory takes to answer


@compiled
def mark(market: Any, sym: Any, log: Any, closed: int, curve: Any, begin: int, end: int) -> None:
    """Add the unrealised pnl of all positions, each to before its exit, to the curve's points [begin, end).

    In order of exit, so that every point is the same sum however the points are shared out. The last point is after the
    closing of what was open in the end.
    """
    close, unrealised = bare(market.close), bare(curve.unrealised)
    length = unrealised.shape[0]
    for i in range(closed):
        if i + _SOON < closed:
            soon = log.whole[ENTRY_BAR, i + _SOON] - sym[log.whole[SYMBOL, i + _SOON]].bar_base
            prefetch(close, soon)
            prefetch(close, soon + 8)
        y = sym[log.whole[SYMBOL, i]]
        row = log.whole[ENTRY_BAR, i] - y.bar_base
        t = step_of(market, y, row)
        if t >= end:
            continue
        exit_at = row + log.whole[BARS, i] - 1
        until = length - 1 if log.whole[REASON, i] == END else step_of(market, y, exit_at)
        if until <= begin:
            continue
        until = min(until, end)
        side, qty, price = log.whole[SIDE, i], log.money[QTY, i], log.money[ENTRY_PRICE, i]
        if row + until - t < y.end and step_of(market, y, row + until - t) == until:
            # no timestamp without a bar of the Symbol
            skipped = max(begin - t, 0)
            for j in range(skipped, until - t):
                unrealised[t + j] += side * (qty * (close[row + j] - price))
            continue
        while t < until:
            following = min(until, step_of(market, y, row + 1)) if row + 1 < y.end else until
            value = side * (qty * (close[row] - price))
            for j in range(max(t, begin), following):
                unrealised[j] += value
            t = following
            row += 1


@compiled
def max_drawdown(curve: Any, spans: int, cash: float) -> float:
    """Greatest 1 - equity / (highest equity so far), from `cash` on."""
    worst = 0.0
    peak = cash
    for k in range(spans):
        for t in range(curve.spans[0, k], curve.spans[1, k]):
            equity = curve.realised[t] + curve.unrealised[t]
            if equity >= peak:
                peak = equity
            else:
                worst = max(worst, 1.0 - equity / peak)
    return worst


@compiled
def equity_at(curve: Any, spans: int, cash: float, steps: Any, out: Any) -> None:
    """Equity at the timestamps of these indices, which ascend; `cash` is there before the first span."""
    k = 0
    equity = cash
    for i in range(steps.shape[0]):
        t = steps[i]
        while k < spans and curve.spans[1, k] <= t:
            last = curve.spans[1, k] - 1
            equity = curve.realised[last] + curve.unrealised[last]
            k += 1
        if k < spans and curve.spans[0, k] <= t:
            out[i] = curve.realised[t] + curve.unrealised[t]
        else:
            out[i] = equity


@compiled
def complete(curve: Any, spans: int, cash: float) -> None:
    """Fill in the realised equity between the spans."""
    at = 0
    for k in range(spans):
        curve.realised[at : curve.spans[0, k]] = cash
        at = curve.spans[1, k]
        cash = curve.realised[at - 1]
    curve.realised[at:] = cash


@compiled
def draw(curve: Any, equity: Any, drawdown: Any) -> None:
    """Equity, and 1 - equity / (highest equity so far), of a curve that is complete."""
    peak = curve.realised[0] + curve.unrealised[0] if equity.shape[0] > 0 else 0.0
    for t in range(equity.shape[0]):
        equity[t] = curve.realised[t] + curve.unrealised[t]
        peak = max(peak, equity[t])
        drawdown[t] = 1.0 - equity[t] / peak


@compiled
def clear(curve: Any, spans: int) -> None:
    """Make the curve fit for another run."""
    for k in range(spans):
        curve.unrealised[curve.spans[0, k] : curve.spans[1, k]] = 0.0
