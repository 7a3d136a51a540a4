"""The tables of an embedded lake's database: made, brought to the newest format, and able to show damage.

SQLite has no checksums of its own. So every row of refs, commits and staging carries a seal, a hash of its other
columns which SQLite computes at each write, and ``totals`` counts and sums the seals of each table: a row that was
changed, lost or added from outside shows. Tree nodes are named by their hash, and a commit carries a digest of
its rows in ``changes``.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType
from typing import Final

FORMAT: Final = 2
_OLDER_FORMAT = 1

SEAL_LIMIT: Final = 1 << 60
"""Seals are below it, so that three of them add up within SQLite's integers."""

SEALED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "branches": ("id", "name", "head", "created"),
        "tags": ("name", "head", "created"),
        "commits": (
            *("seq", "id", "root", "parents", "message", "metadata", "created", "nonce"),
            *("generation", "depth", "first", "jump", "changed", "expired"),
        ),
        "staging": ("branch", "path", "checksum", "size", "metadata", "modified"),
    }
)
"""The columns of each sealed table which its seal covers: all."""


def _seal_column(table: str) -> str:
    return f"seal INTEGER NOT NULL AS (row_seal({', '.join(SEALED[table])})) STORED"


def _triggers(table: str) -> list[str]:
    def trigger(event: str, rows: str, total: str) -> str:
        return (
            f"CREATE TRIGGER {table}_{event} AFTER {event} ON {table} BEGIN UPDATE totals "
            f"SET rows = rows {rows}, total = (total {total}) % {SEAL_LIMIT} WHERE name = '{table}'; END"
        )

    return [
        trigger("insert", "+ 1", "+ NEW.seal"),
        trigger("update", "+ 0", f"+ NEW.seal - OLD.seal + {SEAL_LIMIT}"),
        trigger("delete", "- 1", f"- OLD.seal + {SEAL_LIMIT}"),
    ]


