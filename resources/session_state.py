"""What the router remembers of a session while it plays it; rebuilt from the ledger at every start."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from resources.ledger import Fill, Ledger, OpenPosition
from trading.accounts import AccountConfig, SpendingWindow
from trading.orders.intents import OrderIntent, TradedVariant
from trading.orders.lifecycle import OrderState
from trading.ports.broker import AccountValues
from trading.risk.breakers import BookWorth
from trading.risk.gates import (
    BookResults,
    Exposure,
    GateContext,
    SentOrder,
    TokenBucket,
    TradeCounts,
    windows_at,
)
from trading.sessions import SessionCalendar


@dataclass
class SessionState:
    """Figures of one account in one session, for gates, breakers and worth.

    Attributes:
        states: current state of every intent of the session, by idempotency key.
        entries: open positions by order_ref, as the ledger has them; shared with the intake, which keeps them.
        results: realised so far of positions that are not closed, by order_ref.
        entered: order_refs of entries that were filled, wholly or in part, in this session.
        start_equity: by variant, of the session's start.
        pnls: of closed trades by variant, with the session of the exit, oldest first.
        working: entries that may still fill, by idempotency key, of earlier sessions too.
    """

    account: AccountConfig
    session: dt.date
    calendar: SessionCalendar
    variants: Mapping[str, TradedVariant]
    states: dict[str, OrderState]
    entries: dict[str, OpenPosition]
    start_equity: dict[str, float]
    peaks: dict[str, float]
    buckets: list[TokenBucket]
    bar_length: dict[str, dt.timedelta]
    sent: dict[tuple[str, str], list[SentOrder]] = field(default_factory=dict)
    spent: dict[SpendingWindow, float] = field(default_factory=dict)
    trades: Counter[tuple[str, ...]] = field(default_factory=Counter)
    stop_outs: dict[tuple[str, str], dt.datetime] = field(default_factory=dict)
    pnls: dict[str, list[tuple[dt.date, float]]] = field(default_factory=dict)
    working: dict[str, OrderIntent] = field(default_factory=dict)
    results: dict[str, float] = field(default_factory=dict)
    entered: set[str] = field(default_factory=set)
    exits: Counter[str] = field(default_factory=Counter)

    @classmethod
    def load(
        cls,
        ledger: Ledger,
        account: AccountConfig,
        session: dt.date,
        calendar: SessionCalendar,
        variants: Mapping[str, TradedVariant],
        bar_length: dict[str, dt.timedelta],
        entries: dict[str, OpenPosition],
    ) -> "SessionState":
        """As the ledger has it now; ``entries`` are its open positions."""
        limits = account.limits
        last = {name: ledger.last_worth(account.name, name, session) for name in variants}
        found = cls(
            account=account,
            session=session,
            calendar=calendar,
            variants=variants,
            states={key: state for key, (_, state) in ledger.states(account.name, session).items()},
            entries=entries,
            start_equity={
                name: account.variants[name].capital if worth is None else worth.equity for name, worth in last.items()
            },
            peaks={
                name: account.variants[name].capital if worth is None else worth.peak for name, worth in last.items()
            },
            buckets=[
                TokenBucket(limits.orders_per_second, 1.0, float(limits.orders_per_second)),
                TokenBucket(limits.orders_per_minute, 60.0, float(limits.orders_per_minute)),
            ],
            bar_length=bar_length,
        )
        for intent in ledger.submitted(account.name, session):
            found.note_sent(intent)
        for intent, _ in ledger.open_intents(account.name):
            found.working[intent.idempotency_key] = intent
        fills = ledger.fills(account.name)
        last_of = {fill.order_ref: fill for fill in fills}
        for fill in fills:
            found.note_fill(fill, closing=fill is last_of[fill.order_ref] and fill.order_ref not in found.entries)
        return found

    def note_sent(self, intent: OrderIntent) -> None:
        """Count an entry that is about to be sent, at the moment its validity began."""
        at = intent.valid_from
        order = SentOrder(intent.idempotency_key, intent.side, intent.entry, at)
        self.sent.setdefault((intent.variant, intent.symbol), []).append(order)
        self.buckets = [bucket.take(at) for bucket in self.buckets]
        for window in windows_at(self.account, at, self.calendar.timezone):
            self.spent[window] = self.spent.get(window, 0.0) + intent.notional

    def note_state(self, intent: OrderIntent, state: OrderState) -> None:
        """Keep in step with what was recorded of an order."""
        if intent.session == self.session:
            self.states[intent.idempotency_key] = state
        if state.is_working:
            self.working[intent.idempotency_key] = intent
        else:
            self.working.pop(intent.idempotency_key, None)

    def note_fill(self, fill: Fill, *, closing: bool | None = None) -> None:
        """Count a recorded fill; those of earlier sessions for the results of the book only.

        Args:
            closing: whether it closed its position; None = where nothing is held any more.
        """
        today, ref = fill.session == self.session, fill.order_ref
        self.results[ref] = self.results.get(ref, 0.0) + fill.realised
        if fill.leg == "entry":
            if today and ref not in self.entered:
                self.entered.add(ref)
                self.trades.update([(), (fill.variant,), (fill.variant, fill.symbol)])
            return
        if closing is False or (closing is None and ref in self.entries):
            return
        self.pnls.setdefault(fill.variant, []).append((fill.session, self.results.pop(ref)))
        if today:
            self.exits[fill.variant] += 1
            if fill.reason == "sl":
                self.stop_outs[fill.variant, fill.symbol] = fill.at + self.bar_length.get(fill.variant, dt.timedelta(0))

    def pnls_since(self, variant: str, session: dt.date) -> list[float]:
        """Of the trades that the book closed in sessions after ``session``, oldest first."""
        return [pnl for closed, pnl in self.pnls.get(variant, []) if closed > session]

    def books(self, values: list[AccountValues]) -> dict[str, BookWorth]:
        """Worth of every book now, for the breakers."""
        return {
            value.variant: BookWorth(
                self.account.variants[value.variant].capital, self.start_equity[value.variant], value.equity
            )
            for value in values
            if value.variant in self.start_equity
        }

    def context(
        self,
        intent: OrderIntent,
        at: dt.datetime,
        *,
        switch_scope: str | None,
        reconciled: bool,
        mode_allowed: bool,
        equity: Mapping[str, float],
        last_price: float | None,
        pauses: Sequence[str] = (),
    ) -> GateContext:
        """What the gates see for ``intent``; ``switch_scope`` None = not engaged."""
        costs = self.variants[intent.variant].replay.costs
        rivals = self._rivals(intent)
        setups = {
            (order.variant, order.symbol, order.oco_id) for order in rivals if order.order_ref not in self.entries
        }
        return GateContext(
            at=at,
            switch_engaged=switch_scope is not None,
            switch_scope=switch_scope or "",
            reconciled=reconciled,
            mode_allowed=mode_allowed,
            session_open=self.calendar.open(self.session),
            session_close=self.calendar.close(self.session),
            timezone=self.calendar.timezone,
            equity=equity[intent.variant],
            account_equity=sum(equity.values()),
            sent=self.sent.get((intent.variant, intent.symbol), []),
            trades=TradeCounts(
                self.trades[()] + len(setups),
                self.trades[(intent.variant,)] + sum(variant == intent.variant for variant, _, _ in setups),
                self.trades[intent.variant, intent.symbol],
            ),
            buckets=self.buckets,
            spent=self.spent,
            held=[Exposure(p.variant, p.symbol, p.side, p.qty * p.price) for p in self.entries.values()],
            stop_outs=self.stop_outs,
            last_price=last_price,
            last_price_at=None if last_price is None else self._bar_end(intent),
            results=BookResults.of([pnl for _, pnl in self.pnls.get(intent.variant, [])]),
            costs_pct=(2 * costs.fees_bps + 2 * costs.slippage_bps) / 100,
            pending=[
                Exposure(order.variant, order.symbol, order.side, self._unfilled(order) * order.entry, order.oco_id)
                for order in rivals
            ],
            pauses=pauses,
        )

    def _rivals(self, intent: OrderIntent) -> list[OrderIntent]:
        """Working entries beside the intent's own setup and what it replaces: older ones of the book in its Symbol."""
        place = (intent.variant, intent.symbol)
        return [order for order in self.working.values() if (order.variant, order.symbol) != place]

    def _unfilled(self, order: OrderIntent) -> float:
        held = self.entries.get(order.order_ref)
        return order.qty if held is None else max(0.0, order.qty - held.qty)

    def _bar_end(self, intent: OrderIntent) -> dt.datetime:
        """When the Close of the setup's bar was known."""
        return min(intent.setup_time + self.bar_length[intent.variant], self.calendar.close(self.session))
