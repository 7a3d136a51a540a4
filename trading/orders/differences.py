"""Where a broker and the ledger disagree: a pure comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from trading.orders.intents import OrderIntent
from trading.orders.lifecycle import OrderState
from trading.ports.broker import BrokerPosition, PlacedOrder

DifferenceKind = Literal[
    "orphan_position", "missing_position", "quantity_differs", "unknown_order", "missing_order", "missing_exit",
    "exit_differs", "unknown_fill",
]  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """One point where broker and ledger disagree.

    Attributes:
        kind: ``orphan_position`` at the broker only; ``missing_position`` in the ledger only; ``quantity_differs`` in both,
            of other sizes; ``unknown_order`` working at the broker and not open in the ledger; ``missing_order`` the
            reverse; ``missing_exit`` a position without its stop-loss, or without the target that was asked for;
            ``exit_differs`` exits that rest for another quantity than is held; ``unknown_fill`` an execution of an order
            that the ledger does not know.
        figures: quantities and levels, by name.
    """

    kind: DifferenceKind
    variant: str
    symbol: str
    order_ref: str
    says: str
    figures: Mapping[str, float] = field(default_factory=dict)


class Booked(Protocol):
    """A position as the ledger has it; ``side`` 1 or -1."""

    @property
    def variant(self) -> str: ...
    @property
    def order_ref(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def side(self) -> int: ...
    @property
    def qty(self) -> float: ...


def compare(
    positions: Sequence[BrokerPosition],
    orders: Sequence[PlacedOrder],
    booked: Sequence[Booked],
    wished: Sequence[tuple[OrderIntent, OrderState]],
    intents: Mapping[str, OrderIntent],
) -> list[Difference]:
    """Every difference, in a fixed order.

    Args:
        positions, orders: of the broker, open ones.
        booked: open positions of the ledger, which has taken in all executions before.
        wished: orders that the ledger has open, with their state.
        intents: of the broker's positions, by order_ref, as far as the ledger knows them.
    """
    held = {position.order_ref: position for position in positions}
    known = {position.order_ref: position for position in booked}
    at_broker = {order.order_ref: order for order in orders}
    return [
        *_positions(held, known),
        *_exits(held, at_broker, intents),
        *_orders({ref: order for ref, order in at_broker.items() if order.status == "working"}, wished),
    ]


def _positions(held: Mapping[str, BrokerPosition], booked: Mapping[str, Booked]) -> list[Difference]:
    found: list[Difference] = []
    for ref, position in sorted(held.items()):
        broker, known = position.side * position.qty, booked.get(ref)
        where = (position.variant, position.symbol, ref)
        if known is None:
            says = f"the broker holds {broker:g} {position.symbol}, the ledger no such position"
            found.append(Difference("orphan_position", *where, says, {"broker": broker}))
        elif known.side * known.qty != broker:
            figures = {"broker": broker, "ledger": known.side * known.qty}
            says = f"{position.symbol}: broker {broker:g}, ledger {figures['ledger']:g}"
            found.append(Difference("quantity_differs", *where, says, figures))
    for ref, missing in sorted(booked.items()):
        if ref not in held:
            ledger = missing.side * missing.qty
            says = f"the ledger holds {ledger:g} {missing.symbol}, the broker no such position"
            found.append(Difference("missing_position", missing.variant, missing.symbol, ref, says, {"ledger": ledger}))
    return found


def _exits(
    held: Mapping[str, BrokerPosition], orders: Mapping[str, PlacedOrder], intents: Mapping[str, OrderIntent]
) -> list[Difference]:
    found: list[Difference] = []
    for ref, position in sorted(held.items()):
        where = (position.variant, position.symbol, ref)
        order, intent = orders.get(ref), intents.get(ref)
        stop, target = (0.0, 0.0) if order is None else (order.stop_qty, order.target_qty)
        figures = {"held": position.qty, "stop_qty": stop, "target_qty": target}
        lacking = ["stop-loss"] if stop == 0 else []
        if intent is not None and intent.target is not None and target == 0:
            lacking.append("target")
        if lacking:
            says = f"the position in {position.symbol} has no {' and no '.join(lacking)} at the broker"
            found.append(Difference("missing_exit", *where, says, figures))
        elif stop != position.qty or target not in (0, position.qty):
            says = f"{position.qty:g} {position.symbol} held, stop-loss for {stop:g}, target for {target:g}"
            found.append(Difference("exit_differs", *where, says, figures))
    return found


def _orders(working: Mapping[str, PlacedOrder], wished: Sequence[tuple[OrderIntent, OrderState]]) -> list[Difference]:
    found: list[Difference] = []
    expected = {intent.order_ref: (intent, state) for intent, state in wished}
    for ref, order in sorted(working.items()):
        if ref not in expected:
            says = f"the broker works an order for {order.symbol} that the ledger does not have open"
            found.append(Difference("unknown_order", order.variant, order.symbol, ref, says, {"qty": order.qty}))
    for ref, (intent, state) in sorted(expected.items()):
        if state in (OrderState.ACKNOWLEDGED, OrderState.PARTIALLY_FILLED) and ref not in working:
            says = f"the ledger has an order for {intent.symbol} open that the broker does not work"
            found.append(Difference("missing_order", intent.variant, intent.symbol, ref, says, {"qty": intent.qty}))
    return found
