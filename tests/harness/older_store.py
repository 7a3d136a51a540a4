"""Embedded lakes as the first version wrote them."""

import sqlite3
from pathlib import Path

FORMAT_1 = """
CREATE TABLE branches (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, head TEXT NOT NULL,
    created INTEGER NOT NULL);
CREATE TABLE tags (name TEXT PRIMARY KEY, head TEXT NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE commits (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, root TEXT NOT NULL, parents TEXT NOT NULL,
    message TEXT NOT NULL, metadata TEXT NOT NULL, created INTEGER NOT NULL, nonce TEXT NOT NULL,
    generation INTEGER NOT NULL, depth INTEGER NOT NULL, first INTEGER, jump INTEGER,
    expired INTEGER NOT NULL DEFAULT 0);
CREATE INDEX commits_created ON commits (created);
CREATE TABLE changes (path TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (path, seq)) WITHOUT ROWID;
CREATE INDEX changes_seq ON changes (seq);
CREATE TABLE staging (
    branch INTEGER NOT NULL, path TEXT NOT NULL, checksum TEXT, size INTEGER, metadata TEXT, modified INTEGER,
    PRIMARY KEY (branch, path)) WITHOUT ROWID;
CREATE TABLE nodes (hash BLOB PRIMARY KEY, data BLOB NOT NULL);
"""


def to_format_1(store: Path) -> None:
    """The same store as the first version of the lake wrote it."""
    older = store / "older.db"
    with sqlite3.connect(older) as sql:
        sql.executescript("PRAGMA journal_mode = WAL;" + FORMAT_1)
        sql.execute("ATTACH ? AS newer", (str(store / "lake.db"),))
        for table in ("branches", "tags", "commits", "changes", "staging", "nodes"):
            columns = ", ".join(row[1] for row in sql.execute(f"PRAGMA main.table_info({table})"))
            sql.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}")
        sql.execute("UPDATE sqlite_sequence SET seq = 500")  # the last branches and commits were deleted
        sql.execute("PRAGMA user_version = 1")
    sql.close()
    older.replace(store / "lake.db")
