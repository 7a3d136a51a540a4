"""The embedded lake itself: the protocol's calls, each one short transaction."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from resources.lake.embedded import refs
from resources.lake.embedded.collection import GcReport, collect
from resources.lake.embedded.comparing import change, three_dot, two_dot
from resources.lake.embedded.database import BUSY_SECONDS, Database
from resources.lake.embedded.heads import advance, before, check_clean
from resources.lake.embedded.history import (
    CommitRow,
    commit_by_id,
    insert_commit,
    merge_base,
    to_micros,
    walk,
    walk_path,
)
from resources.lake.embedded.integrity import Problem, verify
from resources.lake.embedded.merging import merge_trees
from resources.lake.embedded.objects import ObjectFiles
from resources.lake.embedded.staging import (
    Staged,
    effective,
    listing,
    object_info,
    overlaid,
    stage,
    stage_removals,
    staged_below,
    unstage,
)
from resources.lake.embedded.tree import EMPTY, Entry, edit, lookup, upper_bound
from resources.lake.embedded.views import check_absent, entry_at, tree_and_staging
from resources.lake.errors import (
    Forbidden,
    NoChanges,
    RefNotFound,
    Unsupported,
)
from resources.lake.protocol import (
    MAIN,
    Change,
    Commit,
    DiffMode,
    MergeResult,
    MergeStrategy,
    ObjectInfo,
    Prefix,
    check_metadata,
    check_path,
    check_ref_name,
)


class EmbeddedLake:
    """A :class:`resources.lake.Lake` in one directory, for threads and processes of one machine.

    The directory must lie on a local file system: SQLite's WAL mode needs shared memory.

    Args:
        directory: made where it is absent; a store of an older format is brought to this one's.
        clock: gives the time of commits and objects, timezone-aware.
        busy_seconds: how long a call waits for other writers before it raises Contention.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], datetime], busy_seconds: float = BUSY_SECONDS) -> None:
        self.directory = directory
        self._clock = clock
        self._objects = ObjectFiles(directory)
        self._database = Database(directory / "lake.db", busy_seconds)
        self._thread = threading.local()
        self._objects.create()
        self._database.create(self._first_commit)

    @property
    def uri(self) -> str:
        return self.directory.absolute().as_uri()

    @property
    def indexes_paths(self) -> bool:
        return True

    def _first_commit(self, sql: sqlite3.Connection) -> None:
        now = self._now()
        first = insert_commit(
            sql,
            root=self._database.save(EMPTY),
            parents=[],
            message="Repository created",
            metadata={},
            created=now,
            changed=(),
        )
        refs.add_branch(sql, MAIN, first.id, now)

    # refs

    def resolve(self, ref: str) -> str:
        with self._database.read() as sql:
            return refs.find(sql, ref)[0].id

    def create_branch(self, name: str, source: str) -> str:
        check_ref_name(name, "branch")
        with self._write() as sql:
            refs.check_unused(sql, name)
            commit, _ = refs.find(sql, source)
            commit.tree()
            refs.add_branch(sql, name, commit.id, self._now())
        return commit.id

    def delete_branch(self, name: str) -> None:
        if name == MAIN:
            raise Forbidden(f"branch {name}: the default branch cannot be deleted")
        with self._write() as sql:
            branch = refs.branch_row(sql, name)
            sql.execute("DELETE FROM staging WHERE branch = ?", (branch.id,))
            sql.execute("DELETE FROM branches WHERE id = ?", (branch.id,))

    def list_branches(self, prefix: str = "") -> dict[str, str]:
        with self._database.read() as sql:
            return refs.branches(sql, prefix)

    def create_tag(self, name: str, ref: str) -> str:
        check_ref_name(name, "tag")
        with self._write() as sql:
            refs.check_unused(sql, name)
            commit, _ = refs.find(sql, ref)
            commit.tree()
            refs.add_tag(sql, name, commit.id, self._now())
        return commit.id

    def delete_tag(self, name: str) -> None:
        with self._write() as sql:
            if not sql.execute("DELETE FROM tags WHERE name = ?", (name,)).rowcount:
                raise RefNotFound(f"no tag {name!r}")

    def list_tags(self, prefix: str = "") -> dict[str, str]:
        with self._database.read() as sql:
            return refs.tags(sql, prefix)

    # objects

    def put(
        self,
        branch: str,
        path: str,
        data: bytes | Path,
        *,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        check_path(path)
        pairs = check_metadata(metadata)
        with self._database.read() as sql:
            target = refs.writable(sql, branch)
            if if_absent:
                check_absent(sql, self._database, target, path)
        checksum, size = self._objects.write(data)
        with self._write() as sql:
            if not self._objects.exists(checksum):
                # garbage collection took it since; it sweeps under this lock, so written here it cannot again
                checksum, size = self._objects.write(data)
            target = refs.writable(sql, branch)
            if if_absent:
                check_absent(sql, self._database, target, path)
            entry = Entry(path, checksum, size, pairs, self._now())
            stage(sql, target.id, entry)
        return object_info(entry)

    def delete(self, branch: str, paths: str | Iterable[str]) -> None:
        wanted = {check_path(path) for path in ([paths] if isinstance(paths, str) else paths)}
        with self._write() as sql:
            target = refs.writable(sql, branch)
            root = commit_by_id(sql, target.head).tree()
            stage_removals(sql, self._database, target.id, root, wanted)

    def get(self, ref: str, path: str, *, byte_range: tuple[int, int] | None = None) -> bytes:
        entry = self._entry(ref, path)
        return self._objects.read(entry.checksum, entry.size, f"{ref}/{path}", byte_range)

    def stat(self, ref: str, path: str) -> ObjectInfo:
        return object_info(self._entry(ref, path))

    def local_path(self, ref: str, path: str) -> Path:
        """The object's own file: read-only, named by the SHA-256 of its content, never changed.

        Only its size is checked, as engines read a part of it; :meth:`get` and :meth:`verify` check every byte.
        """
        entry = self._entry(ref, path)
        return self._objects.checked_path(entry.checksum, entry.size, f"{ref}/{path}")

    def local_paths(self, ref: str, prefix: str = "") -> dict[str, Path]:
        root, staged = self._view(ref, prefix)
        return {
            entry.path: self._objects.checked_path(entry.checksum, entry.size, f"{ref}/{entry.path}")
            for entry in overlaid(self._database, root, staged, prefix, upper_bound(prefix))
        }

    def list(
        self, ref: str, prefix: str = "", *, after: str = "", delimiter: str | None = None
    ) -> Iterator[ObjectInfo | Prefix]:
        root, staged = self._view(ref, prefix)
        return listing(self._database, root, staged, prefix, after, delimiter)

    def uncommitted(self, branch: str, prefix: str = "") -> Iterator[Change]:
        with self._database.read() as sql:
            target = refs.branch_row(sql, branch)
            root = commit_by_id(sql, target.head).tree()
            staged = effective(self._database, root, staged_below(sql, target.id, prefix))
        return (change(path, lookup(self._database, root, path), entry) for path, entry in staged.items())

    # commits

    def commit(
        self,
        branch: str,
        message: str,
        metadata: Mapping[str, str] | None = None,
        *,
        allow_empty: bool = False,
    ) -> Commit:
        pairs = check_metadata(metadata)
        with self._write() as sql:
            target = refs.writable(sql, branch)
            head = commit_by_id(sql, target.head)
            edits = effective(self._database, head.tree(), staged_below(sql, target.id))
            if not edits and not allow_empty:
                raise NoChanges(f"branch {branch}: nothing staged differs from its head {head.id}")
            root = edit(self._database, head.root, edits)
            unstage(sql, target.id)
            return advance(sql, target, root, [head], message, pairs, self._now(), edits).commit()

    def merge(
        self,
        source: str,
        dest: str,
        message: str,
        metadata: Mapping[str, str] | None = None,
        *,
        strategy: MergeStrategy | None = None,
    ) -> MergeResult:
        pairs = check_metadata(metadata)
        with self._database.write() as sql:
            target = refs.branch_row(sql, dest)
            head = commit_by_id(sql, target.head)
            incoming, _ = refs.find(sql, source)
            base = merge_base(sql, head, incoming)
            if base.id == incoming.id:
                return MergeResult(head.id, already_merged=True)
            check_clean(sql, self._database, target, head)
            root, edits = merge_trees(self._database, base.tree(), incoming.tree(), head.tree(), strategy)
            merged = advance(sql, target, root, [head, incoming], message, pairs, self._now(), edits)
        return MergeResult(merged.id, already_merged=False)

    def diff(self, left: str, right: str, *, mode: DiffMode = "three_dot", prefix: str = "") -> Iterator[Change]:
        if mode not in ("two_dot", "three_dot"):
            raise Unsupported(f"diff mode {mode!r}: must be two_dot or three_dot")
        with self._database.read() as sql:
            a, (b, branch) = refs.find(sql, left)[0], refs.find(sql, right)
            if mode == "three_dot":
                base = merge_base(sql, a, b)
                return three_dot(self._database, base.tree(), a.tree(), b.tree(), prefix)
            staged = {} if branch is None else staged_below(sql, branch, prefix)
        return two_dot(self._database, a.tree(), b.tree(), staged, prefix)

    def log(
        self, ref: str, *, limit: int | None = None, first_parent: bool = False, path: str | None = None
    ) -> Iterator[Commit]:
        with self._database.read() as sql:
            head, _ = refs.find(sql, ref)
        return self._log(head, limit, first_parent, path)

    def _log(self, head: CommitRow, limit: int | None, first_parent: bool, path: str | None) -> Iterator[Commit]:
        # commits never change, so the walk needs no transaction held open between two steps of a slow caller
        sql = self._database.connection()
        rows = (
            walk(sql, head, first_parent=first_parent)
            if path is None
            else walk_path(sql, head, path, first_parent=first_parent)
        )
        with self._database.translated_errors():
            for number, row in enumerate(rows):
                if limit is not None and number >= limit:
                    return
                yield row.commit()

    def get_commit(self, ref: str) -> Commit:
        with self._database.read() as sql:
            return refs.find(sql, ref)[0].commit()

    def merge_base(self, a: str, b: str) -> str:
        with self._database.read() as sql:
            return merge_base(sql, refs.find(sql, a)[0], refs.find(sql, b)[0]).id

    def discard(self, branch: str, path: str | None = None, prefix: str | None = None) -> None:
        with self._write() as sql:
            unstage(sql, refs.branch_row(sql, branch).id, path=path, prefix=prefix)

    def rollback(self, branch: str, to: str) -> str:
        with self._write() as sql:
            target = refs.writable(sql, branch)
            commit, _ = refs.find(sql, to)
            commit.tree()
            check_clean(sql, self._database, target, commit_by_id(sql, target.head))
            refs.move(sql, target, commit.id)
        return commit.id

    def revert(self, branch: str, commit: str, *, parent: int = 0) -> Commit:
        with self._write() as sql:
            target = refs.writable(sql, branch)
            head = commit_by_id(sql, target.head)
            undone, _ = refs.find(sql, commit)
            origin = before(sql, undone, parent)
            check_clean(sql, self._database, target, head)
            root, edits = merge_trees(self._database, undone.tree(), origin.tree(), head.tree(), None)
            if not edits:
                raise NoChanges(f"branch {branch}: reverting {undone.id} changes nothing")
            return advance(sql, target, root, [head], f"Revert {undone.id}", {}, self._now(), edits).commit()

    # upkeep

    def verify(self) -> Iterator[Problem]:
        """Check every object, tree node and commit that is not expired; yield what is damaged or missing."""
        return verify(self._database, self._objects)

    def gc(
        self,
        retention: timedelta,
        *,
        dry_run: bool = False,
        grace: timedelta = timedelta(hours=1),
    ) -> GcReport:
        """Remove the content that no branch head, tag, staging or commit of the last ``retention`` reaches.

        ``grace``: files younger than this stay in any case. Commits on a branch keep their record for ever.
        """
        return collect(
            self._database,
            self._objects,
            horizon=to_micros(self._clock() - retention),
            grace_seconds=grace.total_seconds(),
            dry_run=dry_run,
        )

    @contextlib.contextmanager
    def unsynced(self) -> Iterator[None]:
        depth = getattr(self._thread, "unsynced", 0)
        self._thread.unsynced = depth + 1
        try:
            yield
        finally:
            self._thread.unsynced = depth

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # shared steps

    def _now(self) -> int:
        return to_micros(self._clock())

    def _write(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        return self._database.write(synced=not getattr(self._thread, "unsynced", 0))

    def _view(self, ref: str, prefix: str) -> tuple[str, Staged]:
        with self._database.read() as sql:
            return tree_and_staging(sql, ref, prefix)

    def _entry(self, ref: str, path: str) -> Entry:
        with self._database.read() as sql:
            return entry_at(sql, self._database, ref, path)
