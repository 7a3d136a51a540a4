"""What the platform asks of a broker."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import polars as pl

from trading.errors import OrderError
from trading.instruments import Instrument
from trading.orders.intents import OrderIntent
from trading.replay import ReplayConfig

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
    """An entry order as the broker holds it, with its exits.

    Attributes:
        status: of the entry. ``working`` with a ``filled_qty`` is partially filled; ``filled`` says that the position was
            opened, not that it is still there; ``cancelled`` with a ``filled_qty`` that the rest was cancelled.
        qty, filled_qty: of the entry.
        entry, stop, target: levels of what rests at the broker; None = nothing of the kind rests.
        stop_qty, target_qty: for how much the stop-loss and the target rest now: they follow the filled quantity, and shrink
            with every exit.
    """

    order_ref: str
    account: str
    variant: str
    symbol: str
    side: int
    qty: float
    status: OrderStatus
    filled_qty: float
    reason: str
    entry: float | None = None
    stop: float | None = None
    stop_qty: float = 0.0
    target: float | None = None
    target_qty: float = 0.0

    @property
    def protected(self) -> bool:
        """Whether a stop-loss of a position opened by it rests at the broker now."""
        return self.stop_qty > 0


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
        price, fee: of fills, currency; 0.0 otherwise.
        qty: of a fill; of an end, what had been filled of the entry before it.
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


def in_order(events: Iterable[BrokerEvent]) -> list[BrokerEvent]:
    """Events by number, executions among them by their id, each once: a broker may repeat itself and mix the order up.

    Raises:
        BrokerError: one execution id stands for two different executions.
    """
    found: dict[tuple[str, int | str], BrokerEvent] = {}
    for event in sorted(events, key=lambda event: event.seq):
        key = ("execution", event.execution_id) if event.execution_id else ("event", event.seq)
        known = found.setdefault(key, event)
        if (known.order_ref, known.leg, known.qty, known.price) != (event.order_ref, event.leg, event.qty, event.price):
            raise BrokerError(
                f"execution {event.execution_id} came twice: as {known.leg} of {known.qty:g} at {known.price:g} of order "
                f"{known.order_ref}, and as {event.leg} of {event.qty:g} at {event.price:g} of order {event.order_ref}"
            )
    fills = iter(sorted((e for e in found.values() if e.kind == "fill"), key=lambda e: _age(e.execution_id)))
    return [next(fills) if event.kind == "fill" else event for event in found.values()]


def _age(execution_id: str) -> tuple[int, str]:
    """Ids count upwards, with or without leading zeros."""
    return len(execution_id), execution_id


class Broker(Protocol):
    """One route to one venue. Every call that changes something is durable when it returns.

    A call raises BrokerUnavailable where its outcome is not known: the caller then connects again and asks :meth:`find`
    before it sends anything again. Nothing else is tried in its place.
    """

    def connect(self) -> None:
        """Make sure that the broker answers; after a BrokerUnavailable this is the way back."""
        ...

    def close(self) -> None:
        """Give the connection back; orders stay as they are."""
        ...

    def place_bracket(self, intents: Sequence[OrderIntent]) -> list[PlacedOrder]:
        """Place the sides of one setup, which cancel each other, each with its exits, which rest at the broker from the
        first fill on; an order_ref that is there is not placed again.
        """
        ...

    def find(self, order_ref: str) -> PlacedOrder | None:
        """The order, open or completed; None where the broker never took it."""
        ...

    def protect(self, order_ref: str, stop: float, target: float | None, at: dt.datetime) -> PlacedOrder:
        """Let exits at these levels rest for all that is held of the order's position, in place of those that rest now.

        Raises:
            UnknownOrder: there is no such order.
            BrokerError: it has no open position, or the levels are not on the instrument's grid.
        """
        ...

    def cancel(self, order_ref: str, at: dt.datetime, reason: str = "cancelled") -> bool:
        """Cancel what is left of an entry, and its other side; False where it is not working any more. UnknownOrder where
        it never was.
        """
        ...

    def cancel_all(self, account: str, at: dt.datetime, variant: str | None = None, reason: str = "cancelled") -> int:
        """Cancel the working entries of the account, or of one of its books; how many. Exits stay."""
        ...

    def flatten(
        self,
        account: str,
        at: dt.datetime,
        variant: str | None = None,
        reason: str = "flatten",
        order_ref: str | None = None,
    ) -> int:
        """Close open positions at the market: all of the account, of one of its books, or of one order; how many fills."""
        ...

    def open_orders(self, account: str) -> list[PlacedOrder]:
        """Working entries, and entries whose position is open."""
        ...

    def positions(self, account: str) -> list[BrokerPosition]: ...

    def executions(self, account: str, since: int = 0) -> list[BrokerEvent]:
        """Fills after the cursor ``since``, all of them: what :meth:`events` has not told yet, too."""
        ...

    def account_values(self, account: str) -> list[AccountValues]: ...

    def events(self, account: str, since: int = 0) -> list[BrokerEvent]:
        """What happened after the cursor ``since``. May repeat, mix up or hold back: see :func:`in_order`."""
        ...


class FedBroker(Broker, Protocol):
    """A broker whose market is the bars that it is fed: paper trading over past sessions."""

    def open_book(
        self, account: str, variant: str, config: ReplayConfig, instruments: Mapping[str, Instrument] | None = None
    ) -> None:
        """Make a book known, or check that it is the one that is known."""
        ...

    def clock(self, account: str, variant: str) -> dt.datetime | None:
        """Start of the last bar that the book has seen, UTC; None = none yet."""
        ...

    def advance(self, account: str, variant: str, bars: pl.DataFrame) -> int:
        """Play ``bars`` in the book; how many events came of it."""
        ...
