"""The pre-trade gates: thirteen pure functions in a fixed order, each leaving what it saw."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from zoneinfo import ZoneInfo

from trading.accounts import AccountConfig, SpendingWindow
from trading.orders.intents import OrderIntent
from trading.promotion.statistics import wilson_lower_bound

Figure: TypeAlias = float | int | str | bool | None


@dataclass(frozen=True)
class GateResult:
    """A gate's answer: ``code`` is ``passed`` or the reason, ``figures`` what it compared."""

    name: str
    passed: bool
    code: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Exposure:
    """Money at stake in one order or position of the account: ``notional`` = quantity times price, unsigned."""

    variant: str
    symbol: str
    side: int
    notional: float


@dataclass(frozen=True)
class SentOrder:
    """An entry order that was sent, whatever became of it."""

    idempotency_key: str
    side: int
    entry: float
    at: dt.datetime


@dataclass(frozen=True)
class TradeCounts:
    """Entries filled in the session: of the account, of the book, of the book in the intent's Symbol."""

    account: int = 0
    variant: int = 0
    symbol: int = 0


@dataclass(frozen=True)
class TokenBucket:
    """A bucket of ``size`` tokens that refills evenly in ``seconds``; ``left`` as of ``at``."""

    size: int
    seconds: float
    left: float
    at: dt.datetime | None = None

    def left_at(self, at: dt.datetime) -> float:
        if self.at is None:
            return self.left
        return min(float(self.size), self.left + (at - self.at).total_seconds() * self.size / self.seconds)

    def take(self, at: dt.datetime) -> "TokenBucket":
        """One token less, never under 0."""
        return TokenBucket(self.size, self.seconds, max(0.0, self.left_at(at) - 1), at)


@dataclass(frozen=True)
class BookResults:
    """Closed trades of a book: counts, and means as multiples of currency (``mean_loss`` positive), after costs."""

    trades: int = 0
    wins: int = 0
    mean_win: float = 0.0
    mean_loss: float = 0.0


@dataclass(frozen=True)
class GateContext:
    """What the gates see at one instant.

    Attributes:
        at: now, UTC.
        switch_engaged, switch_scope: kill switch for the book; unreadable counts as engaged.
        reconciled: whether the last comparison of broker and ledger was clean.
        mode_allowed: whether the account may send in its mode.
        session_open, session_close: of the session now, UTC.
        timezone: of the exchange.
        equity, account_equity: of the book and of all books, currency, open positions marked.
        sent: entries of the book in the intent's Symbol, of the session.
        trades: entries filled in the session.
        buckets: the account's orders per second and per minute.
        spent: new notional sent so far in each spending window of today, by window.
        held: open positions of the account.
        stop_outs: last stop-out per (variant, Symbol).
        last_price, last_price_at: of the intent's Symbol; None = no price.
        results: closed trades of the book.
        costs_pct: round-trip costs, percent of notional.
    """

    at: dt.datetime
    switch_engaged: bool
    switch_scope: str
    reconciled: bool
    mode_allowed: bool
    session_open: dt.datetime
    session_close: dt.datetime
    timezone: ZoneInfo
    equity: float
    account_equity: float
    sent: Sequence[SentOrder]
    trades: TradeCounts
    buckets: Sequence[TokenBucket]
    spent: Mapping[SpendingWindow, float]
    held: Sequence[Exposure]
    stop_outs: Mapping[tuple[str, str], dt.datetime]
    last_price: float | None
    last_price_at: dt.datetime | None
    results: BookResults = BookResults()
    costs_pct: float = 0.0


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
    return _result("account", code, mode=account.mode, reconciled=context.reconciled)


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


def window_at(account: AccountConfig, at: dt.datetime, timezone: ZoneInfo) -> SpendingWindow | None:
    """The first spending window that holds ``at`` on the exchange's clock."""
    clock = at.astimezone(timezone).strftime("%H:%M")
    return next((w for w in account.limits.spending_windows if w.start <= clock < w.end), None)


