"""Differences between trees as changes."""

from collections.abc import Iterator

from resources.lake.embedded.merging import equal
from resources.lake.embedded.staging import Staged
from resources.lake.embedded.tree import Entry, NodeStore, diff, lookup, upper_bound
from resources.lake.protocol import Change


def change(path: str, before: Entry | None, after: Entry | None) -> Change:
    return Change(path, "added" if before is None else "removed" if after is None else "changed")


def two_dot(store: NodeStore, left: str, right: str, staged: Staged, prefix: str) -> Iterator[Change]:
    """How the right tree, with what is staged on it, differs from the left, in byte order."""
    between = diff(store, left, right, prefix, upper_bound(prefix))
    if not staged:
        for sides in between:
            yield change(*sides)
        return
    changes = {path: change(path, before, after) for path, before, after in between}
    for path, entry in staged.items():
        before = lookup(store, left, path)
        changes.pop(path, None)
        if not equal(before, entry):
            changes[path] = change(path, before, entry)
    for path in sorted(changes):
        yield changes[path]


def three_dot(store: NodeStore, base: str, left: str, right: str, prefix: str) -> Iterator[Change]:
    """What the right tree changed since the base and the left has not, too; a conflict where the left changed it else."""
    for path, before, after in diff(store, base, right, prefix, upper_bound(prefix)):
        current = lookup(store, left, path)
        if equal(current, after):
            continue
        yield change(path, before, after) if equal(current, before) else Change(path, "conflict")
