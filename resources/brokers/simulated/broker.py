"""The simulated broker: fills by the replay's own rules from bars, and survives being killed."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from resources.brokers.simulated.books import Books
from resources.brokers.simulated.setups import AFTER_ARMING, armed_setup, one_setup
from resources.brokers.simulated.store import BrokerStore, OrderRow
from trading.instruments import Instrument
from trading.orders.intents import OrderIntent
from trading.ports.broker import (
    AccountValues,
    BrokerError,
    BrokerEvent,
    BrokerPosition,
    OrderStatus,
    PlacedOrder,
    UnknownOrder,
)
from trading.replay import ReplayConfig
from trading.replay.setups import BookEvent


class SimulatedBroker:
    """A broker whose market is the bars that it is fed; see :class:`trading.ports.broker.Broker`.

    Before orders can be placed for a book, :meth:`open_book` tells its rules and :meth:`advance` brings the bars. Every
    process that opens the file sees the same broker.

    Args:
        state_path: SQLite file; made where absent, its folder too.

    Raises:
        BrokerUnavailable: the file cannot be opened or is held by another process for longer than half a minute.
    """

    def __init__(self, state_path: Path | str) -> None:
        self._store = BrokerStore(Path(state_path))
        self._books = Books(self._store)

    def connect(self) -> None:
        """Check that the state can be read."""
        with self._store.snapshot():
            self._store.variants("")

    def close(self) -> None:
        self._store.close()

    def open_book(
        self,
        account: str,
        variant: str,
        config: ReplayConfig,
        instruments: Mapping[str, Instrument] | None = None,
    ) -> None:
        """Make the book known, or check that it is the one that is known.

        Args:
            config: rules and costs; ``initial_cash`` is the book's capital. A book without positions and pending orders
                takes another config and goes on with the equity it has.

        Raises:
            BrokerError: another config while the book has positions or pending orders, or another capital at any time.
        """
        with self._store.transaction():
            self._books.open(account, variant, config, instruments)

    def clock(self, account: str, variant: str) -> dt.datetime | None:
        """Start of the last bar that the book has seen, UTC."""
        with self._store.snapshot():
            row = self._store.book(account, variant)
        return None if row is None else row.clock

    def advance(self, account: str, variant: str, bars: pl.DataFrame) -> int:
        """Play ``bars`` in the book: fills and expiries become events; how many.

        Args:
            bars: the replay's columns and Boolean ``session_end``, all later than the book's clock.
                Events carry the start of the bar they happened on, as the replay's trades do.

        Raises:
            ContractViolation: the bars break the contract or come late; nothing has changed then.
        """
        with self._store.transaction():
            happened = self._books.load(account, variant).advance(bars)
            sessions: dict[dt.datetime, dt.date] = {}
            if happened:
                sessions = dict(zip(bars["Timestamp"].to_list(), bars["session"].to_list(), strict=True))
            count = sum(self._tell(account, event, sessions[event.time], event.time) for event in happened)
            self._books.save(account, variant, bars)
        return count

    def place_bracket(self, intents: Sequence[OrderIntent]) -> list[PlacedOrder]:
        """Arm the sides of one setup; it stands on the last bar that the book has seen.

        An order_ref that is there is not placed again, whatever became of it. A Symbol in a position takes no setup
        (rejected, ``in_position``); a pending setup of the Symbol is replaced (cancelled, ``replaced``).

        Raises:
            BrokerError: the intents are not sides of one setup, the book is not open, or its Symbol has moved on.
        """
        first = one_setup(intents)
        with self._store.transaction():
            known = [row for intent in intents if (row := self._store.order(intent.order_ref)) is not None]
            if known:
                return [self._placed(row) for row in known]
            book = self._books.load(first.account, first.variant)
            older = next((s for s in book.pending() if s.symbol == first.symbol), None)
            outcome = book.arm(armed_setup(intents))
            status, reason = AFTER_ARMING[outcome]
            for intent in intents:
                self._store.add_order(intent, status, reason)
                if status == "rejected" or status == "expired":
                    self._store.tell(
                        first.account, status, intent.order_ref, first.valid_from, first.session, reason
                    )  # fmt: skip
            if older is not None and outcome != "ignored_in_position":
                self._end(first.account, older.setup_id, "cancelled", "replaced", first.valid_from, first.session)
            self._books.save(first.account, first.variant)
            return [self._placed(row) for row in map(self._store.order, _refs(intents)) if row is not None]

    def find(self, order_ref: str) -> PlacedOrder | None:
        with self._store.snapshot():
            row = self._store.order(order_ref)
            return None if row is None else self._placed(row)

    def cancel(self, order_ref: str, at: dt.datetime, reason: str = "cancelled") -> bool:
        """Cancel an entry and its other side; reason ``validity_over`` makes them expired."""
        with self._store.transaction():
            row = self._store.order(order_ref)
            if row is None:
                raise UnknownOrder(f"the simulated broker knows no order {order_ref!r}")
            if row.status != "working":
                return False
            self._cancel_setup(row, at, reason)
        return True

    def cancel_all(self, account: str, at: dt.datetime, variant: str | None = None, reason: str = "cancelled") -> int:
        with self._store.transaction():
            setups = {row.setup_id: row for row in self._store.working(account, variant)}
            return sum(self._cancel_setup(row, at, reason) for _, row in sorted(setups.items()))

    def flatten(self, account: str, at: dt.datetime, variant: str | None = None, reason: str = "flatten") -> int:
        """Close positions at their last Close with slippage and fees."""
        count = 0
        with self._store.transaction():
            for name in self._store.variants(account):
                if variant in (None, name):
                    for event in self._books.load(account, name).flatten(reason=reason):
                        count += self._tell(account, event, self._session(account, name), at)
                    self._books.save(account, name)
        return count

    def open_orders(self, account: str) -> list[PlacedOrder]:
        """Working entries, and filled ones whose exits rest at the broker."""
        with self._store.snapshot():
            rows = self._store.working(account)
            held = [self._store.order(position.order_ref) for position in self._positions(account)]
            return [self._placed(row) for row in (*rows, *held) if row is not None]

    def positions(self, account: str) -> list[BrokerPosition]:
        with self._store.snapshot():
            return self._positions(account)

    def account_values(self, account: str) -> list[AccountValues]:
        with self._store.snapshot():
            values = []
            for variant in self._store.variants(account):
                book = self._books.load(account, variant)
                unrealised = sum(position.unrealised for position in book.positions())
                values.append(AccountValues(account, variant, book.realised(), unrealised))
            return values

    def events(self, account: str, since: int = 0) -> list[BrokerEvent]:
        with self._store.snapshot():
            return self._store.events(account, since)

    def executions(self, account: str, since: int = 0) -> list[BrokerEvent]:
        with self._store.snapshot():
            return self._store.events(account, since, fills_only=True)

    # What books and rows mean

    def _session(self, account: str, variant: str) -> dt.date:
        """Session of the last bar that the book has seen."""
        session = self._books.row(account, variant).session
        if session is None:
            raise BrokerError(f"book {account}/{variant} has seen no bar yet")
        return session

    def _placed(self, row: OrderRow) -> PlacedOrder:
        protected = False
        if row.status == "filled":
            held = self._books.load(row.account, row.variant).positions()
            protected = any(p.setup_id == row.setup_id and p.side == row.side for p in held)
        return PlacedOrder(
            row.order_ref, row.account, row.variant, row.symbol, row.side, row.qty, row.status, row.filled_qty, protected,
            row.reason,
        )  # fmt: skip

    def _positions(self, account: str) -> list[BrokerPosition]:
        return [
            BrokerPosition(
                account, variant, self._entered(p.setup_id, p.side).order_ref, p.symbol, p.side, p.qty, p.entry_price,
                p.last_close, p.unrealised,
            )
            for variant in self._store.variants(account)
            for p in self._books.load(account, variant).positions()
        ]  # fmt: skip

    def _entered(self, setup_id: str, side: int) -> OrderRow:
        return next(row for row in self._store.sides(setup_id) if row.side == side)

    def _tell(self, account: str, event: BookEvent, session: dt.date, at: dt.datetime) -> int:
        """Orders and events that a book's event leads to; how many events."""
        if event.kind not in ("entry", "exit"):
            status: OrderStatus = "expired" if event.kind == "expired" else "rejected"
            reason = "validity_over" if event.kind == "expired" else event.reason
            return self._end(account, event.setup_id, status, reason, at, session)
        ref = self._entered(event.setup_id, event.side).order_ref
        fill = (event.price, event.qty, event.fee)
        if event.kind == "exit":
            self._store.tell(account, "fill", ref, at, session, event.reason, "exit", *fill)
            return 1
        self._store.tell(account, "fill", ref, at, session, event.reason, "entry", *fill)
        self._store.set_order(ref, "filled", "", event.qty)
        return 1 + self._end(account, event.setup_id, "cancelled", "other_side_filled", at, session)

    def _cancel_setup(self, row: OrderRow, at: dt.datetime, reason: str) -> int:
        if not self._books.load(row.account, row.variant).cancel(row.setup_id):
            raise BrokerError(
                f"book {row.account}/{row.variant}: order of setup {row.setup_id} is working, the book does not hold it"
            )
        self._books.save(row.account, row.variant)
        status: OrderStatus = "expired" if reason == "validity_over" else "cancelled"
        return self._end(row.account, row.setup_id, status, reason, at, self._session(row.account, row.variant))

    def _end(
        self, account: str, setup_id: str, status: OrderStatus, reason: str, at: dt.datetime, session: dt.date
    ) -> int:
        """End the sides of a setup that are still working; how many."""
        assert status in ("cancelled", "rejected", "expired")
        ended = [row for row in self._store.sides(setup_id) if row.status == "working"]
        for row in ended:
            self._store.set_order(row.order_ref, status, reason, row.filled_qty)
            self._store.tell(account, status, row.order_ref, at, session, reason)
        return len(ended)


def _refs(intents: Sequence[OrderIntent]) -> list[str]:
    return [intent.order_ref for intent in intents]
