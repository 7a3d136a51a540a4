"""The pre-trade gates: thirteen pure functions in a fixed order, each leaving what it saw.

Comparisons are written so that a figure that is not a number refuses.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias
from zoneinfo import ZoneInfo

from trading.accounts import AccountConfig, SpendingWindow
from trading.orders.intents import OrderIntent
from trading.promotion.statistics import wilson_lower_bound
from trading.risk.gate_context import (
    BookResults,
    Exposure,
    Figure,
    GateContext,
    GateResult,
    SentOrder,
    TokenBucket,
    TradeCounts,
)

__all__ = [
    "GATES", "BookResults", "Exposure", "Figure", "Gate", "GateContext", "GateResult", "SentOrder", "TokenBucket",
    "TradeCounts", "evaluate", "refusal", "windows_at",
]  # fmt: skip

Gate: TypeAlias = Callable[[OrderIntent, AccountConfig, GateContext], GateResult]


def evaluate(intent: OrderIntent, account: AccountConfig, context: GateContext) -> list[GateResult]:
    """All gates in their order; the order may be sent only where every one has passed."""
    return [gate(intent, account, context) for gate in GATES]


def refusal(results: Sequence[GateResult]) -> GateResult | None:
    """The first gate that did not pass."""
    return next((result for result in results if not result.passed), None)


def kill_switch(_: OrderIntent, __: AccountConfig, context: GateContext) -> GateResult:
    code = "kill_switch" if context.switch_engaged else ""
    return _result("kill_switch", code, scope=context.switch_scope or None)


def account_ready(_: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    code = "" if context.mode_allowed else "mode_not_allowed"
    if not code and not context.reconciled:
        code = "not_reconciled"
    if not code and context.pauses:
        code = f"paused_{context.pauses[0]}"
    pauses = ", ".join(context.pauses) or None
    return _result("account", code, mode=account.mode, reconciled=context.reconciled, pauses=pauses)


def session_open(intent: OrderIntent, _: AccountConfig, context: GateContext) -> GateResult:
    code = ""
    if context.at < intent.valid_from:
        code = "not_yet_valid"
    elif context.at > intent.valid_to:
        code = "validity_over"
    elif context.at < context.session_open or context.at > context.session_close:
        code = "session_closed"
    return _result("session", code, at=context.at.isoformat(), valid_to=intent.valid_to.isoformat())


def duplicate(intent: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    window = account.limits.dedupe_seconds
    same_key = sum(o.idempotency_key == intent.idempotency_key for o in context.sent)
    same_order = sum(
        (o.side, o.entry) == (intent.side, intent.entry) and (context.at - o.at).total_seconds() < window
        for o in context.sent
    )
    code = "duplicate_key" if same_key else "duplicate_order" if same_order else ""
    return _result("duplicate", code, same_key=same_key, same_order=same_order, window_seconds=window)


def cooldown(intent: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    limit = account.limits.cooldown_minutes
    last = context.stop_outs.get((intent.variant, intent.symbol))
    since = None if last is None else (context.at - last).total_seconds() / 60
    code = "cooldown" if since is not None and since < limit else ""
    return _result("cooldown", code, minutes_since_stop_out=since, limit=limit)


def rate(_: OrderIntent, __: AccountConfig, context: GateContext) -> GateResult:
    figures = {f"tokens_per_{bucket.seconds:g}_s": bucket.left_at(context.at) for bucket in context.buckets}
    code = "rate_limit" if any(left < 1 for left in figures.values()) else ""
    return _result("rate", code, **figures)


def max_trades(_: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    limits, trades = account.limits, context.trades
    code = ""
    if trades.account >= limits.max_trades_account:
        code = "max_trades_account"
    elif trades.variant >= limits.max_trades_variant:
        code = "max_trades_variant"
    elif trades.symbol >= limits.max_trades_symbol:
        code = "max_trades_symbol"
    return _result("max_trades", code, account=trades.account, variant=trades.variant, symbol=trades.symbol)


def windows_at(account: AccountConfig, at: dt.datetime, timezone: ZoneInfo) -> list[SpendingWindow]:
    """The spending windows that hold ``at`` on the exchange's clock."""
    clock = at.astimezone(timezone).strftime("%H:%M")
    return [window for window in account.limits.spending_windows if window.start <= clock < window.end]


