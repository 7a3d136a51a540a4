"""The ledger: an append-only record of orders, decisions and money on SQLite or PostgreSQL."""

import datetime as dt
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from resources.clock import SystemClock
from resources.ledger import chain, migration, queries, schema, triggers
from resources.ledger.chain import Heads, Problem
from resources.ledger.errors import LedgerConflict, LedgerError, LedgerTooNew, LedgerUnavailable
from resources.ledger.records import (
    Approval,
    Decision,
    Fill,
    KillSwitch,
    OpenPosition,
    OrderEvent,
    OrderStory,
    Position,
    RiskEvent,
    Worth,
)
from resources.ledger.sqlite_file import SqliteFile
from resources.ledger.writer import LedgerWriter
from trading.errors import ConfigError
from trading.orders.intents import OrderIntent
from trading.orders.lifecycle import OrderState

_PG_LOCK = 0x7472616469  # any constant shared by all writers of the ledger
_BUSY_SECONDS = 30


class Ledger:
    """Append-only tables with a hash chain each; current state is derived from events.

    Writers of all processes take turns (BEGIN IMMEDIATE on SQLite, an advisory lock on PostgreSQL), which the chain
    needs. Readers never wait. Opening makes the tables, or brings those of an older version to the newest schema
    (:mod:`resources.ledger.migration`); rows and their hashes stay as they are.

    Args:
        url: SQLAlchemy URL, ``sqlite:////path/ledger.db`` or ``postgresql+psycopg2://...``.
        clock: tells when a row was recorded; the times of what happened are handed in.

    Raises:
        ConfigError: the URL is not one of SQLite or PostgreSQL.
        LedgerUnavailable: the database cannot be reached. Never shows the password.
        LedgerTooNew: a newer version of the platform has written it.
    """

    def __init__(self, url: str, *, clock: Callable[[], dt.datetime] | None = None) -> None:
        self._clock = clock or SystemClock().now
        parsed = _parse(url)
        self.shown_url = parsed.render_as_string(hide_password=True)
        self._file = _file_of(parsed)
        self._engine = _engine(parsed)
        self._first_open = 0  # id of an intent before which all have ended
        try:
            self._bring_up_to_date()
            if self._file is not None:
                self._file.note_opened()
        except LedgerError:
            self.close()
            raise

    def close(self) -> None:
        """Give the database connections back."""
        self._engine.dispose()

    def _bring_up_to_date(self) -> None:
        try:
            with self._read() as connection:
                self.upgraded_from = migration.revision_of(connection)
            if self.upgraded_from != migration.NEWEST:
                with self._guard(), self._engine.connect() as connection, connection.begin():
                    _lock(connection)
                    migration.upgrade(connection)
        except LedgerTooNew as error:
            raise LedgerTooNew(f"the ledger {self.shown_url} cannot be used: {error}") from None

    @contextmanager
    def write(self) -> Iterator[LedgerWriter]:
        """One transaction of appends: all or none.

        Raises:
            LedgerConflict: a record of that identity is there.
            LedgerUnavailable: the database did not take it.
        """
        with self._guard(), self._engine.connect() as connection, connection.begin():
            _lock(connection)
            writer = LedgerWriter(connection, self._clock())
            yield writer
            writer.seal()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._guard(), self._engine.connect() as connection:
            reading = connection.execution_options(ledger_read_only=True)
            with reading.begin():
                yield reading

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            if self._file is not None:
                self._file.check()
            yield
        except IntegrityError as error:
            raise LedgerConflict(f"{self.shown_url}: {error.orig}") from error
        except (DBAPIError, PoolTimeout) as error:
            cause = error.orig if isinstance(error, DBAPIError) else "no connection is free"
            raise LedgerUnavailable(f"the ledger {self.shown_url} did not answer: {cause}") from None

    def clock_skew_seconds(self) -> float:
        """How far this clock is off, as far as the ledger can tell; takes the lock of a writer, and writes nothing.

        On PostgreSQL against the server's clock. On either, rows of the ledger that were recorded later than now.

        Raises:
            LedgerUnavailable: the ledger takes no write.
        """
        with self._guard(), self._engine.connect() as connection, connection.begin():
            _lock(connection)
            now = self._clock()
            newest = queries.newest_recording(connection)
            ahead = 0.0 if newest is None else max(0.0, (newest - now).total_seconds())
            if connection.dialect.name != "postgresql":
                return ahead
            server = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
            return float(max(ahead, abs((server - now).total_seconds())))

    # Orders

    def record_intents(self, intents: Sequence[OrderIntent]) -> int:
        """See :meth:`LedgerWriter.record_intents`."""
        with self.write() as w:
            return w.record_intents(intents)

    def record_event(self, intent: OrderIntent, state: OrderState, **fields: Any) -> None:
        """See :meth:`LedgerWriter.record_event`."""
        with self.write() as w:
            w.record_event(intent, state, **fields)

    def record_fill(self, fill: Fill) -> bool:
        """See :meth:`LedgerWriter.record_fill`."""
        with self.write() as w:
            return w.record_fill(fill)

    def intents(self, session: dt.date | None, account: str, variant: str | None = None) -> list[OrderIntent]:
        """Recorded intents of an account in order of recording; all sessions where None."""
        with self._read() as c:
            return queries.intents(c, account, session, variant)

    def states(self, account: str, session: dt.date) -> dict[str, tuple[OrderIntent, OrderState]]:
        """Intents of a session with their current state, by idempotency key, in order of recording."""
        with self._read() as c:
            return queries.states(c, account, session)

    def states_since(self, first: dt.date) -> list[tuple[OrderIntent, OrderState]]:
        """Intents of all accounts, of that session and later ones, with their current state, in order of recording."""
        with self._read() as c:
            return queries.states_since(c, first)

    def state_of(self, key: str) -> OrderState | None:
        """Current state of the order of that idempotency key; None = never recorded."""
        with self._read() as c:
            return queries.state_of(c, key)

    def open_intents(self, account: str | None = None) -> list[tuple[OrderIntent, OrderState]]:
        """Orders that the broker may hold: submitting, unknown, acknowledged, partially filled."""
        with self._read() as c:
            # what has ended stays so: the orders of years are gone through once, not at every look
            self._first_open = queries.first_open(c, self._first_open)
            return queries.working(c, account, self._first_open)

    def submitted(self, account: str, session: dt.date) -> list[OrderIntent]:
        """Intents of a session that were ever about to be sent."""
        with self._read() as c:
            return queries.submitted(c, account, session)

    def intents_by_ref(self, refs: Sequence[str]) -> dict[str, OrderIntent]:
        with self._read() as c:
            return queries.by_refs(c, refs)

    def events(self, key: str) -> list[OrderEvent]:
        """Events of one order, oldest first."""
        with self._read() as c:
            return queries.events(c, key)

    def events_between(self, account: str, after: dt.datetime, until: dt.datetime) -> list[OrderEvent]:
        """Events of an account's orders after one moment and up to another, in order of recording."""
        with self._read() as c:
            return queries.events_between(c, account, after, until)

    def fills(
        self, account: str | None = None, variant: str | None = None, session: dt.date | None = None
    ) -> list[Fill]:
        """Executions in order of recording."""
        with self._read() as c:
            return queries.fills(c, account, variant, session)

    def fills_of_sessions(self, account: str, after: dt.date, until: dt.date) -> list[Fill]:
        """Executions of sessions after one and up to another, in order of recording."""
        with self._read() as c:
            return queries.fills_of_sessions(c, account, after, until)

    def open_positions(self, account: str, variant: str | None = None) -> list[OpenPosition]:
        """Filled entries without an exit, in order of recording."""
        with self._read() as c:
            return queries.open_positions(c, account, variant)

    def broker_cursor(self, account: str) -> int:
        with self._read() as c:
            return queries.broker_cursor(c, account)

    def intent(self, order_ref: str) -> OrderStory:
        """One order from wish to end, by its order_ref or the beginning of it.

        Raises:
            LedgerError: no order, or several, begin so.
        """
        with self._read() as c:
            found = queries.by_prefix(c, order_ref)
            key = found.idempotency_key
            events = queries.events(c, key)
            return OrderStory(found, events[-1].state, tuple(events), tuple(queries.fills(c, key=key)))

    # Risk

    def record_risk_event(self, event: RiskEvent) -> bool:
        """See :meth:`LedgerWriter.record_risk_event`."""
        with self.write() as w:
            return w.record_risk_event(event)

    def risk_events(
        self, account: str | None = None, kind: str | None = None, session: dt.date | None = None
    ) -> list[RiskEvent]:
        with self._read() as c:
            return queries.risk_events(c, account, kind, session)

    def engage(
        self, scope: str, reason: str, by: str, at: dt.datetime, breach_id: str | None = None, *, flatten: bool = False
    ) -> bool:
        """See :meth:`LedgerWriter.engage`."""
        with self.write() as w:
            return w.engage(scope, reason, by, at, breach_id, flatten=flatten)

    def release(self, scope: str, by: str, reason: str, at: dt.datetime) -> None:
        """See :meth:`LedgerWriter.release`."""
        with self.write() as w:
            w.release(scope, by, reason, at)

    def kill_switch(self, account: str, variant: str) -> KillSwitch:
        """The switch in force for a book, any scope. Fails closed: a ledger that cannot be read counts as engaged."""
        try:
            with self._read() as c:
                return queries.kill_switch(c, account, variant)
        except Exception as error:  # a damaged row fails in ways of its own, and each of them stops
            return KillSwitch(True, "global", f"the state of the kill switch cannot be read: {error}", "router")

    def is_engaged(self, account: str, variant: str) -> bool:
        """Whether sending is stopped for the book; True where that cannot be known."""
        return self.kill_switch(account, variant).engaged

    def engaged_switches(self, at: dt.datetime | None = None) -> list[KillSwitch]:
        """All switches that are engaged now, or were at a time, newest first. LedgerUnavailable where that cannot be known."""
        with self._read() as c:
            return queries.engaged_switches(c, at=at)

    # Promotion, backtests

    def record_decision(self, decision: Mapping[str, Any], at: dt.datetime) -> bool:
        """See :meth:`LedgerWriter.record_decision`."""
        with self.write() as w:
            return w.record_decision(decision, at)

    def decisions(
        self, variant: str | None = None, before_session: dt.date | None = None, strategy_version: str | None = None
    ) -> list[Decision]:
        """Decisions as of sessions before ``before_session``, in order of (session, recording)."""
        with self._read() as c:
            return queries.decisions(c, variant, before_session, strategy_version)

    def decision(self, decision_id: str) -> Decision:
        """One decision by its id, or the beginning of it.

        Raises:
            LedgerError: no decision, or several, begin so.
        """
        with self._read() as c:
            found = queries.decisions_by_prefix(c, decision_id) if decision_id else []
        if len(found) == 1:
            return found[0]
        if found:
            raise LedgerError(
                f"decision {decision_id!r} is ambiguous: {', '.join(row.decision_id for row in found[:3])}; give more digits"
            )
        raise LedgerError(f"the ledger knows no decision {decision_id!r}; trading decision list shows those there are")

    def record_approval(self, approval: Approval) -> bool:
        """See :meth:`LedgerWriter.record_approval`."""
        with self.write() as w:
            return w.record_approval(approval)

    def approvals(self, variant: str, strategy_version: str) -> list[Approval]:
        with self._read() as c:
            return queries.approvals(c, variant, strategy_version)

    def record_backtest(self, *args: Any, **fields: Any) -> bool:
        """See :meth:`LedgerWriter.record_backtest`."""
        with self.write() as w:
            return w.record_backtest(*args, **fields)

    # Worth

    def record_worth(self, worth: Worth, positions: Sequence[Position] | None = None) -> bool:
        """See :meth:`LedgerWriter.record_worth`."""
        with self.write() as w:
            return w.record_worth(worth, positions)

    def worth(
        self,
        account: str,
        variant: str | None = None,
        before: dt.date | None = None,
        session: dt.date | None = None,
    ) -> list[Worth]:
        """Newest record of each book and session, in order of (session, variant)."""
        with self._read() as c:
            return queries.worth(c, account, variant, before, session)

    def last_worth(self, account: str, variant: str, before: dt.date) -> Worth | None:
        """Newest record of the book as of a session before ``before``."""
        with self._read() as c:
            return queries.last_worth(c, account, variant, before)

    def positions(self, account: str, session: dt.date, variant: str | None = None) -> list[Position]:
        """What was held at the end of a session, as it was recorded with the worth."""
        with self._read() as c:
            return queries.positions(c, account, session, variant)

    def realised(self, account: str, variant: str, capital: float) -> float:
        """Seed capital plus what every fill of the book has realised, summed without rounding on the way."""
        return self.money(account, variant, capital)[0]

    def money(self, account: str, variant: str, capital: float) -> tuple[float, float]:
        """:meth:`realised`, and the fees that the book has paid; each summed without rounding on the way."""
        with self._read() as c:
            found = queries.money_of(c, account, variant)
        return math.fsum([capital, *(realised for realised, _ in found)]), math.fsum(fee for _, fee in found)

    def last_release(self, scope: str) -> dt.datetime | None:
        """When a person last released the kill switch of ``scope``."""
        with self._read() as c:
            return queries.last_release(c, scope)

    def rows_after(self, table: str, row_id: int) -> list[Mapping[str, Any]]:
        """Rows of one table that came after that id, oldest first, as they are stored; for those who follow it."""
        with self._read() as c:
            return queries.rows_after(c, table, row_id)

    # Integrity

    def verify(self, kept: Heads | None = None, tables: Collection[str] | None = None) -> list[Problem]:
        """What was changed, removed, inserted or reordered since it was recorded; empty = all is as it was written.

        Args:
            kept: what :meth:`heads` gave at some time and was kept elsewhere.
            tables: look at these alone; None = all.
        """
        with self._read() as c:
            return list(chain.verify(c, kept, tables))

    def head(self, table: str) -> tuple[int, str]:
        """Last id and hash of one table: unchanged, nothing was recorded in it since."""
        with self._read() as c:
            return chain.head(c, schema.METADATA.tables[table])

    def protect(self) -> None:
        """Install the triggers that refuse changes again, where somebody has taken them off."""
        with self._guard(), self._engine.connect() as connection, connection.begin():
            _lock(connection)
            triggers.protect(connection, schema.METADATA.tables)

    def heads(self) -> dict[str, tuple[int, str]]:
        """Last id and hash of every table: kept elsewhere, they prove later that no tail was cut off."""
        with self._read() as c:
            return {table.name: chain.head(c, table) for table in schema.METADATA.sorted_tables}


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError(
            "the ledger's URL cannot be read; it must be like sqlite:////path/ledger.db or "
            "postgresql+psycopg2://user@host/db"
        ) from None
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise ConfigError(f"the ledger runs on sqlite or postgresql, not on {backend}")
    if parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg2")
    return parsed


def _file_of(url: URL) -> SqliteFile | None:
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return SqliteFile(Path(str(url.database)))


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": _BUSY_SECONDS})
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin below, not by the driver's guess
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "recursive_triggers=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("ledger_read_only", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PG_LOCK})
