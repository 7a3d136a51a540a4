"""What a ref shows: its tree, with what is staged on top where it is a plain branch name."""

import sqlite3

from resources.lake.embedded import refs
from resources.lake.embedded.history import commit_by_id
from resources.lake.embedded.refs import BranchRow
from resources.lake.embedded.staging import Staged, staged_at, staged_below
from resources.lake.embedded.tree import Entry, NodeStore, lookup
from resources.lake.errors import ObjectNotFound, PreconditionFailed
from resources.lake.protocol import check_path


def tree_and_staging(sql: sqlite3.Connection, ref: str, prefix: str) -> tuple[str, Staged]:
    commit, branch = refs.find(sql, ref)
    return commit.tree(), {} if branch is None else staged_below(sql, branch, prefix)


def entry_at(sql: sqlite3.Connection, store: NodeStore, ref: str, path: str) -> Entry:
    """Raises ObjectNotFound, RefNotFound, InvalidName, Gone."""
    check_path(path)
    commit, branch = refs.find(sql, ref)
    is_staged, entry = (False, None) if branch is None else staged_at(sql, branch, path)
    if not is_staged:
        entry = lookup(store, commit.tree(), path)
    if entry is None:
        raise ObjectNotFound(f"no object {path!r} at {ref!r} (commit {commit.id})")
    return entry


def check_absent(sql: sqlite3.Connection, store: NodeStore, branch: BranchRow, path: str) -> None:
    """Raises PreconditionFailed where the branch, staging included, has the path."""
    is_staged, entry = staged_at(sql, branch.id, path)
    if not is_staged:
        entry = lookup(store, commit_by_id(sql, branch.head).tree(), path)
    if entry is not None:
        raise PreconditionFailed(f"{branch.name}/{path}: exists, and if_absent was asked for")
