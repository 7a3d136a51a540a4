"""The simulated broker: fills by the replay's own rules from bars, and survives being killed.

One :class:`trading.replay.book.Book` per (account, variant). Everything lives in one SQLite file, each call is one
transaction, and processes take turns: what a call returned is there after any crash, what it did not is not.
"""

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from trading.instruments import Instrument
from trading.orders.intents import OrderIntent
from trading.ports.broker import (
    AccountValues,
    BrokerError,
    BrokerEvent,
    BrokerPosition,
    BrokerUnavailable,
    EventKind,
    Leg,
    OrderStatus,
    PlacedOrder,
    UnknownOrder,
)
from trading.replay import ReplayConfig
from trading.replay.book import Book
from trading.replay.setups import ArmedSetup, BookEvent

_BUSY_SECONDS = 30.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS books (
  account TEXT NOT NULL, variant TEXT NOT NULL, revision INTEGER NOT NULL, clock TEXT, session TEXT, config TEXT NOT NULL,
  instruments TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (account, variant)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
  order_ref TEXT PRIMARY KEY, setup_id TEXT NOT NULL, account TEXT NOT NULL, variant TEXT NOT NULL, symbol TEXT NOT NULL,
  side INTEGER NOT NULL, qty REAL NOT NULL, status TEXT NOT NULL, filled_qty REAL NOT NULL, reason TEXT NOT NULL
  ) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_by_setup ON orders (setup_id);
CREATE INDEX IF NOT EXISTS orders_working ON orders (account, status) WHERE status = 'working';
CREATE TABLE IF NOT EXISTS events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, kind TEXT NOT NULL, order_ref TEXT NOT NULL,
  leg TEXT NOT NULL, at TEXT NOT NULL, session TEXT NOT NULL, price REAL NOT NULL, qty REAL NOT NULL, fee REAL NOT NULL,
  reason TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_account ON events (account, seq);