def spending(intent: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    window = window_at(account, context.at, context.timezone)
    if window is None:
        return _result("spending", "", window=None)
    spent = context.spent.get(window, 0.0)
    code = "spending" if spent + intent.notional > window.max_notional else ""
    name = f"{window.start}-{window.end}"
    return _result("spending", code, window=name, spent=spent, new=intent.notional, limit=window.max_notional)


def hard_stop(intent: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    limit = account.limits.hard_stop_pct
    risk = _percent(intent.risk, context.equity)
    code = "hard_stop" if risk is None or risk > limit else ""
    return _result("hard_stop", code, risk_pct=risk, limit=limit, stop=intent.stop)


def expectancy(intent: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    needed, results = account.limits.expectancy_min_trades, context.results
    if needed is None or results.trades < needed or intent.target is None:
        return _result("expectancy", "", trades=results.trades, enforced_from=needed)
    reward, risk = abs(intent.target - intent.entry), abs(intent.entry - intent.stop)
    costs = intent.entry * context.costs_pct / 100
    share = wilson_lower_bound(results.wins, results.trades) or 0.0
    value = share * (reward - costs) - (1 - share) * (risk + costs)
    return _result(
        "expectancy", "" if value > 0 else "expectancy", win_rate_lower=share, reward=reward, risk=risk, costs=costs,
        expectancy=value,
    )  # fmt: skip


def kelly(intent: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    cap, results = account.limits.kelly, context.results
    if cap is None:
        return _result("kelly", "", enforced=False)
    share = results.wins / results.trades if results.trades else 0.0
    full = 0.0
    if results.wins:
        full = share if results.mean_loss == 0 else share - (1 - share) * results.mean_loss / results.mean_win
    limit = min(cap.max_pct, max(cap.min_pct, 100 * cap.fraction * full))
    if results.trades and full <= 0:
        limit = 0.0
    risk = _percent(intent.risk, context.equity)
    code = "kelly" if risk is None or risk > limit else ""
    return _result("kelly", code, risk_pct=risk, limit=limit, kelly=full, trades=results.trades)


def exposure(intent: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    """The new order counts as filled. Working orders do not count: the broker cuts their fills to buying power."""
    limits, signed = account.limits, intent.side * intent.notional
    symbol = abs(sum(e.side * e.notional for e in context.held if e.symbol == intent.symbol) + signed)
    gross = sum(e.notional for e in context.held) + intent.notional
    net = abs(sum(e.side * e.notional for e in context.held) + signed)
    book = sum(e.notional for e in context.held if e.variant == intent.variant) + intent.notional
    equity = context.account_equity
    figures = {
        "symbol_pct": _percent(symbol, equity),
        "gross_pct": _percent(gross, equity),
        "net_pct": _percent(net, equity),
        "leverage": book / context.equity if context.equity > 0 else None,
    }
    bounds = {
        "symbol_pct": limits.max_symbol_pct,
        "gross_pct": limits.max_gross_pct,
        "net_pct": limits.max_net_pct,
        "leverage": limits.max_leverage,
    }
    broken = next((name for name, value in figures.items() if value is None or value > bounds[name]), None)
    return _result("exposure", f"exposure_{broken}" if broken else "", **figures)


def price_sanity(intent: OrderIntent, account: AccountConfig, context: GateContext) -> GateResult:
    limits = account.limits
    if context.last_price is None or context.last_price_at is None or context.last_price <= 0:
        return _result("price", "no_price", entry=intent.entry)
    away = abs(intent.entry - context.last_price) / context.last_price * 100
    age = (context.at - context.last_price_at).total_seconds()
    code = ""
    if age < 0 or age > limits.max_price_age_seconds:
        code = "stale_price"
    elif away > limits.max_price_deviation_pct:
        code = "price_deviation"
    return _result("price", code, entry=intent.entry, last=context.last_price, deviation_pct=away, age_seconds=age)


GATES: tuple[Gate, ...] = (
    kill_switch, account_ready, session_open, duplicate, cooldown, rate, max_trades, spending, hard_stop, expectancy,
    kelly, exposure, price_sanity,
)  # fmt: skip


def _result(name: str, code: str, **figures: Figure) -> GateResult:
    return GateResult(name, not code, code or "passed", figures)


def _percent(amount: float, whole: float) -> float | None:
    """None where there is nothing to take a share of, which no limit admits."""
    return 100 * amount / whole if whole > 0 else None
