"""Upkeep of an embedded lake: verifying every byte, and collecting what nothing reaches any more."""

import sqlite3
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from resources.lake.embedded.database import Database, translated_errors
from resources.lake.embedded.history import CommitRow, all_commits, commit_by_id, merge_base
from resources.lake.embedded.objects import ObjectFiles, file_checksum
from resources.lake.embedded.tree import decode, encode
from resources.lake.errors import RefNotFound
from resources.lake.protocol import MAIN

_BATCH = 500  # files removed per transaction: other writers wait for one batch at most


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the store is not what it must be.

    Attributes:
        kind: what it is about; ``file`` stands for the database file as a whole.
        name: checksum, hash or id of the damaged thing.
        detail: what is wrong.
        paths: the object paths it stands behind (those below a tree node cannot be known).
        commits: the commits that reach it, oldest first.
    """

    kind: Literal["object", "node", "commit", "file"]
    name: str
    detail: str
    paths: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GcReport:
    """What a garbage collection removed, or with a dry run would remove."""

    dry_run: bool
    objects: int
    object_bytes: int
    nodes: int
    commits_expired: int
    commits_deleted: int
    temporary_files: int


def verify(database: Database, objects: ObjectFiles) -> Iterator[Problem]:
    with database.read() as sql:
        for (text,) in sql.execute("PRAGMA integrity_check").fetchall():
            if text != "ok":
                yield Problem("file", str(database.file), text)
        commits = all_commits(sql)
        staged = sql.execute("SELECT checksum, size, path FROM staging WHERE checksum IS NOT NULL").fetchall()
        refs = sql.execute("SELECT name, head FROM branches UNION ALL SELECT name, head FROM tags").fetchall()
    known = {commit.id for commit in commits}
    for name, head in refs:
        if head not in known:
            yield Problem("commit", head, f"missing, and {name} points to it")
    for commit in commits:
        if commit.expected_id() != commit.id:
            yield Problem("commit", commit.id, "its record was altered", commits=(commit.id,))
    walker = _Reach(database)
    live = [commit for commit in commits if not commit.expired]
    for commit in live:
        walker.visit(commit.root)
    for node, detail in sorted(walker.broken.items()):
        yield Problem("node", node, detail, commits=walker.commits_reaching_node(live, node))
    wanted: dict[str, tuple[int, set[str]]] = {}
    for checksum, (size, found) in walker.objects.items():
        wanted[checksum] = (size, set(found))
    for checksum, size, path in staged:
        wanted.setdefault(checksum, (size, set()))[1].add(path)
    for checksum, (size, paths) in sorted(wanted.items()):
        detail = _object_problem(objects.path(checksum), checksum, size)
        if detail:
            yield Problem(
                "object",
                checksum,
                detail,
                paths=tuple(sorted(paths)),
                commits=walker.commits_reaching_object(live, checksum),
            )


def _object_problem(path: Path, checksum: str, size: int) -> str:
    try:
        found = path.stat().st_size
        if found != size:
            return f"{found} bytes, must be {size}"
        return "" if file_checksum(path) == checksum else "content does not match its checksum"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error}"


class _Reach:
    """Walks trees once each, bypassing the node cache, and remembers who points to what."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._below: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {}  # node: (child nodes, checksums)
        self.objects: dict[str, tuple[int, list[str]]] = {}
        self.broken: dict[str, str] = {}

    def visit(self, root: str) -> None:
        pending = [root]
        while pending:
            name = pending.pop()
            if name in self._below:
                continue
            self._below[name] = ((), frozenset())
            with translated_errors(self._database.file):
                row = (
                    self._database.connection()
                    .execute("SELECT data FROM nodes WHERE hash = ?", (bytes.fromhex(name),))
                    .fetchone()
                )
            if row is None:
                self.broken[name] = "missing"
                continue
            try:
                node = decode(zlib.decompress(row[0]))
                sound = encode(node)[0] == name
            except (zlib.error, ValueError, TypeError, LookupError) as error:
                self.broken[name] = f"cannot be decoded: {error}"
                continue
            if not sound:
                self.broken[name] = "content does not match its hash"
                continue
            if node.level:
                children = tuple(item.node for item in node.items)
                self._below[name] = (children, frozenset())
                pending.extend(children)
            else:
                self._below[name] = ((), frozenset(entry.checksum for entry in node.items))
                for entry in node.items:
                    self.objects.setdefault(entry.checksum, (entry.size, []))[1].append(entry.path)

    def commits_reaching_node(self, commits: list[CommitRow], node: str) -> tuple[str, ...]:
        return self._reaching(commits, {node})

    def commits_reaching_object(self, commits: list[CommitRow], checksum: str) -> tuple[str, ...]:
        return self._reaching(commits, {n for n, (_, held) in self._below.items() if checksum in held})

    def _reaching(self, commits: list[CommitRow], targets: set[str]) -> tuple[str, ...]:
        above: dict[str, list[str]] = {}
        for name, (children, _) in self._below.items():
            for child in children:
                above.setdefault(child, []).append(name)
        reached, pending = set(targets), list(targets)
        while pending:
            for parent in above.get(pending.pop(), ()):
                if parent not in reached:
                    reached.add(parent)
                    pending.append(parent)
        return tuple(commit.id for commit in commits if commit.root in reached)


