"""Three-way merge of trees, path by path."""

from resources.lake.embedded.tree import Entry, NodeStore, diff, edit, lookup
from resources.lake.errors import MergeConflict, Unsupported
from resources.lake.protocol import MergeStrategy

_SHOWN = 10


def merge_trees(
    store: NodeStore, base: str, source: str, dest: str, strategy: MergeStrategy | None
) -> tuple[str, dict[str, Entry | None]]:
    """Bring what ``source`` changed since ``base`` into ``dest``: the new root and the edits to ``dest``.

    Raises MergeConflict with every path which both sides changed, differently, and no strategy resolves.
    """
    if strategy not in (None, "source-wins", "dest-wins"):
        raise Unsupported(f"merge strategy {strategy!r}: must be source-wins, dest-wins or None")
    edits: dict[str, Entry | None] = {}
    conflicts: list[str] = []
    for path, before, after in diff(store, base, source):
        current = before if dest == base else lookup(store, dest, path)
        if equal(current, after):
            continue
        if equal(current, before) or strategy == "source-wins":
            edits[path] = after
        elif strategy is None:
            conflicts.append(path)
    if conflicts:
        more = f" and {len(conflicts) - _SHOWN} more" if len(conflicts) > _SHOWN else ""
        raise MergeConflict(
            f"both sides changed {', '.join(conflicts[:_SHOWN])}{more}; rebuild the source on the "
            "destination's head, or merge by strategy source-wins or dest-wins",
            paths=conflicts,
        )
    if dest == base:
        return source, edits
    return edit(store, dest, edits), edits


def equal(a: Entry | None, b: Entry | None) -> bool:
    return b is None if a is None else a.same(b)
