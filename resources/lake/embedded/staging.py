"""What is staged on a branch, and the view of a tree with staging on top."""

import json
import sqlite3
from collections.abc import Iterator

from resources.lake.embedded.history import from_micros
from resources.lake.embedded.merging import equal
from resources.lake.embedded.tree import Entry, NodeStore, lookup, scan, upper_bound
from resources.lake.errors import CorruptObject
from resources.lake.protocol import ObjectInfo, Prefix

Staged = dict[str, Entry | None]
"""Entry by path, None for a removal; in byte order."""

# an upsert, as REPLACE would not tell the triggers of the row it removes
_STAGE = (
    "INSERT INTO staging (branch, path, checksum, size, metadata, modified) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (branch, path) DO UPDATE SET checksum = excluded.checksum, size = excluded.size, "
    "metadata = excluded.metadata, modified = excluded.modified"
)
_SEEK_AFTER = 32  # entries behind one prefix which are cheaper to pass over than to seek past


def object_info(entry: Entry) -> ObjectInfo:
    return ObjectInfo(entry.path, entry.size, entry.checksum, dict(entry.metadata), from_micros(entry.modified))


def stage(sql: sqlite3.Connection, branch: int, entry: Entry) -> None:
    sql.execute(
        _STAGE,
        (
            branch,
            entry.path,
            entry.checksum,
            entry.size,
            json.dumps(entry.metadata, ensure_ascii=False),
            entry.modified,
        ),
    )


def stage_removals(sql: sqlite3.Connection, store: NodeStore, branch: int, root: str, paths: set[str]) -> None:
    """A path which the head has needs a mark; one that was only staged is simply dropped."""
    absent: list[tuple[int, str]] = []
    present: list[tuple[int, str]] = []
    for path in paths:
        (present if lookup(store, root, path) else absent).append((branch, path))
    sql.executemany(_STAGE, ((*key, None, None, None, None) for key in present))
    sql.executemany("DELETE FROM staging WHERE branch = ? AND path = ?", absent)


def staged_at(sql: sqlite3.Connection, branch: int, path: str) -> tuple[bool, Entry | None]:
    """If the path is staged, and as what."""
    row = sql.execute(
        "SELECT path, checksum, size, metadata, modified FROM staging WHERE branch = ? AND path = ?",
        (branch, path),
    ).fetchone()
    return (False, None) if row is None else (True, _entry(row))


def staged_below(sql: sqlite3.Connection, branch: int, prefix: str = "") -> Staged:
    query = "SELECT path, checksum, size, metadata, modified FROM staging WHERE branch = ? AND path >= ?"
    stop = upper_bound(prefix)
    if stop is None:
        rows = sql.execute(query + " ORDER BY path", (branch, prefix))
    else:
        rows = sql.execute(query + " AND path < ? ORDER BY path", (branch, prefix, stop))
    return {row[0]: _entry(row) for row in rows}


def effective(store: NodeStore, root: str, staged: Staged) -> Staged:
    """The staged entries which differ from the tree."""
    return {path: entry for path, entry in staged.items() if not equal(lookup(store, root, path), entry)}


def unstage(sql: sqlite3.Connection, branch: int, *, path: str | None = None, prefix: str | None = None) -> None:
    if path is not None:
        sql.execute("DELETE FROM staging WHERE branch = ? AND path = ?", (branch, path))
        return
    stop = upper_bound(prefix or "")
    if stop is None:
        sql.execute("DELETE FROM staging WHERE branch = ? AND path >= ?", (branch, prefix or ""))
    else:
        sql.execute("DELETE FROM staging WHERE branch = ? AND path >= ? AND path < ?", (branch, prefix, stop))


def overlaid(store: NodeStore, root: str, staged: Staged, start: str = "", stop: str | None = None) -> Iterator[Entry]:
    """Entries of the tree with ``start <= path < stop``, staging on top, in byte order."""
    if not staged:
        yield from scan(store, root, start, stop)
        return
    upper = iter([(path, e) for path, e in staged.items() if path >= start and (stop is None or path < stop)])
    path, replacement = next(upper, (None, None))
    for entry in scan(store, root, start, stop):
        while path is not None and path < entry.path:
            if replacement is not None:
                yield replacement
            path, replacement = next(upper, (None, None))
        if path == entry.path:
            if replacement is not None:
                yield replacement
            path, replacement = next(upper, (None, None))
        else:
            yield entry
    while path is not None:
        if replacement is not None:
            yield replacement
        path, replacement = next(upper, (None, None))


def listing(
    store: NodeStore, root: str, staged: Staged, prefix: str, after: str, delimiter: str | None
) -> Iterator[ObjectInfo | Prefix]:
    stop = upper_bound(prefix)
    start = max(prefix, after + "\0") if after else prefix
    if not delimiter:
        for entry in overlaid(store, root, staged, start, stop):
            yield object_info(entry)
        return
    if after.startswith(prefix) and after.find(delimiter, len(prefix)) == len(after) - len(delimiter):
        start = max(start, upper_bound(after) or start)  # the listing goes on behind this common prefix
    while True:
        common, passed = None, 0
        for entry in overlaid(store, root, staged, start, stop):
            if common is not None and entry.path.startswith(common):
                passed += 1
                if passed > _SEEK_AFTER:
                    break
                continue
            end = entry.path.find(delimiter, len(prefix))
            if end < 0:
                common = None
                yield object_info(entry)
            else:
                common, passed = entry.path[: end + len(delimiter)], 0
                yield Prefix(common)
        else:
            return
        assert common is not None
        beyond = upper_bound(common)
        if beyond is None:
            return
        start = beyond


def _entry(row: tuple[str, str | None, int, str, int]) -> Entry | None:
    path, checksum, size, metadata, modified = row
    if checksum is None:
        return None
    try:
        return Entry(path, checksum, size, json.loads(metadata), modified)
    except (ValueError, TypeError) as error:
        raise CorruptObject(f"what is staged at {path} is damaged; run verify, discard it and put it again") from error
