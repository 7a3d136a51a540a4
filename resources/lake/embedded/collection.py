"""Garbage collection: removing what no ref, no staging and no commit of the retention window reaches."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from resources.lake.embedded.database import Database
from resources.lake.embedded.history import all_commits, commit_by_id, from_micros, merge_base
from resources.lake.embedded.objects import ObjectFiles
from resources.lake.embedded.schema import altered_tables
from resources.lake.errors import CorruptObject
from resources.lake.protocol import MAIN

_BATCH: Final = 500  # files removed per transaction: other writers wait for one batch at most
_LONGEST_WRITE_SECONDS: Final = 60.0  # a temporary file younger than this may have its writer still


@dataclass(frozen=True, slots=True)
class GcReport:
    """What a garbage collection removed, or with a dry run would remove.

    Attributes:
        dry_run: if nothing was removed.
        objects, object_bytes: object files removed.
        nodes: tree nodes removed from the database.
        commits_expired: commits that keep their record and lose their content.
        commits_deleted: commits which no ref reaches, removed altogether.
        temporary_files: what killed writers left.
        kept_objects, kept_bytes: object files that stay, young ones which nothing reaches yet among them.
        oldest_kept: when the oldest commit that keeps its content was made, UTC.
        unknown_files: names below ``objects/`` which no lake gave, relative to it; they are never removed.
    """

    dry_run: bool
    objects: int
    object_bytes: int
    nodes: int
    commits_expired: int
    commits_deleted: int
    temporary_files: int
    kept_objects: int = 0
    kept_bytes: int = 0
    oldest_kept: datetime | None = None
    unknown_files: tuple[str, ...] = ()


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

    Raises CorruptObject, before anything is removed, where refs, commits or staging are damaged or a tree is.
    """
    marks = _Marks(database, horizon)
    with database.read() as sql:
        if damaged := altered_tables(sql):
            raise CorruptObject(
                f"{database.file}: {', '.join(damaged)} damaged, so what must stay cannot be told; nothing was removed. "
                "Run verify and repair what it names first"
            )
        marks.update(sql)
        records = _Records.stale(sql, marks)
    if not dry_run:
        # first the records: after a kill, content without a record is garbage for the next run, never the reverse
        with database.write() as sql:
            marks.update(sql)
            records = _Records.stale(sql, marks)
            records.remove(sql)
        database.forget_nodes()
    files = _Files(objects, marks, grace_seconds)
    candidates = [path for path in objects.files() if files.removable_size(path) is not None]
    for first in range(0, len(candidates), _BATCH):
        batch = candidates[first : first + _BATCH]
        if dry_run:
            files.sweep(batch, dry_run=True)
        else:
            with database.write(synced=False) as sql:
                marks.update(sql)
                files.sweep(batch, dry_run=False)
    return GcReport(
        dry_run,
        files.removed,
        files.removed_bytes,
        len(records.nodes),
        len(records.expired),
        len(records.deleted),
        objects.remove_leftovers(max(grace_seconds, _LONGEST_WRITE_SECONDS), dry_run=dry_run),
        files.kept,
        files.kept_bytes,
        from_micros(records.oldest_kept),
        tuple(files.unknown),
    )


@dataclass(frozen=True, slots=True)
class _Records:
    """What goes from the database.

    Attributes:
        expired: seqs of the commits whose content goes.
        deleted: seqs of those which go altogether, as no ref reaches them.
        nodes: hashes of the tree nodes that go.
        oldest_kept: time of the oldest commit which keeps its content.
    """

    expired: list[int]
    deleted: list[int]
    nodes: list[bytes]
    oldest_kept: int

    @classmethod
    def stale(cls, sql: sqlite3.Connection, marks: _Marks) -> "_Records":
        commits = {commit.id: commit for commit in all_commits(sql)}
        reachable: set[str] = set()
        pending = list(marks.commits)
        while pending:
            commit_id = pending.pop()
            if commit_id in reachable:
                continue
            if commit_id not in commits:
                raise CorruptObject(f"commit {commit_id} is missing though reached; run verify before a collection")
            reachable.add(commit_id)
            pending.extend(commits[commit_id].parent_ids())
        live = [commit for commit in commits.values() if not commit.expired]
        return cls(
            expired=[c.seq for c in live if c.id in reachable and c.id not in marks.commits],
            deleted=[c.seq for c in commits.values() if c.id not in reachable],
            nodes=[name for (name,) in sql.execute("SELECT hash FROM nodes") if name.hex() not in marks.nodes],
            oldest_kept=min(c.created for c in live if c.id in marks.commits),
        )

    def remove(self, sql: sqlite3.Connection) -> None:
        sql.executemany("UPDATE commits SET expired = 1 WHERE seq = ?", [(seq,) for seq in self.expired])
        sql.executemany("DELETE FROM changes WHERE seq = ?", [(seq,) for seq in self.deleted])
        sql.executemany("DELETE FROM commits WHERE seq = ?", [(seq,) for seq in self.deleted])
        sql.executemany("DELETE FROM nodes WHERE hash = ?", [(name,) for name in self.nodes])


class _Files:
    """Judges and removes object files, and counts what became of them."""

    def __init__(self, objects: ObjectFiles, marks: _Marks, grace_seconds: float) -> None:
        self._objects, self._marks, self._grace_seconds = objects, marks, grace_seconds
        self.kept = self.kept_bytes = self.removed = self.removed_bytes = 0
        self.unknown: list[str] = []

    def removable_size(self, path: Path) -> int | None:
        """Its bytes, where nothing reaches the file and it is old enough; if it must stay it is counted."""
        if not self._objects.is_object(path):
            self.unknown.append(str(path.relative_to(self._objects.objects)))
            return None
        found = self._objects.age_and_size(path)
        if found is None:
            return None  # another collection took it
        age_seconds, size = found
        if path.name not in self._marks.objects and age_seconds >= self._grace_seconds:
            return size
        self.kept += 1
        self.kept_bytes += size
        return None

    def sweep(self, paths: list[Path], *, dry_run: bool) -> None:
        for path in paths:
            size = self.removable_size(path)
            if size is not None:
                if not dry_run:
                    self._objects.remove(path)
                self.removed += 1
                self.removed_bytes += size
