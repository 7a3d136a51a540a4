"""Intents through the gates to the broker: recorded before they are sent, asked for before they are sent again."""

import datetime as dt
import logging
import time
from collections.abc import Callable, Mapping, Sequence

from resources.intake import Intake
from resources.ledger import KillSwitch, LedgerWriter
from resources.order_log import order_fields
from resources.router.desk import Desk
from resources.session_state import SessionState
from trading.orders.intents import OrderIntent
from trading.orders.lifecycle import OrderState
from trading.ports.broker import AccountValues, BrokerUnavailable
from trading.risk.gates import evaluate, refusal

_log = logging.getLogger(__name__)
_WAITING = (OrderState.INTENDED, OrderState.SUBMITTING, OrderState.UNKNOWN)

Prices = Mapping[tuple[str, str, dt.datetime], float]
"""Close of a setup's bar by (variant, Symbol, start of the bar)."""


class Sender:
    """Passes intents through the gates and places what they let through."""

    def __init__(self, desk: Desk, state: SessionState, intake: Intake) -> None:
        self._desk, self._state, self._intake = desk, state, intake

    def give_up_passed(self) -> None:
        """End orders that were about to be sent, never arrived, and whose moment is over. The intake has asked the broker
        for all others before.
        """
        desk = self._desk
        for intent, state in desk.ledger.open_intents(desk.account.name):
            if state not in (OrderState.SUBMITTING, OrderState.UNKNOWN):
                continue
            clock = desk.clock(intent.variant)
            if (clock is None or clock > intent.setup_time) and desk.broker.find(intent.order_ref) is None:
                with desk.ledger.write() as w:
                    self._intake.move(w, intent, OrderState.REJECTED, intent.valid_from, "never_sent")

    def waiting(self) -> list[OrderIntent]:
        """Intents still to be sent, oldest first, the two sides of a setup together."""
        desk, states = self._desk, self._state.states
        found = [
            i for i in desk.ledger.intents(desk.session, desk.account.name) if states[i.idempotency_key] in _WAITING
        ]
        return sorted(found, key=lambda i: (i.valid_from, i.variant, i.symbol, i.oco_id, -i.side))

    def admit(
        self,
        w: LedgerWriter,
        intents: Sequence[OrderIntent],
        at: dt.datetime,
        *,
        switches: Mapping[str, KillSwitch],
        values: Sequence[AccountValues],
        prices: Prices,
        reconciled: bool,
        pauses: Sequence[str],
    ) -> list[OrderIntent]:
        """Record for each intent that it is being sent, or which gate refused it; those to send."""
        equity = {value.variant: value.equity for value in values}
        to_send = []
        for intent in intents:
            if self._state.states[intent.idempotency_key] != OrderState.INTENDED:
                to_send.append(intent)  # its gates were passed before a crash; only the switch can stop it now
                continue
            switch = switches[intent.variant]
            context = self._state.context(
                intent,
                at,
                switch_scope=switch.scope if switch.engaged else None,
                reconciled=reconciled,
                mode_allowed=self._desk.live_refusal(intent, at) is None,
                equity=equity,
                last_price=prices.get((intent.variant, intent.symbol, intent.setup_time)),
                pauses=pauses,
            )
            results = evaluate(intent, self._desk.account, context)
            refused = refusal(results)
            figures = {"gates": [vars(result) for result in results]}
            if refused is None:
                self._intake.move(w, intent, OrderState.SUBMITTING, at, "gates_passed", figures)
                self._state.note_sent(intent)
                to_send.append(intent)
            else:
                self._intake.move(w, intent, OrderState.REJECTED, at, refused.code, figures)
                self._desk.refused[refused.code] += 1
        return to_send

    def send(self, intents: Sequence[OrderIntent], at: dt.datetime, due: float, stop: Callable[[str], None]) -> None:
        """Place the intents, setup by setup, each after a last look at the kill switch.

        Args:
            due: when the router took them up, by ``time.perf_counter``; the latency of sending counts from there.
            stop: called with the variant whose switch was found engaged.
        """
        groups: dict[str, list[OrderIntent]] = {}
        for intent in intents:
            groups.setdefault(intent.oco_id, []).append(intent)
        for group in groups.values():
            self._place(group, at, due, stop)

    def _place(self, group: list[OrderIntent], at: dt.datetime, due: float, stop: Callable[[str], None]) -> None:
        desk, variant = self._desk, group[0].variant
        switch = desk.ledger.kill_switch(desk.account.name, variant)
        if switch.engaged:
            with desk.ledger.write() as w:
                for intent in group:
                    self._intake.move(w, intent, OrderState.REJECTED, at, "kill_switch", {"scope": switch.scope})
                    desk.refused["kill_switch"] += 1
            stop(variant)
            return
        for intent in group:
            refused = desk.live_refusal(intent, at)
            if refused is not None:
                self._refuse_all(group, at, refused)
                return
        unknown = [i for i in group if self._state.states[i.idempotency_key] == OrderState.UNKNOWN]
        if unknown:
            with desk.ledger.write() as w:
                for intent in unknown:
                    self._intake.move(w, intent, OrderState.SUBMITTING, at, "never_arrived")
        desk.fault("before_send")
        sent = time.perf_counter()
        try:
            placed = desk.broker.place_bracket(group)
        except BrokerUnavailable as error:
            with desk.ledger.write() as w:
                for intent in group:
                    self._intake.move(w, intent, OrderState.UNKNOWN, at, "broker_unavailable")
            _log.error("outcome of sending unknown: %s", error, extra=order_fields(group[0], "broker_unavailable"))
            raise
        latency = {
            "signal_to_send": round((sent - due) * 1000, 3),
            "send_to_ack": round((time.perf_counter() - sent) * 1000, 3),
        }
        desk.fault("sent")
        desk.sent += len(group)
        for intent in group:
            _log.info("order sent", extra={**order_fields(intent), "latency_ms": latency})
        working = {order.order_ref for order in placed if order.status == "working"}
        self._intake.note_acknowledged(
            [intent for intent in group if intent.order_ref in working], {"latency_ms": latency}
        )

    def _refuse_all(self, group: list[OrderIntent], at: dt.datetime, why: str) -> None:
        """A setup whose gates were passed before a crash, of an account that may not trade live any more."""
        with self._desk.ledger.write() as w:
            for intent in group:
                self._intake.move(w, intent, OrderState.REJECTED, at, "mode_not_allowed", {"why": why})
                self._desk.refused["mode_not_allowed"] += 1
