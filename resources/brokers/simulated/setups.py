"""Intents as the setup that a book arms, and what arming makes of their orders."""

from collections.abc import Sequence
from typing import Any

from trading.orders.intents import OrderIntent
from trading.ports.broker import BrokerError, OrderStatus
from trading.replay.setups import ArmedSetup

_SHARED = ("oco_id", "account", "variant", "symbol", "setup_time", "session", "valid_sessions")

AFTER_ARMING: dict[str, tuple[OrderStatus, str]] = {
    "armed": ("working", ""),
    "replaced": ("working", ""),
    "ignored_in_position": ("rejected", "in_position"),
    "expired": ("expired", "validity_over"),
    "rejected": ("rejected", "size"),
}
"""Status and reason of an order by what :meth:`trading.replay.book.Book.arm` said."""


def one_setup(intents: Sequence[OrderIntent]) -> OrderIntent:
    """The first of the intents, which must be sides of one setup; BrokerError names what sets them apart."""
    if not intents:
        raise BrokerError("place_bracket needs at least one intent")
    first = intents[0]
    for other in intents[1:]:
        for name in _SHARED:
            if getattr(other, name) != getattr(first, name):
                raise BrokerError(f"intents {first.order_ref} and {other.order_ref} differ in {name}: not one setup")
    if len({intent.side for intent in intents}) < len(intents):
        raise BrokerError(f"setup {first.oco_id} has a side twice")
    return first


def armed_setup(intents: Sequence[OrderIntent]) -> ArmedSetup:
    """The sides together, as a book takes them."""
    first = intents[0]
    levels: dict[str, Any] = {}
    for intent in intents:
        name = "long" if intent.side > 0 else "short"
        levels |= {
            f"{name}_entry": intent.entry, f"sl_{name}": intent.stop, f"tp_{name}": intent.target,
            f"qty_{name}": intent.qty,
        }  # fmt: skip
    return ArmedSetup(
        setup_id=first.oco_id, symbol=first.symbol, setup_time=first.setup_time, session=first.session,
        valid_sessions=first.valid_sessions, **levels,
    )  # fmt: skip
