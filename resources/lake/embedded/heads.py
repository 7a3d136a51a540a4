"""Moving the head of a branch: what must hold before, and the commit it moves to."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from resources.lake.embedded import refs
from resources.lake.embedded.history import CommitRow, commit_by_id, insert_commit
from resources.lake.embedded.refs import BranchRow
from resources.lake.embedded.staging import effective, staged_below, unstage
from resources.lake.embedded.tree import NodeStore
from resources.lake.errors import DirtyBranch, PreconditionFailed


def check_clean(sql: sqlite3.Connection, store: NodeStore, branch: BranchRow, head: CommitRow) -> None:
    """Raises DirtyBranch. What is staged without a difference must not become one when the head moves."""
    staged = effective(store, head.tree(), staged_below(sql, branch.id))
    if staged:
        raise DirtyBranch(
            f"branch {branch.name}: {len(staged)} uncommitted changes, {next(iter(staged))} first; "
            "commit or discard them"
        )
    unstage(sql, branch.id)


def advance(
    sql: sqlite3.Connection,
    branch: BranchRow,
    root: str,
    parents: Sequence[CommitRow],
    message: str,
    metadata: Mapping[str, str],
    created: int,
    changed: Iterable[str],
) -> CommitRow:
    """Commit the tree on the branch; ``changed`` are the paths in which it differs from the head before."""
    commit = insert_commit(
        sql, root=root, parents=parents, message=message, metadata=metadata, created=created, changed=changed
    )
    refs.move(sql, branch, commit.id)
    return commit


def before(sql: sqlite3.Connection, undone: CommitRow, parent: int) -> CommitRow:
    """The commit that reverting ``undone`` returns to. Raises PreconditionFailed where ``parent`` does not say."""
    parents = undone.parent_ids()
    if not parents or not 0 <= parent <= len(parents) or (parent == 0 and len(parents) > 1):
        raise PreconditionFailed(
            f"revert of {undone.id} with parent={parent}: it has {len(parents)} parents; "
            + (f"give parent=1 to {len(parents)}" if parents else "the first commit cannot be reverted")
        )
    return commit_by_id(sql, parents[max(parent - 1, 0)])
