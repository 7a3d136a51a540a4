"""The simulated broker's state in one SQLite file: orders, events and stored books.

Each call of the broker is one transaction, and processes take turns: what a call returned is there after any crash, what
it did not is not.
"""

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trading.orders.intents import OrderIntent
from trading.ports.broker import BrokerEvent, BrokerUnavailable, EventKind, Leg, OrderStatus

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
CREATE TABLE IF NOT EXISTS untold (
  id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, order_ref TEXT NOT NULL, at TEXT NOT NULL,
  session TEXT NOT NULL, price REAL NOT NULL, qty REAL NOT NULL, fee REAL NOT NULL, last INTEGER NOT NULL);
"""
_ORDER = "order_ref, setup_id, account, variant, symbol, side, qty, status, filled_qty, reason"


@dataclass(frozen=True)
class OrderRow:
    """An entry order as it is stored."""

    order_ref: str
    setup_id: str
    account: str
    variant: str
    symbol: str
    side: int
    qty: float
    status: OrderStatus
    filled_qty: float
    reason: str


@dataclass(frozen=True)
class Execution:
    """A part of an entry's fill; ``last`` says that no other follows."""

    order_ref: str
    at: dt.datetime
    session: dt.date
    price: float
    qty: float
    fee: float
    last: bool


@dataclass(frozen=True)
class BookRow:
    """A book as it is stored: its rules, instruments and state as JSON; ``revision`` grows with every change."""

    revision: int
    clock: dt.datetime | None
    session: dt.date | None
    config: str
    instruments: str
    state: str


