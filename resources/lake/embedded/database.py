"""The SQLite database of an embedded lake: schema, connections, short transactions, tree nodes."""

import contextlib
import os
import sqlite3
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from resources.lake.embedded.schema import FORMAT, can_migrate, create_tables, define_seal, migrate
from resources.lake.embedded.tree import Node, decode, encode, stored_hash
from resources.lake.errors import Contention, CorruptObject, Gone, LakeUnavailable, Unsupported

BUSY_SECONDS: Final = 60.0
"""How long a call waits for other writers before it raises Contention."""

_PAUSE_SECONDS: Final = 0.01
_CACHED_NODES: Final = 4096
_SYNC_NORMAL, _SYNC_FULL = 1, 2
_CONTENDED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class _Connection:
    """A connection of one thread, closed with it."""

    def __init__(self, file: Path, busy_seconds: float) -> None:
        self.pid = os.getpid()
        # shared between threads only so that a close() or a garbage collector of another thread may close it
        self.sql = sqlite3.connect(
            file, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        self.synchronous = -1
        self.sql.execute("PRAGMA cache_size = -16000")
        self.sql.execute("PRAGMA trusted_schema = ON")  # some builds of SQLite leave row_seal out otherwise
        define_seal(self.sql)

    def set_synchronous(self, level: int) -> None:
        if self.synchronous != level:
            self.sql.execute(f"PRAGMA synchronous = {level}")
            self.synchronous = level

    def __del__(self) -> None:
        # a connection inherited through fork belongs to the parent: closing it here would break its locks. When the interpreter
        # ends there may be no os any more; then the process closes it
        if os is not None and self.pid == os.getpid():
            self.sql.close()


class Database:
    """Connections per thread, transactions, and the node store of the trees.

    Raises, from every call: Contention where another writer held the database past the busy timeout,
    LakeUnavailable where SQLite cannot read or write it.
    """

    def __init__(self, file: Path, busy_seconds: float = BUSY_SECONDS) -> None:
        self.file = file
        self._busy_seconds = busy_seconds
        self._local = threading.local()
        self._nodes: OrderedDict[str, Node] = OrderedDict()
        self._lock = threading.Lock()

    def create(self, first_rows: Callable[[sqlite3.Connection], None]) -> None:
        """Create schema and first rows, or bring an older format to this one; in one transaction, any process may.

        Raises Unsupported for a format of a later version.
        """
        with self.translated_errors():
            sql = self.connection()
            if sql.execute("PRAGMA user_version").fetchone()[0] == FORMAT:
                return
            if self._journal_mode_wal(sql) != "wal":
                raise LakeUnavailable(f"{self.file}: this file system does not carry SQLite's WAL mode")
        with self.write() as sql:
            version = sql.execute("PRAGMA user_version").fetchone()[0]
            if version == FORMAT:
                return
            if can_migrate(version):
                migrate(sql)
                return
            if version:
                raise Unsupported(f"{self.file}: store format {version}, this version reads format {FORMAT}")
            create_tables(sql)
            first_rows(sql)

    def _journal_mode_wal(self, sql: sqlite3.Connection) -> str:
        """Ask for WAL mode; the mode then. SQLite itself would not wait here for another process that does the same."""
        stop = time.monotonic() + self._busy_seconds
        while True:
            try:
                return str(sql.execute("PRAGMA journal_mode = WAL").fetchone()[0])
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _CONTENDED or time.monotonic() > stop:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def connection(self) -> sqlite3.Connection:
        """This thread's connection, outside of a transaction unless inside :meth:`read` or :meth:`write`."""
        return self._held().sql

    def _held(self) -> _Connection:
        held: _Connection | None = getattr(self._local, "connection", None)
        if held is None or held.pid != os.getpid():
            held = self._local.connection = _Connection(self.file, self._busy_seconds)
        return held

    def close(self) -> None:
        """Close this thread's connection; those of other threads close with their thread."""
        self._local.connection = None

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A consistent view; inside a transaction, that transaction."""
        with self.translated_errors():
            sql = self.connection()
            if sql.in_transaction:
                yield sql
                return
            try:
                sql.execute("BEGIN")
                yield sql
            finally:
                sql.rollback()

    @contextlib.contextmanager
    def write(self, *, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """The one writer. ``synced``: on return the disk has it, and all that was written before it.

        Not synced: a kill loses nothing, a loss of power may undo it and all that was written after it.
        """
        with self.translated_errors():
            connection = self._held()
            connection.set_synchronous(_SYNC_FULL if synced else _SYNC_NORMAL)
            sql = connection.sql
            try:
                sql.execute("BEGIN IMMEDIATE")
                yield sql
                sql.execute("COMMIT")
            except BaseException:
                sql.rollback()
                raise

    def load(self, node: str) -> Node:
        """A tree node by its hash. Raises Gone, CorruptObject."""
        with self._lock:
            found = self._nodes.get(node)
            if found is not None:
                self._nodes.move_to_end(node)
                return found
        data = self.stored(node)
        if data is None:
            raise Gone(f"{self.file}: tree node {node} was removed by retention, or is missing; run verify")
        try:
            found = decode(data)
        except (ValueError, TypeError, LookupError) as error:
            raise CorruptObject(f"{self.file}: tree node {node} cannot be decoded; run verify") from error
        self._remember(node, found)
        return found

    def stored(self, node: str) -> bytes | None:
        """The stored form of a tree node, past the cache, None where it is missing. Raises CorruptObject."""
        try:
            with self.translated_errors():
                row = self.connection().execute("SELECT data FROM nodes WHERE hash = ?", (bytes.fromhex(node),))
                found = row.fetchone()
            data = None if found is None else zlib.decompress(found[0])
        except (zlib.error, ValueError, TypeError) as error:
            raise CorruptObject(f"{self.file}: tree node {node} cannot be decoded ({error}); run verify") from error
        if data is not None and stored_hash(data) != node:
            raise CorruptObject(f"{self.file}: tree node {node} does not match its hash; run verify")
        return data

    def save(self, node: Node) -> str:
        """Store a node, inside a write transaction, and return its hash."""
        name, data = encode(node)
        self.connection().execute(
            "INSERT OR IGNORE INTO nodes (hash, data) VALUES (?, ?)",
            (bytes.fromhex(name), zlib.compress(data, 1)),
        )
        self._remember(name, node)  # the next step reads it; should this one be rolled back, nothing names it
        return name

    def forget_nodes(self) -> None:
        """Drop the cache of nodes, so that what is read next comes from the file."""
        with self._lock:
            self._nodes.clear()

    def _remember(self, name: str, node: Node) -> None:
        with self._lock:
            self._nodes[name] = node
            if len(self._nodes) > _CACHED_NODES:
                self._nodes.popitem(last=False)

    @contextlib.contextmanager
    def translated_errors(self) -> Iterator[None]:
        """SQLite's errors as the lake's."""
        try:
            yield
        except UnicodeDecodeError as error:  # sqlite3 could not even read SQLite's message
            raise LakeUnavailable(f"{self.file}: damaged; run verify, or put the file back from a backup") from error
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _CONTENDED:
                raise Contention(
                    f"{self.file}: another writer held the store for {self._busy_seconds:g} s, and nothing of this "
                    "call was done; repeat it. If this goes on, look for a process that is stopped in the middle of a write"
                ) from error
            damaged = "; run verify, or put the file back from a backup" if code in _DAMAGED else ""
            raise LakeUnavailable(f"{self.file}: {error}{damaged}") from error
