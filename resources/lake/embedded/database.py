"""The SQLite database of an embedded lake: schema, connections, short transactions, tree nodes."""

import contextlib
import os
import sqlite3
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from resources.lake.embedded.tree import Node, decode, encode
from resources.lake.errors import Contention, CorruptObject, Gone, LakeUnavailable, Unsupported

FORMAT: Final = 1
BUSY_SECONDS: Final = 60.0
_CACHED_NODES: Final = 4096
_SYNC_NORMAL, _SYNC_FULL = 1, 2

_SCHEMA: Final = """
CREATE TABLE branches (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, head TEXT NOT NULL,
    created INTEGER NOT NULL);
CREATE TABLE tags (name TEXT PRIMARY KEY, head TEXT NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID;
-- first, jump: seq of the first parent and of a farther ancestor on the first-parent chain
-- depth: length of that chain
CREATE TABLE commits (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, root TEXT NOT NULL, parents TEXT NOT NULL,
    message TEXT NOT NULL, metadata TEXT NOT NULL, created INTEGER NOT NULL, nonce TEXT NOT NULL,
    generation INTEGER NOT NULL, depth INTEGER NOT NULL, first INTEGER, jump INTEGER,
    expired INTEGER NOT NULL DEFAULT 0);
CREATE INDEX commits_created ON commits (created);
-- the paths in which a commit differs from its first parent
CREATE TABLE changes (path TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (path, seq)) WITHOUT ROWID;
CREATE INDEX changes_seq ON changes (seq);
-- checksum NULL: a removal
CREATE TABLE staging (
    branch INTEGER NOT NULL, path TEXT NOT NULL, checksum TEXT, size INTEGER, metadata TEXT, modified INTEGER,
    PRIMARY KEY (branch, path)) WITHOUT ROWID;
CREATE TABLE nodes (hash BLOB PRIMARY KEY, data BLOB NOT NULL);
"""


class _Connection:
    """A connection of one thread, closed with it."""

    def __init__(self, file: Path) -> None:
        self.pid = os.getpid()
        # shared between threads only so that a close() or a garbage collector of another thread may close it
        self.sql = sqlite3.connect(
            file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        self.synchronous = -1
        self.sql.execute("PRAGMA cache_size = -16000")

    def set_synchronous(self, level: int) -> None:
        if self.synchronous != level:
            self.sql.execute(f"PRAGMA synchronous = {level}")
            self.synchronous = level

    def __del__(self) -> None:
        # a connection inherited through fork belongs to the parent: closing it here would break its locks
        if self.pid == os.getpid():
            self.sql.close()


class Database:
    """Connections per thread, transactions, and the node store of the trees.

    Raises, from every call: Contention where another writer held the database past the busy timeout,
    LakeUnavailable where SQLite cannot read or write it.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._local = threading.local()
        self._nodes: OrderedDict[str, Node] = OrderedDict()
        self._lock = threading.Lock()

    def create(self, first_rows: Callable[[sqlite3.Connection], None]) -> None:
        """Create schema and first rows, in one transaction, where the file has none; any process may."""
        with translated_errors(self.file):
            sql = self.connection()
            if sql.execute("PRAGMA user_version").fetchone()[0] == FORMAT:
                return
            if sql.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
                raise LakeUnavailable(f"{self.file}: this file system does not carry SQLite's WAL mode")
        with self.write() as sql:
            version = sql.execute("PRAGMA user_version").fetchone()[0]
            if version == FORMAT:
                return
            if version:
                raise Unsupported(f"{self.file}: store format {version}, this version reads format {FORMAT}")
            for statement in _SCHEMA.split(";\n"):
                if statement.strip():
                    sql.execute(statement)
            first_rows(sql)
            sql.execute(f"PRAGMA user_version = {FORMAT}")

    def connection(self) -> sqlite3.Connection:
        """This thread's connection, outside of a transaction unless inside :meth:`read` or :meth:`write`."""
        return self._held().sql

    def _held(self) -> _Connection:
        held: _Connection | None = getattr(self._local, "connection", None)
        if held is None or held.pid != os.getpid():
            held = self._local.connection = _Connection(self.file)
        return held

    def close(self) -> None:
        """Close this thread's connection; those of other threads close with their thread."""
        self._local.connection = None

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A consistent view; inside a transaction, that transaction."""
        with translated_errors(self.file):
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
        with translated_errors(self.file):
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
        with translated_errors(self.file):
            row = self.connection().execute("SELECT data FROM nodes WHERE hash = ?", (bytes.fromhex(node),)).fetchone()
        if row is None:
            raise Gone(f"{self.file}: tree node {node} was removed by retention, or is missing; run verify")
        try:
            found = decode(zlib.decompress(row[0]))
        except (zlib.error, ValueError, TypeError, LookupError) as error:
            raise CorruptObject(f"{self.file}: tree node {node} cannot be decoded; run verify") from error
        self._remember(node, found)
        return found

    def save(self, node: Node) -> str:
        """Store a node, inside a write transaction, and return its hash."""
        name, data = encode(node)
        self.connection().execute(
            "INSERT OR IGNORE INTO nodes (hash, data) VALUES (?, ?)",
            (bytes.fromhex(name), zlib.compress(data, 1)),
        )
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
def translated_errors(file: Path) -> Iterator[None]:
    """SQLite's errors as the lake's."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Contention(f"{file}: another writer held the store for {BUSY_SECONDS:.0f} s; try again") from error
        raise LakeUnavailable(f"{file}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise LakeUnavailable(f"{file}: {error}") from error
