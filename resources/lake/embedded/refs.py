"""Names of commits: branches, tags, ids and their prefixes."""

import sqlite3
from typing import NamedTuple

from resources.lake.embedded.history import CommitRow, commit_by_id, commits_with_prefix
from resources.lake.errors import AlreadyExists, Forbidden, RefNotFound
from resources.lake.protocol import MAIN

_HEX = frozenset("0123456789abcdef")


class BranchRow(NamedTuple):
    id: int
    name: str
    head: str


def find(sql: sqlite3.Connection, ref: str) -> tuple[CommitRow, int | None]:
    """The commit of a ref and, for a plain branch name, the branch whose staging belongs to the view."""
    name, committed = (ref[:-1], True) if ref.endswith("@") else (ref, False)
    row = sql.execute("SELECT id, head FROM branches WHERE name = ?", (name,)).fetchone()
    if row is not None:
        return commit_by_id(sql, row[1]), None if committed else row[0]
    if not committed:
        row = sql.execute("SELECT head FROM tags WHERE name = ?", (ref,)).fetchone()
        if row is not None:
            return commit_by_id(sql, row[0]), None
        if ref and _HEX.issuperset(ref):
            found = commits_with_prefix(sql, ref)
            if len(found) == 1:
                return found[0], None
            if found:
                raise RefNotFound(f"commit id {ref!r} is ambiguous: give more digits")
    raise RefNotFound(f"no branch, tag or commit {ref!r}")


def branch_row(sql: sqlite3.Connection, name: str) -> BranchRow:
    row = sql.execute("SELECT id, name, head FROM branches WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise RefNotFound(f"no branch {name!r}")
    return BranchRow._make(row)


def writable(sql: sqlite3.Connection, name: str) -> BranchRow:
    """The branch, if it may be written to. Raises Forbidden, RefNotFound."""
    if name == MAIN:
        raise Forbidden(f"branch {name} is protected: write to a branch of it, then merge")
    return branch_row(sql, name)


def check_unused(sql: sqlite3.Connection, name: str) -> None:
    """Raises AlreadyExists: branches and tags share one namespace."""
    for table, kind in (("branches", "branch"), ("tags", "tag")):
        if sql.execute(f"SELECT 1 FROM {table} WHERE name = ?", (name,)).fetchone():
            raise AlreadyExists(f"a {kind} {name!r} exists")


def add_branch(sql: sqlite3.Connection, name: str, head: str, created: int) -> None:
    sql.execute("INSERT INTO branches (name, head, created) VALUES (?, ?, ?)", (name, head, created))


def add_tag(sql: sqlite3.Connection, name: str, head: str, created: int) -> None:
    sql.execute("INSERT INTO tags (name, head, created) VALUES (?, ?, ?)", (name, head, created))


def move(sql: sqlite3.Connection, branch: BranchRow, head: str) -> None:
    sql.execute("UPDATE branches SET head = ? WHERE id = ?", (head, branch.id))


def branches(sql: sqlite3.Connection, prefix: str) -> dict[str, str]:
    return _heads(sql, "branches", prefix)


def tags(sql: sqlite3.Connection, prefix: str) -> dict[str, str]:
    return _heads(sql, "tags", prefix)


def _heads(sql: sqlite3.Connection, table: str, prefix: str) -> dict[str, str]:
    query = f"SELECT name, head FROM {table} WHERE substr(name, 1, ?) = ? ORDER BY name"
    return dict(sql.execute(query, (len(prefix), prefix)).fetchall())
