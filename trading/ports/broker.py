"""What the platform asks of a broker."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from trading.errors import OrderError
from trading.orders.intents import OrderIntent

OrderStatus = Literal["working", "filled", "cancelled", "rejected", "expired"]
Leg = Literal["entry", "exit"]
EventKind = Literal["fill", "cancelled", "rejected", "expired"]


class BrokerError(OrderError):
    """The broker refused or could not do what it was asked."""


class UnknownOrder(BrokerError):
    """The broker knows no order of that order_ref."""


class BrokerUnavailable(BrokerError):
    """The broker did not answer; the outcome of the request is not known."""


@dataclass(frozen=True)
class PlacedOrder:
    """An entry order as the broker holds it.

    Attributes:
        status: of the entry; ``filled`` says that the position was opened, not that it is still there.
        filled_qty: of the entry.
        protected: whether the stop-loss of a position opened by it rests at the broker now.
    """

    order_ref: str
    account: str
    variant: str
    symbol: str
    side: int
    qty: float
    status: OrderStatus
    filled_qty: float
    protected: bool
    reason: str


@dataclass(frozen=True)
class BrokerPosition:
    """An open position; ``order_ref`` is of the entry that opened it."""

    account: str
    variant: str
    order_ref: str
    symbol: str
    side: int
    qty: float
    entry_price: float
    last_price: float
    unrealised: float


@dataclass(frozen=True)
class AccountValues:
    """A book's money at the broker, currency; ``unrealised`` at last prices."""

    account: str
    variant: str
    realised: float
    unrealised: float

    @property
    def equity(self) -> float:
        return self.realised + self.unrealised


@dataclass(frozen=True)
class BrokerEvent:
    """Something that happened to an order at the broker.

    Attributes:
        seq: ascending per broker, never used twice; the cursor of :meth:`Broker.events`.
        execution_id: of fills; empty otherwise.
        at: when, UTC.
        session: exchange session of it.
        price, qty, fee: of fills, currency; 0.0 otherwise.
        reason: an exit's reason (``sl``, ``tp``, ``eod``, ``time``, ``flatten``), or why an order ended.
    """

    seq: int
    kind: EventKind
    order_ref: str
    leg: Leg
    at: dt.datetime
    session: dt.date
    price: float = 0.0
    qty: float = 0.0
    fee: float = 0.0
    reason: str = ""
    execution_id: str = ""


class Broker(Protocol):
    """One route to one venue. Every call that changes something is durable when it returns.

    A call raises BrokerUnavailable where its outcome is not known: the caller then asks :meth:`find` before it sends
    anything again.
    """

    def connect(self) -> None: ...

    def place_bracket(self, intents: Sequence[OrderIntent]) -> list[PlacedOrder]:
        """Place the sides of one setup, which cancel each other; an order_ref that is there is not placed again."""
        ...

    def find(self, order_ref: str) -> PlacedOrder | None:
        """The order, open or completed; None where the broker never took it."""
        ...

    def cancel(self, order_ref: str, at: dt.datetime, reason: str = "cancelled") -> bool:
        """Cancel a working entry; False where it is not working any more. UnknownOrder where it never was."""
        ...

    def cancel_all(self, account: str, at: dt.datetime, variant: str | None = None, reason: str = "cancelled") -> int:
        """Cancel the working entries of the account, or of one of its books; how many. Exits stay."""
        ...

    def flatten(self, account: str, at: dt.datetime, variant: str | None = None, reason: str = "flatten") -> int:
        """Close the open positions at the market; how many."""
        ...

    def open_orders(self, account: str) -> list[PlacedOrder]: ...

    def positions(self, account: str) -> list[BrokerPosition]: ...

    def executions(self, account: str, since: int = 0) -> list[BrokerEvent]: ...

    def account_values(self, account: str) -> list[AccountValues]: ...

    def events(self, account: str, since: int = 0) -> list[BrokerEvent]:
        """Events after the cursor ``since``, ascending."""
        ...
