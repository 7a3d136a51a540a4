"""The states of an order and the moves between them that exist."""

from enum import StrEnum

from trading.errors import OrderError


class IllegalTransition(OrderError):
    """An order was told to move to a state that cannot follow the one it is in."""


class OrderState(StrEnum):
    """Where an entry order is. Its exits live by their fills: a filled entry without an exit fill is a position."""

    INTENDED = "intended"
    SUBMITTING = "submitting"
    UNKNOWN = "unknown"
    ACKNOWLEDGED = "acknowledged"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        return not TRANSITIONS[self]

    @property
    def is_working(self) -> bool:
        """Whether the broker may hold a live order for it."""
        return self in (self.SUBMITTING, self.UNKNOWN, self.ACKNOWLEDGED, self.PARTIALLY_FILLED)


_ENDS = frozenset({OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED})
_ANSWERS = _ENDS | {OrderState.ACKNOWLEDGED, OrderState.PARTIALLY_FILLED}

# A broker's answers may overtake each other, hence submitting -> filled. An intent can end without having been sent.
TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.INTENDED: frozenset(
        {OrderState.SUBMITTING, OrderState.REJECTED, OrderState.EXPIRED, OrderState.CANCELLED}
    ),
    OrderState.SUBMITTING: _ANSWERS | {OrderState.UNKNOWN},
    OrderState.UNKNOWN: _ANSWERS | {OrderState.SUBMITTING},
    OrderState.ACKNOWLEDGED: _ENDS | {OrderState.PARTIALLY_FILLED, OrderState.UNKNOWN},
    OrderState.PARTIALLY_FILLED: _ENDS | {OrderState.PARTIALLY_FILLED, OrderState.UNKNOWN},
    **dict.fromkeys(_ENDS, frozenset()),
}


def check_transition(current: OrderState, new: OrderState, *, order_ref: str) -> OrderState:
    """``new``, where an order may move there from ``current``.

    Raises:
        IllegalTransition: naming the order, both states and what would be possible.
    """
    if new not in TRANSITIONS[current]:
        possible = ", ".join(sorted(TRANSITIONS[current])) or "nothing, it is final"
        raise IllegalTransition(f"order {order_ref} is {current} and cannot become {new}; possible: {possible}")
    return new
