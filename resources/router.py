"""The router: plays one session of an account, in time order, from intents to fills and worth.

What is recorded comes before what is sent. After a crash the same call goes on where the ledger and the broker are:
an order whose sending is in doubt is asked for at the broker by its order_ref before anything is sent again.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from resources.brokers.simulated import SimulatedBroker
from resources.cancellation import cancel_until_none
from resources.ledger import Ledger, LedgerWriter, RiskEvent, Worth
from resources.reconcile import Difference, reconcile, risk_events
from resources.session_bars import setup_prices, spans_between, widest_move
from resources.session_state import SessionState
from trading.accounts import AccountConfig
from trading.bars.resample import timeframe_minutes
from trading.errors import OrderError
from trading.instruments import Instrument
from trading.orders.intents import OrderIntent, TradedVariant
from trading.orders.lifecycle import OrderState
from trading.ports.broker import BrokerEvent, BrokerUnavailable
from trading.risk.breakers import Breach, money_breaches
from trading.risk.gates import evaluate, refusal
from trading.sessions import SessionCalendar

_DONE = "session_routed"
_WAITING = (OrderState.INTENDED, OrderState.SUBMITTING, OrderState.UNKNOWN)
_ENDS = {
    "cancelled": OrderState.CANCELLED,
    "rejected": OrderState.REJECTED,
    "expired": OrderState.EXPIRED,
}


class SessionPassed(OrderError):
    """Orders were asked for at a time that the broker's market has left behind."""


@dataclass(frozen=True)
class RoutingReport:
    """What one call of :meth:`Router.route_session` did.

    Attributes:
        already_routed: the session was complete before the call; nothing was sent.
        intents: of the session, in the ledger.
        sent: orders sent by this call.
        refused: by this call, per gate code.
        entries, exits: fills recorded by this call.
        outcomes: of the session's intents now, per state.
        breaches: that engaged the kill switch in this call.
        differences: between broker and ledger, before and after.
        worth: of every book at the end of the session.
    """

    account: str
    session: dt.date
    already_routed: bool
    intents: int
    sent: int
    refused: Mapping[str, int]
    entries: int
    exits: int
    outcomes: Mapping[str, int]
    breaches: tuple[Breach, ...]
    differences: tuple[Difference, ...]
    worth: tuple[Worth, ...]


