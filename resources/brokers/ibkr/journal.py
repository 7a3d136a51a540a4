"""What was sent to the broker, written before it is sent, and what the broker told, numbered.

The broker forgets executions and completed orders overnight and knows nothing of books: this file does. It holds the
platform's name of the account, never its number.
"""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trading.ports.broker import BrokerEvent, BrokerUnavailable, EventKind, Leg

_FIRST_SECOND = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    order_ref TEXT PRIMARY KEY, account TEXT NOT NULL, variant TEXT NOT NULL, symbol TEXT NOT NULL, con_id INTEGER NOT NULL,
    side INTEGER NOT NULL, qty REAL NOT NULL, wished REAL NOT NULL, entry REAL NOT NULL, stop REAL NOT NULL, target REAL,
    oco_id TEXT NOT NULL, session TEXT NOT NULL, valid_to TEXT NOT NULL, order_ids TEXT NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0, ended TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, account TEXT NOT NULL, kind TEXT NOT NULL, order_ref TEXT NOT NULL, leg TEXT NOT NULL,
    at TEXT NOT NULL, session TEXT NOT NULL, price REAL NOT NULL, qty REAL NOT NULL, fee REAL NOT NULL,
    reason TEXT NOT NULL, execution_id TEXT, side INTEGER NOT NULL, con_id INTEGER NOT NULL, symbol TEXT NOT NULL,
    UNIQUE (account, execution_id)
);
"""


@dataclass(frozen=True)
class Sent:
    """A bracket that was or is about to be sent.

    Attributes:
        qty, wished: sent, and asked for; they differ by the contract's size increment.
        order_ids: of its legs, comma separated.
        acknowledged: whether the broker has confirmed it.
        ended, reason: how the entry ended other than by its fill; empty while it has not.
    """

    order_ref: str
    account: str
    variant: str
    symbol: str
    con_id: int
    side: int
    qty: float
    wished: float
    entry: float
    stop: float
    target: float | None
    oco_id: str
    session: str
    valid_to: str
    order_ids: str
    acknowledged: int = 0
    ended: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Execution:
    """A fill with what the books need of it."""

    event: BrokerEvent
    side: int
    con_id: int
    symbol: str


class Journal:
    """One file; each change is durable when its call returns.

    Raises:
        BrokerUnavailable: the file cannot be written or read, so that nothing may be sent.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as db:
            for statement in _SCHEMA.split(";"):
                db.execute(statement)

    def sent(self, order_ref: str) -> Sent | None:
        return next(iter(self._sent("WHERE order_ref = ?", order_ref)), None)

    def all_sent(self, account: str) -> list[Sent]:
        return self._sent("WHERE account = ? ORDER BY rowid", account)

    def record_sent(self, orders: list[Sent]) -> None:
        names = list(Sent.__dataclass_fields__)
        places = ", ".join("?" * len(names))
        with self._open() as db:
            db.executemany(
                f"INSERT OR REPLACE INTO orders ({', '.join(names)}) VALUES ({places})",
                [[getattr(order, name) for name in names] for order in orders],
            )

    def acknowledge(self, order_refs: list[str]) -> None:
        with self._open() as db:
            db.executemany("UPDATE orders SET acknowledged = 1 WHERE order_ref = ?", [(ref,) for ref in order_refs])

    def note_reason(self, order_ref: str, reason: str) -> None:
        """Why the entry is about to be cancelled."""
        with self._open() as db:
            db.execute("UPDATE orders SET reason = ? WHERE order_ref = ? AND ended = ''", (reason, order_ref))

    def end(self, order: Sent, kind: EventKind, reason: str, at: dt.datetime, session: dt.date, filled: float) -> None:
        """The entry is over; once."""
        with self._open() as db:
            changed = db.execute(
                "UPDATE orders SET ended = ?, reason = ? WHERE order_ref = ? AND ended = ''",
                (kind, reason, order.order_ref),
            ).rowcount
            if changed:
                event = BrokerEvent(0, kind, order.order_ref, "entry", at, session, qty=filled, reason=reason)
                self._append(db, order.account, Execution(event, order.side, order.con_id, order.symbol))

    def record_fills(self, account: str, fills: list[Execution]) -> None:
        """Those that are not there yet."""
        with self._open() as db:
            for fill in fills:
                known = db.execute(
                    "SELECT 1 FROM events WHERE account = ? AND execution_id = ?", (account, fill.event.execution_id)
                ).fetchone()
                if known is None:
                    self._append(db, account, fill)

    def executions(self, account: str, since: int = 0) -> list[Execution]:
        """Events of every kind after ``since``, oldest first."""
        with self._open() as db:
            rows = db.execute(
                "SELECT seq, kind, order_ref, leg, at, session, price, qty, fee, reason, execution_id, side, con_id, symbol "
                "FROM events WHERE account = ? AND seq > ? ORDER BY seq",
                (account, since),
            ).fetchall()
        return [_execution(row) for row in rows]

    def _append(self, db: sqlite3.Connection, account: str, fill: Execution) -> None:
        e = fill.event
        last = db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
        # Numbers go on where they were even if this file was lost: the ledger's cursor must not be ahead of them.
        seq = max(last + 1, int((e.at - _FIRST_SECOND).total_seconds()))
        db.execute(
            f"INSERT INTO events VALUES ({', '.join('?' * 15)})",
            (
                seq, account, e.kind, e.order_ref, e.leg, e.at.isoformat(), e.session.isoformat(), e.price, e.qty, e.fee,
                e.reason, e.execution_id or None, fill.side, fill.con_id, fill.symbol,
            ),
        )  # fmt: skip

    def _sent(self, where: str, *values: object) -> list[Sent]:
        names = ", ".join(Sent.__dataclass_fields__)
        with self._open() as db:
            return [Sent(*row) for row in db.execute(f"SELECT {names} FROM orders {where}", values)]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._path, timeout=10, isolation_level=None)
            try:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
                db.execute("BEGIN IMMEDIATE")
                with db:
                    yield db
            finally:
                db.close()
        except (sqlite3.Error, OSError) as error:
            raise BrokerUnavailable(f"the broker's journal {self._path} cannot be used: {error}") from error


def _execution(row: tuple[object, ...]) -> Execution:
    seq, kind, ref, leg, at, session, price, qty, fee, reason, execution_id, side, con_id, symbol = row
    kinds: dict[str, EventKind] = {name: name for name in ("fill", "cancelled", "rejected", "expired")}
    legs: dict[str, Leg] = {"entry": "entry", "exit": "exit"}
    event = BrokerEvent(
        int(str(seq)), kinds[str(kind)], str(ref), legs[str(leg)], dt.datetime.fromisoformat(str(at)),
        dt.date.fromisoformat(str(session)), float(str(price)), float(str(qty)), float(str(fee)), str(reason),
        str(execution_id or ""),
    )  # fmt: skip
    return Execution(event, int(str(side)), int(str(con_id)), str(symbol))
