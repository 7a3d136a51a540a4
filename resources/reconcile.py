"""Reconciliation: what the broker holds against what the ledger says it should."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from resources.ledger import Ledger, RiskEvent
from trading.orders.lifecycle import OrderState
from trading.ports.broker import Broker

DifferenceKind = Literal[
    "orphan_position", "missing_position", "quantity_differs", "unknown_order", "missing_order", "missing_exit"
]


@dataclass(frozen=True)
class Difference:
    """One point where broker and ledger disagree.

    Attributes:
        kind: ``orphan_position`` at the broker only; ``missing_position`` in the ledger only; ``quantity_differs``;
            ``unknown_order`` working at the broker and not in the ledger; ``missing_order`` the reverse;
            ``missing_exit`` a position whose stop-loss does not rest at the broker.
    """

    kind: DifferenceKind
    variant: str
    symbol: str
    order_ref: str
    says: str
    figures: Mapping[str, float] = field(default_factory=dict)


def reconcile(account: str, ledger: Ledger, broker: Broker) -> list[Difference]:
    """Every difference, in a fixed order; reads only. The ledger must have taken in the broker's events before."""
    found: list[Difference] = []
    held = {position.order_ref: position for position in broker.positions(account)}
    booked = {position.order_ref: position for position in ledger.open_positions(account)}
    orders = broker.open_orders(account)
    for ref, position in sorted(held.items()):
        where = (position.variant, position.symbol, ref)
        known = booked.get(ref)
        if known is None:
            says = f"the broker holds {position.side * position.qty:g} {position.symbol}, the ledger no such position"
            found.append(Difference("orphan_position", *where, says, {"broker": position.side * position.qty}))
        elif known.side * known.qty != position.side * position.qty:
            figures = {"broker": position.side * position.qty, "ledger": known.side * known.qty}
            says = f"{position.symbol}: broker {figures['broker']:g}, ledger {figures['ledger']:g}"
            found.append(Difference("quantity_differs", *where, says, figures))
    for ref, missing in sorted(booked.items()):
        if ref not in held:
            says = f"the ledger holds {missing.side * missing.qty:g} {missing.symbol}, the broker no such position"
            found.append(Difference("missing_position", missing.variant, missing.symbol, ref, says))
    protected = {order.order_ref for order in orders if order.protected}
    for ref, position in sorted(held.items()):
        if ref not in protected:
            says = f"the position in {position.symbol} has no stop-loss at the broker"
            found.append(Difference("missing_exit", position.variant, position.symbol, ref, says))
    working = {order.order_ref: order for order in orders if order.status == "working"}
    expected = {intent.order_ref: (intent, state) for intent, state in ledger.open_intents(account)}
    for ref, order in sorted(working.items()):
        if ref not in expected:
            says = f"the broker works an order for {order.symbol} that the ledger does not have open"
            found.append(Difference("unknown_order", order.variant, order.symbol, ref, says, {"qty": order.qty}))
    for ref, (intent, state) in sorted(expected.items()):
        if state == OrderState.ACKNOWLEDGED and ref not in working:
            says = f"the ledger has an order for {intent.symbol} open that the broker does not work"
            found.append(Difference("missing_order", intent.variant, intent.symbol, ref, says))
    return found


def risk_events(account: str, session: dt.date, at: dt.datetime, differences: Sequence[Difference]) -> list[RiskEvent]:
    """The differences as risk events of severity error, each recorded once a session."""
    return [
        RiskEvent(
            at=at,
            account=account,
            variant=d.variant,
            kind=d.kind,
            severity="error",
            detail=d.says,
            figures={**d.figures, "order_ref": d.order_ref, "symbol": d.symbol},
            session=session,
            dedupe_key=f"reconcile:{account}:{session}:{d.kind}:{d.order_ref}",
        )
        for d in differences
    ]
