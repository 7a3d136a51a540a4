"""The broker's news into the ledger."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from resources.ledger import LedgerWriter, RiskEvent
from resources.router.desk import Desk
from resources.session_state import SessionState
from trading.orders.intents import OrderIntent
from trading.orders.lifecycle import OrderState
from trading.ports.broker import BrokerEvent

_ENDS = {
    "cancelled": OrderState.CANCELLED,
    "rejected": OrderState.REJECTED,
    "expired": OrderState.EXPIRED,
}


class Intake:
    """Records what the broker says, and keeps the session's state in step with the ledger."""

    def __init__(self, desk: Desk, state: SessionState) -> None:
        self._desk, self._state = desk, state
        self._known: dict[str, OrderIntent] = {}
        self._acknowledged: list[OrderIntent] = []
        self._cursor = desk.ledger.broker_cursor(desk.account.name)

    def note_acknowledged(self, intents: list[OrderIntent]) -> None:
        """Orders that the broker works; recorded by the next :meth:`take_in`."""
        self._acknowledged += intents

    def take_in(self, w: LedgerWriter) -> bool:
        """Acknowledgements and the broker's news into the ledger; whether there was a fill."""
        for intent in self._acknowledged:
            self.move(w, intent, OrderState.ACKNOWLEDGED, intent.valid_from)
            self._known[intent.order_ref] = intent
        self._acknowledged = []
        news = self._desk.broker.events(self._desk.account.name, self._cursor)
        unknown = [event.order_ref for event in news if event.order_ref not in self._known]
        if unknown:
            self._known.update(self._desk.ledger.intents_by_ref(unknown))
        filled = False
        for event in news:
            filled |= event.kind == "fill"
            self._book(w, event)
            self._cursor = event.seq
        return filled

    def move(
        self,
        w: LedgerWriter,
        intent: OrderIntent,
        state: OrderState,
        at: dt.datetime,
        reason: str = "",
        payload: Mapping[str, Any] | None = None,
        broker_seq: int | None = None,
    ) -> None:
        """Record that an order is in ``state`` now."""
        w.record_event(intent, state, at=at, reason=reason, payload=payload, broker_seq=broker_seq)
        self._state.note_state(intent, state)

    def _book(self, w: LedgerWriter, event: BrokerEvent) -> None:
        account, intent = self._desk.account.name, self._known.get(event.order_ref)
        if intent is None:
            w.record_risk_event(
                RiskEvent(
                    event.at, account, "", "unknown_order", "error",
                    f"the broker reports {event.kind} of an order {event.order_ref} that the ledger does not know",
                    {"seq": event.seq}, event.session, f"broker_event:{account}:{event.seq}",
                )
            )  # fmt: skip
            return
        if event.kind != "fill":
            self.move(w, intent, _ENDS[event.kind], event.at, event.reason, {}, event.seq)
            return
        fill = self._state.as_fill(event, intent)
        if w.record_fill(fill):
            self._state.note_fill(fill)
        if event.leg == "entry":
            figures = {"qty": event.qty, "ordered": intent.qty, "price": event.price}
            self.move(w, intent, OrderState.FILLED, event.at, "", figures, event.seq)
            self._desk.entries += 1
        else:
            self._desk.exits += 1