_TABLES: Final = (
    f"""CREATE TABLE branches (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, head TEXT NOT NULL,
    created INTEGER NOT NULL, {_seal_column("branches")}) STRICT""",
    f"""CREATE TABLE tags (
    name TEXT PRIMARY KEY, head TEXT NOT NULL, created INTEGER NOT NULL,
    {_seal_column("tags")}) STRICT, WITHOUT ROWID""",
    # first, jump: seq of the first parent and of a farther ancestor on the first-parent chain
    # depth: length of that chain; changed: digest of the commit's rows in changes
    f"""CREATE TABLE commits (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, root TEXT NOT NULL, parents TEXT NOT NULL,
    message TEXT NOT NULL, metadata TEXT NOT NULL, created INTEGER NOT NULL, nonce TEXT NOT NULL,
    generation INTEGER NOT NULL, depth INTEGER NOT NULL, first INTEGER, jump INTEGER,
    changed TEXT NOT NULL, expired INTEGER NOT NULL DEFAULT 0, {_seal_column("commits")}) STRICT""",
    # the paths in which a commit differs from its first parent
    "CREATE TABLE changes (path TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (path, seq)) STRICT, WITHOUT ROWID",
    # checksum NULL: a removal
    f"""CREATE TABLE staging (
    branch INTEGER NOT NULL, path TEXT NOT NULL, checksum TEXT, size INTEGER, metadata TEXT, modified INTEGER,
    {_seal_column("staging")}, PRIMARY KEY (branch, path)) STRICT, WITHOUT ROWID""",
    "CREATE TABLE nodes (hash BLOB PRIMARY KEY, data BLOB NOT NULL) STRICT",
    "CREATE TABLE totals (name TEXT PRIMARY KEY, rows INTEGER NOT NULL, total INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)
_INDEXES: Final = ("commits_created ON commits (created)", "changes_seq ON changes (seq)")


def row_seal(*values: int | str | None) -> int:
    """The seal of a row; raises TypeError for a value which no sealed column may have."""
    return int.from_bytes(blake2b(json.dumps(values).encode(), digest_size=8).digest(), "big") % SEAL_LIMIT


def changes_digest(paths: Iterable[str]) -> str:
    """What a commit carries of the paths it changed."""
    return blake2b(json.dumps(sorted(paths)).encode(), digest_size=16).hexdigest()


def create_tables(sql: sqlite3.Connection) -> None:
    """Tables, indexes and triggers, inside a write transaction."""
    for table in _TABLES:
        sql.execute(table)
    for index in _INDEXES:
        sql.execute(f"CREATE INDEX {index}")
    for name in SEALED:
        sql.execute("INSERT INTO totals (name, rows, total) VALUES (?, 0, 0)", (name,))
        for trigger in _triggers(name):
            sql.execute(trigger)
    sql.execute(f"PRAGMA user_version = {FORMAT}")


def definition(sql: sqlite3.Connection) -> set[tuple[str, str, str | None]]:
    """Kind, name and text of all that the database defines."""
    return {
        (kind, name, text)
        for kind, name, text in sql.execute("SELECT type, name, sql FROM sqlite_schema")
        if not name.startswith("sqlite_stat")
    }


def expected_definition() -> set[tuple[str, str, str | None]]:
    """:func:`definition` of a sound store of this format."""
    sql = sqlite3.connect(":memory:", isolation_level=None)
    try:
        define_seal(sql)
        create_tables(sql)
        return definition(sql)
    finally:
        sql.close()


def altered_tables(sql: sqlite3.Connection) -> list[str]:
    """The sealed tables whose rows are not all there, or not as they were written."""
    altered = []
    for name, columns in SEALED.items():
        # not by an index, which holds copies of what it covers
        query = f"SELECT seal, seal IS row_seal({', '.join(columns)}) FROM {name} NOT INDEXED"
        rows = sql.execute(query).fetchall()
        totals = sql.execute("SELECT rows, total FROM totals WHERE name = ?", (name,)).fetchone()
        if not all(sound for _, sound in rows) or totals != (len(rows), sum(seal for seal, _ in rows) % SEAL_LIMIT):
            altered.append(name)
    return altered


def define_seal(sql: sqlite3.Connection) -> None:
    """Every connection which writes must know the function of the seal."""
    sql.create_function("row_seal", -1, row_seal, deterministic=True)


def can_migrate(version: int) -> bool:
    return version == _OLDER_FORMAT


def migrate(sql: sqlite3.Connection) -> None:
    """Bring a store of the format before to this one, inside a write transaction: it happens whole or not at all.

    What is there is taken to be sound: the older format had nothing to tell by.
    """
    copied = {
        **{name: [column for column in columns if column != "changed"] for name, columns in SEALED.items()},
        "changes": ["path", "seq"],
        "nodes": ["hash", "data"],
    }
    for index in _INDEXES:
        sql.execute(f"DROP INDEX {index.split()[0]}")
    for name in copied:
        sql.execute(f"ALTER TABLE {name} RENAME TO older_{name}")
    create_tables(sql)
    for name, columns in copied.items():
        listed = ", ".join(columns)
        extra, value = (", changed", f", '{changes_digest(())}'") if name == "commits" else ("", "")
        sql.execute(f"INSERT INTO {name} ({listed}{extra}) SELECT {listed}{value} FROM older_{name}")
    rows = sql.execute("SELECT seq, path FROM changes ORDER BY seq")
    digests = [(changes_digest(path for _, path in group), seq) for seq, group in groupby(rows, key=itemgetter(0))]
    sql.executemany("UPDATE commits SET changed = ? WHERE seq = ?", digests)
    for name in ("branches", "commits"):  # numbers once given are never given again
        sql.execute(
            "UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = ?) WHERE name = ?",
            (f"older_{name}", name),
        )
    for name in copied:
        sql.execute(f"DROP TABLE older_{name}")
