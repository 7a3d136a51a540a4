"""The broker's news into the ledger: each once, whatever order it comes in and however often."""

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from resources.ledger import Fill, Ledger, LedgerWriter, RiskEvent
from resources.open_positions import OpenPositions
from resources.order_log import order_fields
from trading.orders.intents import OrderIntent
from trading.orders.lifecycle import TRANSITIONS, OrderState
from trading.ports.broker import Broker, BrokerEvent, in_order

SESSION_ROUTED = "session_routed"
"""Kind of the risk event that says that a session is complete; ``broker_seq`` among its figures is the last event then."""

_log = logging.getLogger(__name__)
_ENDS = {
    "cancelled": OrderState.CANCELLED,
    "rejected": OrderState.REJECTED,
    "expired": OrderState.EXPIRED,
}
_IN_DOUBT = (OrderState.SUBMITTING, OrderState.UNKNOWN)


class Watcher(Protocol):
    """Is told what was recorded, to keep figures of its own in step."""

    def note_state(self, intent: OrderIntent, state: OrderState) -> None: ...
    def note_fill(self, fill: Fill) -> None: ...


class Intake:
    """Records acknowledgements, executions and ends of one account's orders.

    Attributes:
        positions: open positions, in step with what was recorded.
        recorded: executions recorded so far, by leg.
        seq: number of the newest event that was seen.
    """

    def __init__(self, ledger: Ledger, broker: Broker, account: str, watcher: Watcher | None = None) -> None:
        self._ledger, self._broker, self._account, self._watcher = ledger, broker, account, watcher
        self.positions = OpenPositions(ledger.open_positions(account))
        self.recorded = Counter[str]()
        self._known: dict[str, OrderIntent] = {}
        self._booked: set[str] = set()
        self._acknowledged: list[tuple[OrderIntent, Mapping[str, Any]]] = []
        self.seq = ledger.broker_cursor(account)
        complete = ledger.risk_events(account, SESSION_ROUTED)
        self._complete_until = int(complete[-1].figures.get("broker_seq", 0)) if complete else 0

    def note_acknowledged(self, intents: Iterable[OrderIntent], payload: Mapping[str, Any]) -> None:
        """Orders that the broker works; recorded by the next :meth:`take_in`."""
        self._acknowledged += [(intent, payload) for intent in intents]

    def take_in(self, w: LedgerWriter) -> bool:
        """Acknowledgements and the broker's news into the ledger; whether there was a fill."""
        for intent, payload in self._acknowledged:
            self._follow(w, intent, OrderState.ACKNOWLEDGED, intent.valid_from, "", payload)
            self._known[intent.order_ref] = intent
        self._acknowledged = []
        return self.record(w, self._broker.events(self._account, self.seq))

    def catch_up(self, at: dt.datetime) -> None:
        """Ask for everything that may have been missed: all executions since the last complete session, and what became of
        orders that the ledger has open and the broker does not work.
        """
        with self._ledger.write() as w:
            self.take_in(w)
            self.record(w, self._broker.executions(self._account, self._complete_until))
        working = {o.order_ref: o for o in self._broker.open_orders(self._account) if o.status == "working"}
        open_ = self._ledger.open_intents(self._account)
        asked = [
            (intent, working.get(intent.order_ref) or self._broker.find(intent.order_ref))
            for intent, state in open_
            if state in _IN_DOUBT or intent.order_ref not in working
        ]
        if not asked:
            return
        with self._ledger.write() as w:
            for intent, order in asked:
                if order is not None and order.status == "working":
                    self._follow(w, intent, OrderState.ACKNOWLEDGED, intent.valid_from, "recovered", {})
                elif order is not None and order.status in _ENDS and w.filled_qty(intent.order_ref) >= order.filled_qty:
                    self._follow(w, intent, _ENDS[order.status], at, order.reason, {"recovered": True})

    def move(
        self,
        w: LedgerWriter,
        intent: OrderIntent,
        state: OrderState,
        at: dt.datetime,
        reason: str = "",
        payload: Mapping[str, Any] | None = None,
    ) -> None:
        """Record a step of ours; IllegalTransition where the order cannot go there."""
        w.record_event(intent, state, at=at, reason=reason, payload=payload)
        self._told(intent, state, reason)

    def record(self, w: LedgerWriter, events: Sequence[BrokerEvent], *, again: bool = False) -> bool:
        """Whether there was a fill that was not known. An event for which something is missing is left for later."""
        news = self._unbooked(w, [event for event in in_order(events) if event.execution_id not in self._booked])
        unknown = {event.order_ref for event in news} - self._known.keys()
        if unknown:
            self._known.update(self._ledger.intents_by_ref(sorted(unknown)))
        filled, early = False, False
        for event in news:
            self.seq = max(self.seq, event.seq)
            intent = self._known.get(event.order_ref)
            if intent is None:
                self._report_stranger(w, event)
            elif event.kind == "fill":
                takes = self.positions.takes(event)
                early |= not takes
                filled |= takes and self._fill(w, event, intent)
            elif w.filled_qty(event.order_ref) < event.qty:
                early = True
            else:
                self._follow(w, intent, _ENDS[event.kind], event.at, event.reason, {}, event.seq)
        if early and not again:
            missed = [*self._broker.executions(self._account, self._complete_until), *events]
            filled |= self.record(w, missed, again=True)
        return filled

    def _unbooked(self, w: LedgerWriter, events: Sequence[BrokerEvent]) -> list[BrokerEvent]:
        ids = [event.execution_id for event in events if event.execution_id]
        self._booked |= w.known_executions(self._account, ids) if ids else set()
        return [event for event in events if event.execution_id not in self._booked]

    def _fill(self, w: LedgerWriter, event: BrokerEvent, intent: OrderIntent) -> bool:
        fill = self.positions.book(event, intent)
        w.record_fill(fill)
        self._booked.add(fill.execution_id)
        self.recorded[fill.leg] += 1
        if self._watcher is not None:
            self._watcher.note_fill(fill)
        _log.info(
            "%s filled", fill.leg, extra=order_fields(intent, fill.reason, price=fill.price, qty=fill.qty, fee=fill.fee)
        )
        if fill.leg == "entry":
            total = w.filled_qty(event.order_ref)
            state = OrderState.FILLED if total >= intent.qty else OrderState.PARTIALLY_FILLED
            figures = {"qty": total, "ordered": intent.qty, "price": event.price}
            self._follow(w, intent, state, event.at, "", figures, event.seq)
        return True

    def _follow(
        self,
        w: LedgerWriter,
        intent: OrderIntent,
        state: OrderState,
        at: dt.datetime,
        reason: str,
        payload: Mapping[str, Any],
        seq: int | None = None,
    ) -> None:
        """Record what the broker says of an order, unless the ledger has it or something later already."""
        current = w.state_of(intent.idempotency_key)
        if current is not None and state not in TRANSITIONS[current]:
            return
        w.record_event(intent, state, at=at, reason=reason, payload=payload, broker_seq=seq)
        self._told(intent, state, reason)

    def _told(self, intent: OrderIntent, state: OrderState, reason: str) -> None:
        if self._watcher is not None:
            self._watcher.note_state(intent, state)
        _log.info("order %s", state, extra=order_fields(intent, reason))

    def _report_stranger(self, w: LedgerWriter, event: BrokerEvent) -> None:
        kind = "unknown_fill" if event.kind == "fill" else "unknown_order"
        w.record_risk_event(
            RiskEvent(
                event.at, self._account, "", kind, "error",
                f"the broker reports {event.kind} of an order {event.order_ref} that the ledger does not know",
                {"seq": event.seq, "order_ref": event.order_ref, "qty": event.qty, "price": event.price},
                event.session, f"broker_event:{self._account}:{event.seq}",
            )
        )  # fmt: skip