class _Marks:
    """What must stay. Marking is incremental: a root that was walked before costs nothing again."""

    def __init__(self, database: Database, horizon: int) -> None:
        self._database = database
        self._horizon = horizon
        self.nodes: set[str] = set()
        self.objects: set[str] = set()
        self.commits: set[str] = set()
        self._marked: set[str] = set()

    def update(self, sql: sqlite3.Connection) -> None:
        """Mark what refs, staging and recent commits reach now."""
        heads = dict(sql.execute("SELECT name, head FROM branches").fetchall())
        kept = {head for (head,) in sql.execute("SELECT head FROM tags")} | set(heads.values())
        kept.update(
            commit_id
            for (commit_id,) in sql.execute(
                "SELECT id FROM commits WHERE created >= ? AND NOT expired", (self._horizon,)
            )
        )
        trunk = commit_by_id(sql, heads[MAIN])
        for name, head in heads.items():
            if name != MAIN:  # the merge to come needs the tree both sides began with
                kept.add(merge_base(sql, trunk, commit_by_id(sql, head)).id)
        self.commits = kept
        for commit_id in kept - self._marked:
            commit = commit_by_id(sql, commit_id)
            if not commit.expired:
                self._mark_tree(commit.root)
        self._marked |= kept
        self.objects.update(
            checksum for (checksum,) in sql.execute("SELECT checksum FROM staging WHERE checksum IS NOT NULL")
        )

    def _mark_tree(self, root: str) -> None:
        pending = [root]
        while pending:
            name = pending.pop()
            if name in self.nodes:
                continue
            self.nodes.add(name)
            node = self._database.load(name)
            if node.level:
                pending.extend(item.node for item in node.items)
            else:
                self.objects.update(entry.checksum for entry in node.items)


def collect(database: Database, objects: ObjectFiles, *, horizon: int, grace_seconds: float, dry_run: bool) -> GcReport:
    """Mark without a lock, then sweep in short transactions, each of which first marks what has come since.

    A writer stages an object in a transaction in which it finds the file in place, so a sweep either sees the
    staged row, or the writer will miss the file and write it again.
    """
    marks = _Marks(database, horizon)
    with database.read() as sql:
        marks.update(sql)
        expired, deleted = _stale_commits(sql, marks)
        stored = {row[0].hex() for row in sql.execute("SELECT hash FROM nodes")}
    candidates = (path for path in objects.files() if path.name not in marks.objects)
    removed_objects = removed_bytes = removed_nodes = 0
    if dry_run:
        for path in candidates:
            size = _removable_size(path, grace_seconds)
            if size is not None:
                removed_objects, removed_bytes = removed_objects + 1, removed_bytes + size
        return GcReport(True, removed_objects, removed_bytes, len(stored - marks.nodes), len(expired), len(deleted), 0)
    # first the records: after a kill, content without a record is garbage for the next run, never the reverse
    with database.write() as sql:
        marks.update(sql)
        expired, deleted = _stale_commits(sql, marks)
        sql.executemany("UPDATE commits SET expired = 1 WHERE seq = ?", [(seq,) for seq in expired])
        sql.executemany("DELETE FROM changes WHERE seq = ?", [(seq,) for seq in deleted])
        sql.executemany("DELETE FROM commits WHERE seq = ?", [(seq,) for seq in deleted])
        garbage = [(row[0],) for row in sql.execute("SELECT hash FROM nodes") if row[0].hex() not in marks.nodes]
        sql.executemany("DELETE FROM nodes WHERE hash = ?", garbage)
        removed_nodes = len(garbage)
    database.forget_nodes()
    while batch := list(islice(candidates, _BATCH)):
        with database.write(synced=False) as sql:
            marks.update(sql)
            for path in batch:
                size = None if path.name in marks.objects else _removable_size(path, grace_seconds)
                if size is not None:
                    path.unlink()
                    removed_objects, removed_bytes = removed_objects + 1, removed_bytes + size
    return GcReport(
        False,
        removed_objects,
        removed_bytes,
        removed_nodes,
        len(expired),
        len(deleted),
        objects.remove_leftovers(max(grace_seconds, 60.0)),
    )


def _stale_commits(sql: sqlite3.Connection, marks: _Marks) -> tuple[list[int], list[int]]:
    """Seqs of the commits whose content goes, and of those which go altogether as no ref reaches them."""
    commits = {commit.id: commit for commit in all_commits(sql)}
    reachable: set[str] = set()
    pending = list(marks.commits)
    while pending:
        commit_id = pending.pop()
        if commit_id in reachable:
            continue
        if commit_id not in commits:
            raise RefNotFound(f"commit {commit_id} is missing though reached; run verify before a collection")
        reachable.add(commit_id)
        pending.extend(commits[commit_id].parent_ids())
    expired = [c.seq for c in commits.values() if not c.expired and c.id in reachable and c.id not in marks.commits]
    deleted = [c.seq for c in commits.values() if c.id not in reachable]
    return expired, deleted


def _removable_size(path: Path, grace_seconds: float) -> int | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size if time.time() - status.st_mtime >= grace_seconds else None
