"""The simulated broker: fills by the replay's own rules from bars, and survives being killed."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl

from resources.brokers.simulated.books import Books
from resources.brokers.simulated.executions import parts, shares
from resources.brokers.simulated.setups import AFTER_ARMING, armed_setup, one_setup
from resources.brokers.simulated.store import BrokerStore, Execution, OrderRow
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
from trading.replay.setups import BookEvent, Position


class SimulatedBroker:
    """A broker whose market is the bars that it is fed; see :class:`trading.ports.broker.Broker`.

    Before orders can be placed for a book, :meth:`open_book` tells its rules and :meth:`advance` brings the bars. Every
    process that opens the file sees the same broker.

    Args:
        state_path: SQLite file; made where absent, its folder too.
        executions_per_fill: in so many parts a fill is told. The first part of an entry is told at once, the others with
            the next call that changes something, so that the order is partially filled in between. Price and bar are
            the same: the sum is the replay's fill.

    Raises:
        BrokerUnavailable: the file cannot be opened or is held by another process for longer than half a minute.
    """

    def __init__(self, state_path: Path | str, *, executions_per_fill: int = 1) -> None:
        self._store = BrokerStore(Path(state_path))
        self._books = Books(self._store)
        self._parts = executions_per_fill

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
        """Play ``bars`` in the book: fills and expiries become events; how many setups that concerned.

        Args:
            bars: the replay's columns and Boolean ``session_end``, all later than the book's clock.
                Events carry the start of the bar they happened on, as the replay's trades do.

        Raises:
            ContractViolation: the bars break the contract or come late; nothing has changed then.
        """
        with self._change(account):
            happened = self._books.load(account, variant).advance(bars)
            sessions: dict[dt.datetime, dt.date] = {}
            if happened:
                sessions = dict(zip(bars["Timestamp"].to_list(), bars["session"].to_list(), strict=True))
            for event in happened:
                self._tell(account, variant, event, sessions[event.time], event.time)
            self._books.save(account, variant, bars)
        return len(happened)

    def place_bracket(self, intents: Sequence[OrderIntent]) -> list[PlacedOrder]:
        """Arm the sides of one setup; it stands on the last bar that the book has seen.

        An order_ref that is there is not placed again, whatever became of it. A Symbol in a position takes no setup
        (rejected, ``in_position``); a pending setup of the Symbol is replaced (cancelled, ``replaced``).

        Raises:
            BrokerError: the intents are not sides of one setup, the book is not open, or its Symbol has moved on.
        """
        first = one_setup(intents)
        with self._change(first.account):
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
                self._end(older.setup_id, "cancelled", "replaced", first.valid_from, first.session)
            self._books.save(first.account, first.variant)
            return [self._placed(row) for row in map(self._store.order, _refs(intents)) if row is not None]

    def find(self, order_ref: str) -> PlacedOrder | None:
        with self._store.snapshot():
            row = self._store.order(order_ref)
            return None if row is None else self._placed(row)

    def protect(self, order_ref: str, stop: float, target: float | None, at: dt.datetime) -> PlacedOrder:  # noqa: ARG002
        with self._change(self._account_of(order_ref)):
            self._set_exits(self._known(order_ref), stop, target)
            return self._placed(self._known(order_ref))

    def lose_exits(self, order_ref: str) -> None:
        """Drop the exits of an open position, as a broker may lose them: for drills of what notices and mends it."""
        with self._change(self._account_of(order_ref)):
            self._set_exits(self._known(order_ref), None, None)

    def cancel(self, order_ref: str, at: dt.datetime, reason: str = "cancelled") -> bool:
        """Cancel an entry and its other side; reason ``validity_over`` makes them expired."""
        with self._change(self._account_of(order_ref)):
            row = self._known(order_ref)
            if row.status != "working":
                return False
            self._cancel_setup(row, at, reason)
            self._books.save(row.account, row.variant)
        return True

    def cancel_all(self, account: str, at: dt.datetime, variant: str | None = None, reason: str = "cancelled") -> int:
        with self._change(account):
            setups = {row.setup_id: row for row in self._store.working(account, variant)}
            count = sum(self._cancel_setup(row, at, reason) for _, row in sorted(setups.items()))
            for name in sorted({row.variant for row in setups.values()}):
                self._books.save(account, name)
            return count

    def flatten(
        self,
        account: str,
        at: dt.datetime,
        variant: str | None = None,
        reason: str = "flatten",
        order_ref: str | None = None,
    ) -> int:
        """Close positions at their last Close with slippage and fees; how many."""
        count = 0
        with self._change(account):
            order = None if order_ref is None else self._known(order_ref)
            for name in self._store.variants(account):
                if variant not in (None, name) or (order is not None and order.variant != name):
                    continue
                book = self._books.load(account, name)
                if order is not None and not any(_is_of(p, order) for p in book.positions()):
                    continue
                closed = book.flatten(None if order is None else order.symbol, reason=reason)
                for event in closed:
                    self._tell(account, name, event, self._session(account, name), at)
                self._books.save(account, name)
                count += len(closed)
        return count

    def open_orders(self, account: str) -> list[PlacedOrder]:
        """Working entries, and filled ones whose exits rest at the broker."""
        with self._store.snapshot():
            rows = {row.order_ref: row for row in self._store.working(account)}
            rows |= {position.order_ref: self._known(position.order_ref) for position in self._positions(account)}
            return [self._placed(row) for row in rows.values()]

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

    @contextmanager
    def _change(self, account: str) -> Iterator[None]:
        """One transaction; what was held back until the next change is told first."""
        with self._store.transaction():
            for execution in self._store.take_untold(account):
                self._tell_entry(account, execution)
            yield

    def _account_of(self, order_ref: str) -> str:
        with self._store.snapshot():
            return self._known(order_ref).account

    def _known(self, order_ref: str) -> OrderRow:
        row = self._store.order(order_ref)
        if row is None:
            raise UnknownOrder(f"the simulated broker knows no order {order_ref!r}")
        return row

    def _session(self, account: str, variant: str) -> dt.date:
        """Session of the last bar that the book has seen."""
        session = self._books.row(account, variant).session
        if session is None:
            raise BrokerError(f"book {account}/{variant} has seen no bar yet")
        return session

    def _placed(self, row: OrderRow) -> PlacedOrder:
        base = PlacedOrder(
            row.order_ref,
            row.account,
            row.variant,
            row.symbol,
            row.side,
            row.qty,
            row.status,
            row.filled_qty,
            row.reason,
        )
        if row.filled_qty > 0:
            held = next((p for p in self._books.load(row.account, row.variant).positions() if _is_of(p, row)), None)
            if held is None:
                return base
            qty = held.qty - self._store.untold(row.account).get(row.order_ref, 0.0)
            return replace(
                base, stop=held.stop, target=held.target, stop_qty=0.0 if held.stop is None else qty,
                target_qty=0.0 if held.target is None else qty,
            )  # fmt: skip
        if row.status == "working":
            pending = self._books.load(row.account, row.variant).pending()
            setup = next((s for s in pending if s.setup_id == row.setup_id), None)
            if setup is not None and row.side > 0:
                return replace(base, entry=setup.long_entry, stop=setup.sl_long, target=setup.tp_long)
            if setup is not None:
                return replace(base, entry=setup.short_entry, stop=setup.sl_short, target=setup.tp_short)
        return base

    def _positions(self, account: str) -> list[BrokerPosition]:
        untold = self._store.untold(account)
        found = []
        for variant in self._store.variants(account):
            for p in self._books.load(account, variant).positions():
                ref = self._entered(p.setup_id, p.side).order_ref
                qty = p.qty - untold.get(ref, 0.0)
                unrealised = p.unrealised if qty == p.qty else p.side * qty * (p.last_close - p.entry_price)
                found.append(
                    BrokerPosition(
                        account, variant, ref, p.symbol, p.side, qty, p.entry_price, p.last_close, unrealised
                    )
                )
        return found

    def _entered(self, setup_id: str, side: int) -> OrderRow:
        return next(row for row in self._store.sides(setup_id) if row.side == side)

    def _set_exits(self, row: OrderRow, stop: float | None, target: float | None) -> None:
        if not self._books.load(row.account, row.variant).set_exits(row.setup_id, stop, target):
            raise BrokerError(f"order {row.order_ref} of book {row.account}/{row.variant} has no open position")
        self._books.save(row.account, row.variant)

    def _tell(self, account: str, variant: str, event: BookEvent, session: dt.date, at: dt.datetime) -> None:
        """Orders and events that a book's event leads to."""
        if event.kind not in ("entry", "exit"):
            status: OrderStatus = "expired" if event.kind == "expired" else "rejected"
            reason = "validity_over" if event.kind == "expired" else event.reason
            self._end(event.setup_id, status, reason, at, session)
            return
        order = self._entered(event.setup_id, event.side)
        quantities = parts(event.qty, self._parts, self._books.lot(account, variant, event.symbol))
        fees = shares(event.fee, quantities)
        if event.kind == "exit":
            for execution in self._store.take_untold(account, order.order_ref):
                self._tell_entry(account, execution)
            for qty, fee in zip(quantities, fees, strict=True):
                self._store.tell(
                    account, "fill", order.order_ref, at, session, event.reason, "exit", event.price, qty, fee
                )
            return
        executions = [
            Execution(order.order_ref, at, session, event.price, qty, fee, number == len(quantities))
            for number, (qty, fee) in enumerate(zip(quantities, fees, strict=True), start=1)
        ]
        self._tell_entry(account, executions[0])
        for other in self._store.sides(event.setup_id):
            if other.side != event.side:
                self._end_order(other, "cancelled", "other_side_filled", at, session)
        for execution in executions[1:]:
            self._store.hold_back(account, execution)

    def _tell_entry(self, account: str, e: Execution) -> None:
        """A part of an entry's fill; with the last one, what could not be paid for is cancelled."""
        order = self._known(e.order_ref)
        filled = order.filled_qty + e.qty
        self._store.tell(account, "fill", e.order_ref, e.at, e.session, "entry", "entry", e.price, e.qty, e.fee)
        done = e.last and filled >= order.qty
        self._store.set_order(e.order_ref, "filled" if done else "working", "", filled)
        if e.last and not done:
            self._end_order(self._known(e.order_ref), "cancelled", "buying_power", e.at, e.session)

    def _cancel_setup(self, row: OrderRow, at: dt.datetime, reason: str) -> int:
        """Take a setup out of its book in memory, which the caller saves, and end its orders; how many."""
        if not self._books.load(row.account, row.variant).cancel(row.setup_id):
            raise BrokerError(
                f"book {row.account}/{row.variant}: order of setup {row.setup_id} is working, the book does not hold it"
            )
        status: OrderStatus = "expired" if reason == "validity_over" else "cancelled"
        return self._end(row.setup_id, status, reason, at, self._session(row.account, row.variant))

    def _end(self, setup_id: str, status: OrderStatus, reason: str, at: dt.datetime, session: dt.date) -> int:
        """End the sides of a setup that are still working; how many."""
        return sum(self._end_order(row, status, reason, at, session) for row in self._store.sides(setup_id))

    def _end_order(self, row: OrderRow, status: OrderStatus, reason: str, at: dt.datetime, session: dt.date) -> bool:
        if row.status != "working":
            return False
        assert status in ("cancelled", "rejected", "expired")
        self._store.set_order(row.order_ref, status, reason, row.filled_qty)
        self._store.tell(row.account, status, row.order_ref, at, session, reason, qty=row.filled_qty)
        return True


def _is_of(position: Position, row: OrderRow) -> bool:
    return (position.setup_id, position.side) == (row.setup_id, row.side)


def _refs(intents: Sequence[OrderIntent]) -> list[str]:
    return [intent.order_ref for intent in intents]
