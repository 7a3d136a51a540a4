"""Names of commits: branches, tags, ids and their prefixes."""

import re
import sqlite3
from typing import NamedTuple

from resources.lake.embedded.history import CommitRow, commit_by_id, commits_with_prefix, first_parent_at
from resources.lake.errors import AlreadyExists, Forbidden, RefNotFound
from resources.lake.protocol import MAIN

_HEX = frozenset("0123456789abcdef")
_REF = re.compile(r"([^@~^]+)(@|(?:[~^][0-9]{0,9})*)")
_STEP = re.compile(r"([~^])([0-9]*)")


class BranchRow(NamedTuple):
    id: int
    name: str
    head: str


def find(sql: sqlite3.Connection, ref: str) -> tuple[CommitRow, int | None]:
    """The commit of a ref and, for a plain branch name, the branch whose staging belongs to the view.

    Behind the name may stand ``@``, the committed head of a branch, or steps back: ``~`` to the first parent, ``~3``
    three such steps, ``^2`` to the second parent. Raises RefNotFound.
    """
    parts = _REF.fullmatch(ref)
    if parts is None:
        raise RefNotFound(f"no branch, tag or commit {ref!r}")
    name, steps = parts.groups()
    commit, branch = _named(sql, name)
    if steps == "@" and branch is None:
        raise RefNotFound(f"no branch {name!r}, as {ref!r} would have it")
    for kind, number in [] if steps == "@" else _STEP.findall(steps):
        commit = _step(sql, ref, commit, kind, int(number or 1))
    return commit, None if steps else branch


def _named(sql: sqlite3.Connection, name: str) -> tuple[CommitRow, int | None]:
    row = sql.execute("SELECT id, head FROM branches WHERE name = ?", (name,)).fetchone()
    if row is not None:
        return commit_by_id(sql, row[1]), row[0]
    row = sql.execute("SELECT head FROM tags WHERE name = ?", (name,)).fetchone()
    if row is not None:
        return commit_by_id(sql, row[0]), None
    found = commits_with_prefix(sql, name) if name and _HEX.issuperset(name) else []
    if len(found) > 1:
        raise RefNotFound(f"commit id {name!r} is ambiguous: give more digits")
    if not found:
        raise RefNotFound(f"no branch, tag or commit {name!r}")
    return found[0], None


def _step(sql: sqlite3.Connection, ref: str, commit: CommitRow, kind: str, number: int) -> CommitRow:
    if number == 0:
        return commit
    if kind == "~":
        if number > commit.depth:
            raise RefNotFound(f"{ref!r}: commit {commit.id} is only {commit.depth} steps from the first one")
        return first_parent_at(sql, commit, commit.depth - number)
    parents = commit.parent_ids()
    if number > len(parents):
        raise RefNotFound(f"{ref!r}: commit {commit.id} has {len(parents)} parents")
    return commit_by_id(sql, parents[number - 1])


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