"""
_ORDER = "order_ref, account, variant, symbol, side, qty, status, filled_qty, reason, setup_id"


@dataclass
class _Open:
    """A book in memory, as of ``revision`` of its row."""

    book: Book
    revision: int


class SimulatedBroker:
    """A broker whose market is the bars that it is fed; see :class:`trading.ports.broker.Broker`.

    Before orders can be placed for a book, :meth:`open_book` tells its rules and :meth:`advance` brings the bars.

    Args:
        state_path: SQLite file; made where absent, its folder too.

    Raises:
        BrokerUnavailable: the file cannot be opened or is held by another process for longer than half a minute.
    """

    def __init__(self, state_path: Path | str) -> None:
        self._path = Path(state_path)
        self._books: dict[tuple[str, str], _Open] = {}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._guard():
            self._db = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)

    def connect(self) -> None:
        """Check that the state can be read."""
        with self._guard():
            self._db.execute("SELECT 1 FROM books LIMIT 1").fetchall()

    def close(self) -> None:
        self._db.close()

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
        rules = config.model_dump_json()
        grid = json.dumps(
            None if instruments is None else {k: v.model_dump() for k, v in sorted(instruments.items())}, sort_keys=True
        )
        with self._transaction():
            row = self._db.execute(
                "SELECT config, instruments FROM books WHERE account = ? AND variant = ?", (account, variant)
            ).fetchone()
            if row == (rules, grid):
                return
            if row is None:
                book = Book(config, instruments)
                self._db.execute(
                    "INSERT INTO books VALUES (?, ?, 1, NULL, NULL, ?, ?, ?)",
                    (account, variant, rules, grid, json.dumps(book.state())),
                )
                self._books[account, variant] = _Open(book, 1)
                return
            held = self._load(account, variant)
            old = held.book
            if row[0] == rules:
                new = Book(config, instruments, old.state())
            else:
                held_cash = json.loads(row[0])["initial_cash"]
                if held_cash != config.initial_cash:
                    raise BrokerError(
                        f"book {account}/{variant} was opened with a capital of {held_cash:g}; it cannot become "
                        f"{config.initial_cash:g}, because the ledger counts from the first. Set it back in the account's "
                        "file, or trade the variant under another name"
                    )
                if old.positions() or old.pending():
                    raise BrokerError(
                        f"book {account}/{variant} has open positions or orders, its rules cannot change: they are "
                        f"{row[0]}, asked for are {rules}"
                    )
                state = old.state()
                fresh = Book(config, instruments).state()
                new = Book(config, instruments, {**state, "config": fresh["config"]})
            self._books[account, variant] = _Open(new, held.revision)
            self._db.execute(
                "UPDATE books SET config = ?, instruments = ? WHERE account = ? AND variant = ?",
                (rules, grid, account, variant),
            )
            self._store(account, variant)

    def clock(self, account: str, variant: str) -> dt.datetime | None:
        """Start of the last bar that the book has seen, UTC."""
        with self._guard():
            row = self._db.execute(
                "SELECT clock FROM books WHERE account = ? AND variant = ?", (account, variant)
            ).fetchone()
        return None if row is None or row[0] is None else dt.datetime.fromisoformat(row[0])

    def advance(self, account: str, variant: str, bars: pl.DataFrame) -> int:
        """Play ``bars`` in the book: fills and expiries become events; how many.

        Args:
            bars: the replay's columns and Boolean ``session_end``, all later than the book's clock.
                Events carry the start of the bar they happened on, as the replay's trades do.

        Raises:
            ContractViolation: the bars break the contract or come late; nothing has changed then.
        """
        with self._transaction():
            held = self._load(account, variant)
            sessions: dict[dt.datetime, dt.date] = {}
            try:
                happened = held.book.advance(bars)
            except BaseException:
                self._books.pop((account, variant), None)
                raise
            if happened:
                sessions = dict(zip(bars["Timestamp"].to_list(), bars["session"].to_list(), strict=True))
            count = 0
            for event in happened:
                count += self._book_event(account, event, sessions[event.time])
            self._store(account, variant, bars)
        return count

    def place_bracket(self, intents: Sequence[OrderIntent]) -> list[PlacedOrder]:
        """Arm the sides of one setup; it stands on the last bar that the book has seen.

        An order_ref that is there is not placed again, whatever became of it. A Symbol in a position takes no setup
        (rejected, ``in_position``); a pending setup of the Symbol is replaced (cancelled, ``replaced``).

        Raises:
            BrokerError: the intents are not sides of one setup, the book is not open, or its Symbol has moved on.
        """
        first = _one_setup(intents)
        with self._transaction():
            known = [self._find(intent.order_ref) for intent in intents]
            if any(known):
                return [order for order in known if order is not None]
            held = self._load(first.account, first.variant)
            older = next((s for s in held.book.pending() if s.symbol == first.symbol), None)
            outcome = held.book.arm(_armed(intents))
            status, reason = _OUTCOMES[outcome]
            for intent in intents:
                self._db.execute(
                    "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
                    (
                        intent.order_ref, first.oco_id, intent.account, intent.variant, intent.symbol, intent.side,
                        intent.qty, status, reason,
                    ),
                )  # fmt: skip
                if status != "working":
                    kind: EventKind = "rejected" if status == "rejected" else "expired"
                    self._tell(first.account, kind, intent.order_ref, first.valid_from, first.session, reason)
            if older is not None and outcome != "ignored_in_position":
                self._end(first.account, older.setup_id, "cancelled", "replaced", first.valid_from, first.session)
            self._store(first.account, first.variant)
            placed = [self._find(intent.order_ref) for intent in intents]
        return [order for order in placed if order is not None]

    def find(self, order_ref: str) -> PlacedOrder | None:
        with self._guard():
            return self._find(order_ref)

    def cancel(self, order_ref: str, at: dt.datetime, reason: str = "cancelled") -> bool:
        """Cancel an entry and its other side; reason ``validity_over`` makes them expired."""
        with self._transaction():
            row = self._db.execute(
                "SELECT setup_id, account, variant, status FROM orders WHERE order_ref = ?", (order_ref,)
            ).fetchone()
            if row is None:
                raise UnknownOrder(f"the simulated broker knows no order {order_ref!r}")
            setup_id, account, variant, status = row
            if status != "working":
                return False
            self._cancel_setup(account, variant, setup_id, at, reason)
        return True

    def cancel_all(self, account: str, at: dt.datetime, variant: str | None = None, reason: str = "cancelled") -> int:
        with self._transaction():
            rows = self._db.execute(
                "SELECT DISTINCT variant, setup_id FROM orders WHERE account = ? AND status = 'working' "
                "AND (variant = ? OR ? IS NULL) ORDER BY setup_id",
                (account, variant, variant),
            ).fetchall()
            return sum(self._cancel_setup(account, book, setup, at, reason) for book, setup in rows)

    def flatten(self, account: str, at: dt.datetime, variant: str | None = None, reason: str = "flatten") -> int:
        """Close positions at their last Close with slippage and fees."""
        count = 0
        with self._transaction():
            for name in self._variants(account):
                if variant in (None, name):
                    held = self._load(account, name)
                    for event in held.book.flatten(reason=reason):
                        count += self._book_event(account, event, self._session(account, name), at)
                    self._store(account, name)
        return count

    def open_orders(self, account: str) -> list[PlacedOrder]:
        """Working entries, and filled ones whose exits rest at the broker."""
        with self._snapshot():
            rows = self._db.execute(
                f"SELECT {_ORDER} FROM orders WHERE account = ? AND status = 'working' ORDER BY order_ref", (account,)
            ).fetchall()
            working = [_order(row, False) for row in rows]
            held = [self._find(position.order_ref) for position in self._positions(account)]
        return [*working, *(order for order in held if order is not None)]

    def positions(self, account: str) -> list[BrokerPosition]:
        with self._snapshot():
            return self._positions(account)

    def account_values(self, account: str) -> list[AccountValues]:
        with self._snapshot():
            values = []
            for variant in self._variants(account):
                book = self._load(account, variant).book
                unrealised = sum(position.unrealised for position in book.positions())
                values.append(AccountValues(account, variant, book.realised(), unrealised))
            return values

    def events(self, account: str, since: int = 0) -> list[BrokerEvent]:
        return list(self._events(account, since, ""))

    def executions(self, account: str, since: int = 0) -> list[BrokerEvent]:
        return list(self._events(account, since, "AND kind = 'fill'"))

    # State

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self._books.clear()
            raise BrokerUnavailable(f"the simulated broker at {self._path} did not answer: {error}") from error

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
        with self._guard():
            self._db.execute(begin)
            try:
                yield
            except BaseException:
                self._books.clear()
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _snapshot(self) -> Any:
        return self._transaction("BEGIN")

    def _variants(self, account: str) -> list[str]:
        rows = self._db.execute("SELECT variant FROM books WHERE account = ? ORDER BY variant", (account,))
        return [row[0] for row in rows.fetchall()]

    def _load(self, account: str, variant: str) -> _Open:
        """The book as it is stored now; kept in memory until another process changes it."""
        row = self._db.execute(
            "SELECT revision FROM books WHERE account = ? AND variant = ?", (account, variant)
        ).fetchone()
        if row is None:
            raise BrokerError(f"book {account}/{variant} is not open at the simulated broker; open_book comes first")
        held = self._books.get((account, variant))
        if held is not None and held.revision == row[0]:
            return held
        config, grid, state = self._db.execute(
            "SELECT config, instruments, state FROM books WHERE account = ? AND variant = ?", (account, variant)
        ).fetchone()
        raw = json.loads(grid)
        instruments = None if raw is None else {k: Instrument.model_validate(v) for k, v in raw.items()}
        book = Book(ReplayConfig.model_validate_json(config), instruments, json.loads(state))
        held = self._books[account, variant] = _Open(book, row[0])
        return held

    def _store(self, account: str, variant: str, bars: pl.DataFrame | None = None) -> None:
        held = self._books[account, variant]
        held.revision += 1
        clock = held.book.last_timestamp() if bars is not None and bars.height else None
        session = None if clock is None or bars is None else max(bars["session"].to_list())
        self._db.execute(
            "UPDATE books SET revision = ?, state = ?, clock = coalesce(?, clock), session = coalesce(?, session) "
            "WHERE account = ? AND variant = ?",
            (
                held.revision,
                json.dumps(held.book.state()),
                None if clock is None else clock.isoformat(),
                None if session is None else session.isoformat(),
                account,
                variant,
            ),
        )

    def _session(self, account: str, variant: str) -> dt.date:
        """Session of the last bar that the book has seen."""
        row = self._db.execute(
            "SELECT session FROM books WHERE account = ? AND variant = ?", (account, variant)
        ).fetchone()
        return dt.date.fromisoformat(row[0])

    def _find(self, order_ref: str) -> PlacedOrder | None:
        row = self._db.execute(f"SELECT {_ORDER} FROM orders WHERE order_ref = ?", (order_ref,)).fetchone()
        if row is None:
            return None
        protected = False
        if row[6] == "filled":
            held = self._load(row[1], row[2]).book.positions()
            protected = any(p.setup_id == row[9] and p.side == row[4] for p in held)
        return _order(row, protected)

    def _positions(self, account: str) -> list[BrokerPosition]:
        found = []
        for variant in self._variants(account):
            for p in self._load(account, variant).book.positions():
                ref = self._ref(p.setup_id, p.side)
                found.append(
                    BrokerPosition(
                        account, variant, ref, p.symbol, p.side, p.qty, p.entry_price, p.last_close, p.unrealised
                    )
                )
        return found

    def _ref(self, setup_id: str, side: int) -> str:
        row = self._db.execute(
            "SELECT order_ref FROM orders WHERE setup_id = ? AND side = ?", (setup_id, side)
        ).fetchone()
        return str(row[0])

    # Events

    def _events(self, account: str, since: int, also: str) -> Iterable[BrokerEvent]:
        with self._guard():
            rows = self._db.execute(
                "SELECT seq, kind, order_ref, leg, at, session, price, qty, fee, reason FROM events "
                f"WHERE account = ? AND seq > ? {also} ORDER BY seq",
                (account, since),
            ).fetchall()
        for seq, kind, ref, leg, at, session, price, qty, fee, reason in rows:
            yield BrokerEvent(
                seq, kind, ref, leg, dt.datetime.fromisoformat(at), dt.date.fromisoformat(session), price, qty, fee,
                reason, f"sim-{seq}" if kind == "fill" else "",
            )  # fmt: skip

    def _book_event(self, account: str, event: BookEvent, session: dt.date, at: dt.datetime | None = None) -> int:
        """Orders and events that a book's event leads to; how many events."""
        when = at or event.time
        if event.kind in ("entry", "exit"):
            ref = self._ref(event.setup_id, event.side)
            leg: Leg = "entry" if event.kind == "entry" else "exit"
            self._tell(account, "fill", ref, when, session, event.reason, leg, event.price, event.qty, event.fee)
            if leg == "exit":
                return 1
            self._db.execute(
                "UPDATE orders SET status = 'filled', filled_qty = ?, reason = '' WHERE order_ref = ?", (event.qty, ref)
            )
            return 1 + self._end(account, event.setup_id, "cancelled", "other_side_filled", when, session)
        status: OrderStatus = "expired" if event.kind == "expired" else "rejected"
        reason = "validity_over" if event.kind == "expired" else event.reason
        return self._end(account, event.setup_id, status, reason, when, session)

    def _cancel_setup(self, account: str, variant: str, setup_id: str, at: dt.datetime, reason: str) -> int:
        held = self._load(account, variant)
        if not held.book.cancel(setup_id):
            raise BrokerError(
                f"book {account}/{variant}: order of setup {setup_id} is working, the book does not hold it"
            )
        self._store(account, variant)
        session = self._session(account, variant)
        return self._end(
            account, setup_id, "expired" if reason == "validity_over" else "cancelled", reason, at, session
        )

    def _end(
        self, account: str, setup_id: str, status: OrderStatus, reason: str, at: dt.datetime, session: dt.date
    ) -> int:
        rows = self._db.execute(
            "SELECT order_ref FROM orders WHERE setup_id = ? AND status = 'working' ORDER BY side DESC", (setup_id,)
        ).fetchall()
        for (ref,) in rows:
            self._db.execute("UPDATE orders SET status = ?, reason = ? WHERE order_ref = ?", (status, reason, ref))
            kind: EventKind = "cancelled" if status == "cancelled" else "expired" if status == "expired" else "rejected"
            self._tell(account, kind, ref, at, session, reason)
        return len(rows)

    def _tell(
        self,
        account: str,
        kind: EventKind,
        ref: str,
        at: dt.datetime,
        session: dt.date,
        reason: str,
        leg: Leg = "entry",
        price: float = 0.0,
        qty: float = 0.0,
        fee: float = 0.0,
    ) -> None:
        self._db.execute(
            "INSERT INTO events (account, kind, order_ref, leg, at, session, price, qty, fee, reason) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (account, kind, ref, leg, at.isoformat(), session.isoformat(), price, qty, fee, reason),
        )


_OUTCOMES: dict[str, tuple[OrderStatus, str]] = {
    "armed": ("working", ""),
    "replaced": ("working", ""),
    "ignored_in_position": ("rejected", "in_position"),
    "expired": ("expired", "validity_over"),
    "rejected": ("rejected", "size"),
}


def _order(row: Sequence[Any], protected: bool) -> PlacedOrder:
    ref, account, variant, symbol, side, qty, status, filled, reason, _ = row
    return PlacedOrder(ref, account, variant, symbol, side, qty, status, filled, protected, reason)


def _one_setup(intents: Sequence[OrderIntent]) -> OrderIntent:
    if not intents:
        raise BrokerError("place_bracket needs at least one intent")
    first = intents[0]
    shared = ("oco_id", "account", "variant", "symbol", "setup_time", "session", "valid_sessions")
    for other in intents[1:]:
        for name in shared:
            if getattr(other, name) != getattr(first, name):
                raise BrokerError(f"intents {first.order_ref} and {other.order_ref} differ in {name}: not one setup")
    if len({intent.side for intent in intents}) < len(intents):
        raise BrokerError(f"setup {first.oco_id} has a side twice")
    return first


def _armed(intents: Sequence[OrderIntent]) -> ArmedSetup:
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