class Router:
    """Carries intents to a broker and what comes back to the ledger.

    Args:
        fault: called with the name of each point between two side effects; for tests that kill the process there.
    """

    def __init__(
        self,
        ledger: Ledger,
        broker: SimulatedBroker,
        calendar: SessionCalendar,
        *,
        fault: Callable[[str], None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._broker = broker
        self._calendar = calendar
        self._fault = fault or (lambda _: None)

    def route_session(
        self,
        account: AccountConfig,
        session: dt.date,
        intents: Sequence[OrderIntent],
        bars: Mapping[str, pl.DataFrame],
        variants: Mapping[str, TradedVariant],
        instruments: Mapping[str, Instrument] | None = None,
    ) -> RoutingReport:
        """Play ``session``: every bar, every intent, then the account's worth. Safe to repeat, safe to kill.

        Args:
            intents: of the session; those that the ledger has stay as recorded.
            bars: by variant, the whole session in the variant's timeframe (Symbol, Timestamp, OHLCV, session).
            variants: all variants whose books are played, whether they have intents or not.

        Raises:
            SessionPassed: an unsent intent stands on a bar that its book has left behind.
            OrderError: an intent of another account or session, or without its bar; bars of another session.
            BrokerUnavailable: the outcome of a submission is not known; call again to go on.
            CancellationFailed: the switch is engaged and orders are still open (:mod:`resources.cancellation`).
            LedgerUnavailable: nothing more is sent.
        """
        play = _Play(self, account, session, variants, bars)
        play.check(intents)
        for name, variant in variants.items():
            config = variant.replay.model_copy(update={"initial_cash": account.variants[name].capital})
            self._broker.open_book(account.name, name, config, instruments)
        play.refuse_passed(intents)
        self._ledger.record_intents(list(intents))
        self._fault("intents_recorded")
        return play.run()


class _Play:
    """One call of route_session."""

    def __init__(
        self,
        router: Router,
        account: AccountConfig,
        session: dt.date,
        variants: Mapping[str, TradedVariant],
        bars: Mapping[str, pl.DataFrame],
    ) -> None:
        self.ledger, self.broker, self.fault = router._ledger, router._broker, router._fault
        self.calendar, self.account, self.session = router._calendar, account, session
        self.variants, self.bars = variants, bars
        self.open, self.close = self.calendar.open(session), self.calendar.close(session)
        self.length = {name: self._bar_length(variant) for name, variant in variants.items()}
        self.acknowledged: list[OrderIntent] = []
        self.known: dict[str, OrderIntent] = {}
        self.stopped: set[str] = set()
        self.last_close: dict[str, dict[str, float]] = {}
        self.sent = self.entries = self.exits = 0
        self.refused: Counter[str] = Counter()
        self.breaches: list[Breach] = []
        self.cursor = self.ledger.broker_cursor(account.name)

    def _bar_length(self, variant: TradedVariant) -> dt.timedelta:
        minutes = timeframe_minutes(variant.timeframe)
        return self.close - self.open if minutes is None else dt.timedelta(minutes=minutes)

    # Before anything happens

    def check(self, intents: Sequence[OrderIntent]) -> None:
        for name in self.variants:
            if name not in self.account.variants or name not in self.bars:
                raise OrderError(
                    f"variant {name} needs a book in account {self.account.name} and bars of {self.session}"
                )
            frame = self.bars[name]
            if frame.height and (frame["session"] != self.session).any():
                raise OrderError(f"bars of variant {name} must be of session {self.session} alone")
        stamps = {
            name: set(zip(frame["Symbol"].to_list(), frame["Timestamp"].to_list(), strict=True))
            for name, frame in self.bars.items()
        }
        for intent in intents:
            where = f"intent {intent.order_ref} of {intent.variant} for {intent.symbol} at {intent.setup_time}"
            if (intent.account, intent.session) != (self.account.name, self.session):
                raise OrderError(f"{where} is not of account {self.account.name} and session {self.session}")
            if intent.variant not in self.variants:
                raise OrderError(f"{where}: its variant is not among those played: {', '.join(sorted(self.variants))}")
            if (intent.symbol, intent.setup_time) not in stamps[intent.variant]:
                raise OrderError(f"{where} stands on a bar that the session's bars do not have")

    def refuse_passed(self, intents: Sequence[OrderIntent]) -> None:
        states = self.ledger.states(self.account.name, self.session)
        self.done = bool(self.ledger.risk_events(self.account.name, _DONE, self.session))
        clocks = {name: self.broker.clock(self.account.name, name) for name in self.variants}
        for intent in [*intents, *(known for known, _ in states.values())]:
            state = states.get(intent.idempotency_key, (intent, OrderState.INTENDED))[1]
            clock = clocks.get(intent.variant)
            passed = self.done or (clock is not None and clock > intent.setup_time)
            if state == OrderState.INTENDED and passed:
                raise SessionPassed(
                    f"intent {intent.order_ref} of {intent.variant} for {intent.symbol} at {intent.setup_time} was never "
                    f"sent and cannot be any more: the book {self.account.name}/{intent.variant} is at {clock}. Route "
                    "sessions in order, each once; a session that was routed is not routed again with other signals"
                )

    # The session

    def run(self) -> RoutingReport:
        self.state = SessionState.load(
            self.ledger, self.account, self.session, self.calendar, self.variants, self.length
        )
        self._recover()
        self.fault("recovered")
        with self.ledger.write() as w:
            self._take_in(w)
        self.fault("caught_up")
        before = reconcile(self.account.name, self.ledger, self.broker)
        self._report_differences(before, self.open)
        self.reconciled = not before
        if self.done:
            return self._report(True, tuple(before))
        for position in self.broker.positions(self.account.name):
            self.last_close.setdefault(position.variant, {})[position.symbol] = position.last_price
        waiting = self._waiting()
        prices = setup_prices(self.bars, waiting)
        times = sorted({intent.valid_from for intent in waiting} | self._clock_times() | {self.close})
        spans = {
            name: spans_between(
                self.bars[name], self.length[name], self.close, times, self.broker.clock(self.account.name, name)
            )
            for name in self.variants
        }
        for number, at in enumerate(times):
            due = {name: spans[name][number] for name in sorted(self.variants) if number in spans[name]}
            for moment, parts in self._pieces(due, at):
                for name, part in parts.items():
                    self.broker.advance(self.account.name, name, part.drop("_end"))
                    self.fault("advanced")
                if moment < at:
                    self._step(moment, [], prices)
            self._guard_close(at)
            self._step(at, [intent for intent in waiting if intent.valid_from == at], prices)
        with self.ledger.write() as w:
            self._take_in(w)
        self.fault("session_played")
        after = reconcile(self.account.name, self.ledger, self.broker)
        self._report_differences(after, self.close)
        with self.ledger.write() as w:
            for worth in self._worth():
                w.record_worth(worth)
            w.record_risk_event(
                RiskEvent(
                    self.close, self.account.name, "", _DONE, "info", f"session {self.session} is complete",
                    {"differences": len(after)}, self.session, f"{_DONE}:{self.account.name}:{self.session}",
                )
            )  # fmt: skip
        self.fault("worth_recorded")
        return self._report(False, (*before, *after))

    def _recover(self) -> None:
        """Ask the broker what became of orders whose sending was begun."""
        for intent, state in self.ledger.open_intents(self.account.name):
            if state not in (OrderState.SUBMITTING, OrderState.UNKNOWN):
                continue
            order = self.broker.find(intent.order_ref)
            if order is not None and order.status == "working":
                self.ledger.record_event(intent, OrderState.ACKNOWLEDGED, at=intent.valid_from, reason="recovered")
                self.state.states[intent.idempotency_key] = OrderState.ACKNOWLEDGED
            elif order is None:
                clock = self.broker.clock(intent.account, intent.variant)
                if clock is None or clock > intent.setup_time:
                    self.ledger.record_event(intent, OrderState.REJECTED, at=intent.valid_from, reason="never_sent")
                    self.state.states[intent.idempotency_key] = OrderState.REJECTED

    def _waiting(self) -> list[OrderIntent]:
        """Intents still to be sent, oldest first, the two sides of a setup together."""
        states = self.state.states
        found = [
            i for i in self.ledger.intents(self.session, self.account.name) if states[i.idempotency_key] in _WAITING
        ]
        return sorted(found, key=lambda i: (i.valid_from, i.variant, i.symbol, i.oco_id, -i.side))

    def _clock_times(self) -> set[dt.datetime]:
        minutes = {self.account.moc_guard_minutes, self.account.flatten_minutes} - {0.0}
        return {self.close - dt.timedelta(minutes=m) for m in minutes} - {self.close}

    def _pieces(
        self, due: Mapping[str, pl.DataFrame], at: dt.datetime
    ) -> list[tuple[dt.datetime, dict[str, pl.DataFrame]]]:
        """Bars until ``at`` in one go, or by bar end where a breaker could trip on the way.

        Breakers hold for every fill. Between two sendings nothing has to be looked at as long as the worst that the bars
        could do to fully invested books leaves the limits untouched.
        """
        if not due or not self._could_breach(due):
            return [(at, dict(due))] if due else []
        pieces: dict[dt.datetime, dict[str, pl.DataFrame]] = {}
        for name, span in due.items():
            for key, part in span.partition_by("_end", as_dict=True, maintain_order=True).items():
                pieces.setdefault(key[0], {})[name] = part
        return sorted(pieces.items(), key=lambda piece: piece[0])

    def _could_breach(self, due: Mapping[str, pl.DataFrame]) -> bool:
        if self.stopped >= set(self.variants):
            return False
        limits, total, worst_total = self.account.breakers, 0.0, 0.0
        values = self.broker.account_values(self.account.name)
        books = self.state.books(values)
        for name, book in books.items():
            worst = 0.0
            if name in due:
                replay = self.variants[name].replay
                costs = 2 * (replay.costs.fees_bps + replay.costs.slippage_bps) / 10_000
                worst = (
                    max(book.equity, 0.0)
                    * replay.max_leverage
                    * (widest_move(due[name], self.last_close.setdefault(name, {})) + costs)
                )
            floor = book.capital * (1 - limits.drawdown_pct / 100)
            if name not in self.stopped and book.equity - worst <= floor:
                return True
            total, worst_total = total + book.equity, worst_total + worst
        start = sum(book.start_equity for book in books.values())
        seed = sum(book.capital for book in books.values())
        floor = max(start * (1 - limits.daily_loss_pct / 100), seed * (1 - limits.drawdown_pct / 100))
        return total - worst_total <= floor

    def _guard_close(self, at: dt.datetime) -> None:
        """What happens at fixed times before the close: entries lose their validity, positions are flattened."""
        if self.account.moc_guard_minutes and at == self.close - dt.timedelta(minutes=self.account.moc_guard_minutes):
            working = [o.order_ref for o in self.broker.open_orders(self.account.name) if o.status == "working"]
            for ref, intent in sorted(self.ledger.intents_by_ref(working).items()):
                if intent.valid_to <= at:
                    self.broker.cancel(ref, at, "validity_over")
        if self.account.flatten_minutes and at == self.close - dt.timedelta(minutes=self.account.flatten_minutes):
            for name, variant in sorted(self.variants.items()):
                if variant.replay.exit_at_session_end:
                    self.broker.cancel_all(self.account.name, at, name, "validity_over")
                    self.broker.flatten(self.account.name, at, name, "eod")
        self.fault("guarded")

    def _step(
        self,
        at: dt.datetime,
        intents: Sequence[OrderIntent],
        prices: Mapping[tuple[str, str, dt.datetime], float],
    ) -> None:
        """At ``at``: take in what happened, stop if a limit broke, then pass the intents through gates and send."""
        with self.ledger.write() as w:
            filled = self._take_in(w)
            values = self.broker.account_values(self.account.name) if filled or intents else []
            breaches = money_breaches(self.account, self.session, self.state.books(values)) if filled else []
            engaged = [b for b in breaches if w.engage(b.scope, b.says, "breaker", at, b.breach_id)]
            scopes = w.kill_switches(self.account.name, self.variants)
            equity = {value.variant: value.equity for value in values}
            to_send = []
            for intent in intents:
                if self.state.states[intent.idempotency_key] != OrderState.INTENDED:
                    to_send.append(intent)  # its gates were passed before a crash; only the switch can stop it now
                    continue
                switch = scopes[intent.variant]
                context = self.state.context(
                    intent,
                    at,
                    switch_scope=switch.scope if switch.engaged else None,
                    reconciled=self.reconciled,
                    mode_allowed=self.account.mode == "paper",
                    equity=equity,
                    last_price=prices.get((intent.variant, intent.symbol, intent.setup_time)),
                )
                results = evaluate(intent, self.account, context)
                refused = refusal(results)
                figures = {"gates": [vars(result) for result in results]}
                if refused is None:
                    self._move(w, intent, OrderState.SUBMITTING, at, "gates_passed", figures)
                    self.state.note_sent(intent)
                    to_send.append(intent)
                else:
                    self._move(w, intent, OrderState.REJECTED, at, refused.code, figures)
                    self.refused[refused.code] += 1
        self.fault("step_committed")
        self.breaches += engaged
        self._enforce({name for name, switch in scopes.items() if switch.engaged}, at)
        groups: dict[str, list[OrderIntent]] = {}
        for intent in to_send:
            groups.setdefault(intent.oco_id, []).append(intent)
        for group in groups.values():
            self._send(group, at)

    def _send(self, group: Sequence[OrderIntent], at: dt.datetime) -> None:
        """Place the sides of one setup, after a last look at the kill switch."""
        first = group[0]
        switch = self.ledger.kill_switch(self.account.name, first.variant)
        if switch.engaged:
            with self.ledger.write() as w:
                for intent in group:
                    self._move(w, intent, OrderState.REJECTED, at, "kill_switch", {"scope": switch.scope})
                    self.refused["kill_switch"] += 1
            self._enforce(self.stopped | {first.variant}, at)
            return
        self.fault("before_send")
        try:
            placed = self.broker.place_bracket(group)
        except BrokerUnavailable:
            with self.ledger.write() as w:
                for intent in group:
                    self._move(w, intent, OrderState.UNKNOWN, at, "broker_unavailable", {})
            raise
        self.fault("sent")
        self.sent += len(group)
        working = {order.order_ref for order in placed if order.status == "working"}
        self.acknowledged += [intent for intent in group if intent.order_ref in working]

    def _take_in(self, w: LedgerWriter) -> bool:
        """Acknowledgements and the broker's news into the ledger; whether there was a fill."""
        for intent in self.acknowledged:
            self._move(w, intent, OrderState.ACKNOWLEDGED, intent.valid_from, "", {})
            self.known[intent.order_ref] = intent
        self.acknowledged = []
        news = self.broker.events(self.account.name, self.cursor)
        if not news:
            return False
        unknown = [event.order_ref for event in news if event.order_ref not in self.known]
        if unknown:
            self.known.update(self.ledger.intents_by_ref(unknown))
        filled = False
        for event in news:
            filled |= event.kind == "fill"
            self._book(w, event)
            self.cursor = event.seq
        return filled

    def _book(self, w: LedgerWriter, event: BrokerEvent) -> None:
        intent = self.known.get(event.order_ref)
        if intent is None:
            w.record_risk_event(
                RiskEvent(
                    event.at, self.account.name, "", "unknown_order", "error",
                    f"the broker reports {event.kind} of an order {event.order_ref} that the ledger does not know",
                    {"seq": event.seq}, event.session, f"broker_event:{self.account.name}:{event.seq}",
                )
            )  # fmt: skip
            return
        if event.kind != "fill":
            self._move(w, intent, _ENDS[event.kind], event.at, event.reason, {}, event.seq)
            return
        fill = self.state.as_fill(event, intent)
        if w.record_fill(fill):
            self.state.note_fill(fill)
        if event.leg == "entry":
            figures = {"qty": event.qty, "ordered": intent.qty, "price": event.price}
            self._move(w, intent, OrderState.FILLED, event.at, "", figures, event.seq)
            self.entries += 1
        else:
            self.exits += 1

    def _move(
        self,
        w: LedgerWriter,
        intent: OrderIntent,
        state: OrderState,
        at: dt.datetime,
        reason: str,
        payload: Mapping[str, Any],
        broker_seq: int | None = None,
    ) -> None:
        w.record_event(intent, state, at=at, reason=reason, payload=payload, broker_seq=broker_seq)
        if intent.session == self.session:
            self.state.states[intent.idempotency_key] = state

    def _enforce(self, variants: set[str], at: dt.datetime) -> None:
        """Cancel every working order of the stopped books, until the broker shows none."""
        for name in sorted(variants - self.stopped):
            cancel_until_none(self.broker, self.account.name, name, at, lambda: self.fault("cancelled"))
        self.stopped = variants

    # Afterwards

    def _report_differences(self, differences: Sequence[Difference], at: dt.datetime) -> None:
        if differences:
            with self.ledger.write() as w:
                for event in risk_events(self.account.name, self.session, at, differences):
                    w.record_risk_event(event)

    def _worth(self) -> list[Worth]:
        closes: dict[tuple[str, str], float] = {}
        for name, frame in self.bars.items():
            last = frame.sort("Timestamp").group_by("Symbol").agg(pl.col("Close").last())
            closes |= {(name, symbol): close for symbol, close in last.iter_rows()}
        marks = {position.order_ref: position.last_price for position in self.broker.positions(self.account.name)}
        found = []
        for name in sorted(self.variants):
            capital = self.account.variants[name].capital
            realised = self.ledger.realised(self.account.name, name, capital)
            unrealised = 0.0
            for entry in self.state.entries.values():
                if entry.variant == name:
                    price = closes.get((name, entry.symbol), marks.get(entry.order_ref, entry.price))
                    unrealised += entry.side * entry.qty * (price - entry.price)
            equity = realised + unrealised
            peak = max(self.state.peaks[name], equity)
            found.append(
                Worth(
                    self.account.name, name, self.session, capital, realised, unrealised, equity,
                    equity - self.state.start_equity[name], self.state.exits[name], peak, 1 - equity / peak, self.close,
                )
            )  # fmt: skip
        return found

    def _report(self, already: bool, differences: tuple[Difference, ...]) -> RoutingReport:
        worth = self.ledger.worth(self.account.name, session=self.session)
        outcomes = Counter(str(state) for state in self.state.states.values())
        return RoutingReport(
            self.account.name, self.session, already, len(self.state.states), self.sent, dict(self.refused),
            self.entries, self.exits, dict(outcomes), tuple(self.breaches), differences, tuple(worth),
        )  # fmt: skip