def spending(intent: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    """Every window that holds the moment must have room; the figures are of the one with the least."""
    windows = windows_at(account, context.at, context.timezone)
    if not windows:
        return _result("spending", "", window=None)
    tightest = min(windows, key=lambda window: window.max_notional - context.spent.get(window, 0.0))
    spent = context.spent.get(tightest, 0.0)
    code = "" if spent + intent.notional <= tightest.max_notional else "spending"
    name = f"{tightest.start}-{tightest.end}"
    return _result("spending", code, window=name, spent=spent, new=intent.notional, limit=tightest.max_notional)


def hard_stop(intent: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    limit = account.limits.hard_stop_pct
    risk = _percent(intent.risk, context.equity)
    code = "" if _within(risk, limit) else "hard_stop"
    if intent.stop != intent.stop:  # not a number: there is none
        code = "no_stop"
    return _result("hard_stop", code, risk_pct=risk, limit=limit, stop=intent.stop)


def expectancy(intent: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    """Reward and risk at the intent's levels; without a target, the book's own mean win and mean loss."""
    needed, results = account.limits.expectancy_min_trades, context.results
    if needed is None or results.trades < needed:
        return _result("expectancy", "", trades=results.trades, enforced_from=needed)
    if intent.target is None:
        reward, risk, costs = results.mean_win, results.mean_loss, 0.0
    else:
        reward, risk = abs(intent.target - intent.entry), abs(intent.entry - intent.stop)
        costs = intent.entry * context.costs_pct / 100
    share = wilson_lower_bound(results.wins, results.trades) or 0.0
    value = share * (reward - costs) - (1 - share) * (risk + costs)
    return _result(
        "expectancy", "" if value > 0 else "expectancy", trades=results.trades, win_rate_lower=share, reward=reward,
        risk=risk, costs=costs, expectancy=value,
    )  # fmt: skip


def kelly(intent: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    """With fewer closed trades than ``min_trades`` Kelly's fraction is not known, and the hard stop alone holds."""
    cap, results = account.limits.kelly, context.results
    if cap is None or results.trades < cap.min_trades:
        needed = None if cap is None else cap.min_trades
        return _result("kelly", "", trades=results.trades, enforced_from=needed)
    full = kelly_share(results)
    limit = min(cap.max_pct, max(cap.min_pct, 100 * cap.fraction * full)) if full > 0 else 0.0
    risk = _percent(intent.risk, context.equity)
    code = "" if _within(risk, limit) else "kelly"
    return _result("kelly", code, risk_pct=risk, limit=limit, kelly=full, trades=results.trades)


def kelly_share(results: BookResults) -> float:
    """Kelly's fraction of equity to risk, ``W - (1 - W) / R`` with R = mean win / mean loss; 0.0 without wins.

    Kelly, J. L. (1956), A new interpretation of information rate, Bell System Technical Journal 35(4), 917-926.
    """
    if not results.wins:
        return 0.0
    share = results.wins / results.trades
    return share if results.mean_loss == 0 else share - (1 - share) * results.mean_loss / results.mean_win


def exposure(intent: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    """The new order counts as filled, and so does every working one where that makes it worse.

    Of a setup's two sides one can fill, so the larger counts, and the other side of the new order not at all.
    """
    limits, equity = account.limits, context.account_equity
    pending = [order for order in context.pending if order.oco_id != intent.oco_id]
    new = Exposure(intent.variant, intent.symbol, intent.side, intent.notional)
    taken = [*context.held, new]
    figures = {
        "symbol_pct": _percent(_net(_of_symbol(taken, intent), _of_symbol(pending, intent)), equity),
        "gross_pct": _percent(_gross(taken, pending), equity),
        "net_pct": _percent(_net(taken, pending), equity),
        "leverage": _ratio(_gross(_of_variant(taken, intent), _of_variant(pending, intent)), context.equity),
    }
    bounds = {
        "symbol_pct": limits.max_symbol_pct,
        "gross_pct": limits.max_gross_pct,
        "net_pct": limits.max_net_pct,
        "leverage": limits.max_leverage,
    }
    broken = next((name for name, value in figures.items() if not _within(value, bounds[name])), None)
    return _result("exposure", f"exposure_{broken}" if broken else "", **figures)


def price_sanity(intent: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    limits = account.limits
    if context.last_price is None or context.last_price_at is None or not context.last_price > 0:
        return _result("price", "no_price", entry=intent.entry)
    away = abs(intent.entry - context.last_price) / context.last_price * 100
    age = (context.at - context.last_price_at).total_seconds()
    code = ""
    if not 0 <= age <= limits.max_price_age_seconds:
        code = "stale_price"
    elif not away <= limits.max_price_deviation_pct:
        code = "price_deviation"
    return _result("price", code, entry=intent.entry, last=context.last_price, deviation_pct=away, age_seconds=age)


GATES: tuple[Gate, ...] = (
    kill_switch, account_ready, session_open, duplicate, cooldown, rate, max_trades, spending, hard_stop, expectancy,
    kelly, exposure, price_sanity,
)  # fmt: skip


def _result(name: str, code: str, **figures: Figure) -> GateResult:
    return GateResult(name, not code, code or "passed", figures)


def _ratio(amount: float, whole: float) -> float | None:
    """None where there is nothing to take a share of, which no limit admits."""
    return amount / whole if whole > 0 else None


def _percent(amount: float, whole: float) -> float | None:
    return _ratio(100 * amount, whole)


def _within(value: float | None, limit: float) -> bool:
    return value is not None and value <= limit


def _of_symbol(items: Iterable[Exposure], intent: OrderIntent) -> list[Exposure]:
    return [item for item in items if item.symbol == intent.symbol]


def _of_variant(items: Iterable[Exposure], intent: OrderIntent) -> list[Exposure]:
    return [item for item in items if item.variant == intent.variant]


def _gross(taken: Iterable[Exposure], pending: Iterable[Exposure]) -> float:
    return sum(item.notional for item in taken) + sum(_largest(pending).values())


def _net(taken: Iterable[Exposure], pending: Sequence[Exposure]) -> float:
    """The farthest from 0 that the net can come, whichever of the working orders fill."""
    net = sum(item.side * item.notional for item in taken)
    up = sum(_largest(item for item in pending if item.side > 0).values())
    down = sum(_largest(item for item in pending if item.side < 0).values())
    return max(abs(net + up), abs(net - down))


def _largest(pending: Iterable[Exposure]) -> dict[object, float]:
    """Largest notional of each setup; an order without ``oco_id`` is one of its own."""
    largest: dict[object, float] = {}
    for number, item in enumerate(pending):
        setup = item.oco_id or number
        largest[setup] = max(largest.get(setup, 0.0), item.notional)
    return largest