class BrokerStore:
    """Rows of one state file. Reads and writes belong within :meth:`transaction` or :meth:`snapshot`.

    Attributes:
        on_failure: called where a transaction was undone: what is kept in memory may no longer be what is stored.

    Raises:
        BrokerUnavailable: the file cannot be opened or is held by another process for longer than half a minute.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.on_failure: Callable[[], None] = lambda: None
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._guard():
            self._db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
        """All that is written within, or nothing of it."""
        with self._guard():
            self._db.execute(begin)
            try:
                yield
            except BaseException:
                self.on_failure()
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Reads of one moment."""
        with self.transaction("BEGIN"):
            yield

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self.on_failure()
            raise BrokerUnavailable(f"the simulated broker at {self._path} did not answer: {error}") from error

    # Books

    def book(self, account: str, variant: str) -> BookRow | None:
        row = self._db.execute(
            "SELECT revision, clock, session, config, instruments, state FROM books WHERE account = ? AND variant = ?",
            (account, variant),
        ).fetchone()
        if row is None:
            return None
        revision, clock, session, *texts = row
        return BookRow(
            revision,
            None if clock is None else dt.datetime.fromisoformat(clock),
            None if session is None else dt.date.fromisoformat(session),
            *texts,
        )

    def revision(self, account: str, variant: str) -> int | None:
        """Of the stored book; None = there is none."""
        row = self._db.execute(
            "SELECT revision FROM books WHERE account = ? AND variant = ?", (account, variant)
        ).fetchone()
        return None if row is None else int(row[0])

    def put_book(self, account: str, variant: str, row: BookRow) -> None:
        self._db.execute(
            "INSERT INTO books VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, variant) DO UPDATE SET "
            "revision = excluded.revision, clock = excluded.clock, session = excluded.session, config = excluded.config, "
            "instruments = excluded.instruments, state = excluded.state",
            (
                account, variant, row.revision, None if row.clock is None else row.clock.isoformat(),
                None if row.session is None else row.session.isoformat(), row.config, row.instruments, row.state,
            ),
        )  # fmt: skip

    def variants(self, account: str) -> list[str]:
        rows = self._db.execute("SELECT variant FROM books WHERE account = ? ORDER BY variant", (account,))
        return [row[0] for row in rows.fetchall()]

    # Orders

    def order(self, order_ref: str) -> OrderRow | None:
        row = self._db.execute(f"SELECT {_ORDER} FROM orders WHERE order_ref = ?", (order_ref,)).fetchone()
        return None if row is None else OrderRow(*row)

    def sides(self, setup_id: str) -> list[OrderRow]:
        """The orders of a setup, long before short."""
        rows = self._db.execute(f"SELECT {_ORDER} FROM orders WHERE setup_id = ? ORDER BY side DESC", (setup_id,))
        return [OrderRow(*row) for row in rows.fetchall()]

    def working(self, account: str, variant: str | None = None) -> list[OrderRow]:
        rows = self._db.execute(
            f"SELECT {_ORDER} FROM orders WHERE account = ? AND status = 'working' AND (variant = ? OR ? IS NULL) "
            "ORDER BY order_ref",
            (account, variant, variant),
        )
        return [OrderRow(*row) for row in rows.fetchall()]

    def add_order(self, intent: OrderIntent, status: OrderStatus, reason: str) -> None:
        self._db.execute(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
            (
                intent.order_ref, intent.oco_id, intent.account, intent.variant, intent.symbol, intent.side, intent.qty,
                status, reason,
            ),
        )  # fmt: skip

    def set_order(self, order_ref: str, status: OrderStatus, reason: str, filled_qty: float) -> None:
        self._db.execute(
            "UPDATE orders SET status = ?, reason = ?, filled_qty = ? WHERE order_ref = ?",
            (status, reason, filled_qty, order_ref),
        )

    # Events

    def tell(
        self,
        account: str,
        kind: EventKind,
        order_ref: str,
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
            (account, kind, order_ref, leg, at.isoformat(), session.isoformat(), price, qty, fee, reason),
        )

    def events(self, account: str, since: int, *, fills_only: bool = False) -> list[BrokerEvent]:
        """Ascending, those after ``since``."""
        rows = self._db.execute(
            "SELECT seq, kind, order_ref, leg, at, session, price, qty, fee, reason FROM events "
            f"WHERE account = ? AND seq > ? {'AND kind = ' + repr('fill') if fills_only else ''} ORDER BY seq",
            (account, since),
        ).fetchall()
        return [
            BrokerEvent(
                seq, kind, ref, leg, dt.datetime.fromisoformat(at), dt.date.fromisoformat(session), price, qty, fee,
                reason, f"sim-{seq}" if kind == "fill" else "",
            )
            for seq, kind, ref, leg, at, session, price, qty, fee, reason in rows
        ]  # fmt: skip

    # Executions that have happened and are told later

    def hold_back(self, account: str, execution: Execution) -> None:
        e = execution
        self._db.execute(
            "INSERT INTO untold (account, order_ref, at, session, price, qty, fee, last) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (account, e.order_ref, e.at.isoformat(), e.session.isoformat(), e.price, e.qty, e.fee, e.last),
        )

    def untold(self, account: str) -> dict[str, float]:
        """Quantity that is held back, by order_ref."""
        rows = self._db.execute("SELECT order_ref, sum(qty) FROM untold WHERE account = ? GROUP BY 1", (account,))
        return dict(rows.fetchall())

    def take_untold(self, account: str, order_ref: str | None = None) -> list[Execution]:
        """What was held back, of the account or of one order, in its order; it is so no more."""
        where, names = "account = ? AND (order_ref = ? OR ? IS NULL)", (account, order_ref, order_ref)
        rows = self._db.execute(
            f"SELECT order_ref, at, session, price, qty, fee, last FROM untold WHERE {where} ORDER BY id", names
        ).fetchall()
        if rows:
            self._db.execute(f"DELETE FROM untold WHERE {where}", names)
        return [
            Execution(ref, dt.datetime.fromisoformat(at), dt.date.fromisoformat(session), price, qty, fee, bool(last))
            for ref, at, session, price, qty, fee, last in rows
        ]
