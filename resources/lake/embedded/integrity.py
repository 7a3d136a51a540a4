"""Verifying a store: every byte that can be read is checked, and what is wrong is said with what it touches."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from resources.lake.embedded.database import Database
from resources.lake.embedded.history import CommitRow, place_after
from resources.lake.embedded.objects import ObjectFiles, file_checksum
from resources.lake.embedded.reach import Broken, Reach
from resources.lake.embedded.schema import (
    SEAL_LIMIT,
    SEALED,
    changes_digest,
    definition,
    expected_definition,
    row_seal,
)
from resources.lake.embedded.tree import diff
from resources.lake.errors import Gone, LakeUnavailable
from resources.lake.protocol import MAIN

Kind = Literal["object", "node", "commit", "branch", "tag", "staging", "changes", "file"]

_BACKUP: Final = "put lake.db back from a backup"
_REMEDIES: Final = {
    "object": "publish the same content again, or put this file back from a backup of the objects; until then reading "
    "it is refused, everything else can be used",
    "node": f"{_BACKUP}; until then these paths cannot be read or changed, all others can",
    "commit": f"{_BACKUP}; do not trust what this commit says of itself",
    "branch": f"{_BACKUP}, or delete the branch and create it anew from a commit you know",
    "tag": f"{_BACKUP}, or delete the tag and create it anew from a commit you know",
    "staging": "discard the path on its branch and put it again",
    "changes": f"{_BACKUP}; contents are not touched, the history of single paths is",
    "file": f"{_BACKUP}; copy what can still be read to a new lake where there is none",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the store is not what it must be.

    Attributes:
        kind: what it is about; ``changes`` is the record of the paths a commit changed, ``file`` the database as a
            whole.
        name: checksum of an object, hash of a node, id of a commit, name of a ref, path of what is staged.
        detail: what is wrong.
        paths: the object paths it stands behind, in byte order; for a tree node those known from other versions of
            it and from the record of changes.
        commits: the commits that reach it, oldest first.
        refs: the branches and tags whose own content it touches, in byte order.
        remedy: what to do.
    """

    kind: Kind
    name: str
    detail: str
    paths: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    remedy: str = ""


def verify(database: Database, objects: ObjectFiles) -> Iterator[Problem]:
    """Check the database as of one moment, then every object that it names; other processes may go on writing."""
    inspection = _Inspection(database)
    inspection.run()
    for problem in [*inspection.problems, *inspection.tree_problems()]:
        yield replace(problem, refs=problem.refs or inspection.refs_at(problem.commits), remedy=_REMEDIES[problem.kind])
    for problem in inspection.object_problems(objects):
        yield replace(problem, remedy=_REMEDIES["object"])


class _Inspection:
    """One look at the database, in one read transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reach = Reach(database)
        self.problems: list[Problem] = []
        self._commits: list[CommitRow] = []  # those whose record is sound, oldest first
        self._altered: list[CommitRow] = []
        self._heads: list[tuple[str, str]] = []  # ref, commit id
        self._branches: dict[int, str] = {}
        self._staged: list[tuple[str, int, str, str]] = []  # checksum, size, path, branch
        self._changes: dict[int, list[str]] = {}

    @property
    def _sql(self) -> sqlite3.Connection:
        return self._database.connection()

    @property
    def _live(self) -> list[CommitRow]:
        return [commit for commit in (*self._commits, *self._altered) if not commit.expired]

    def run(self) -> None:
        checks = (self._file, self._commit_rows, self._refs, self._staging, self._graph, self._change_rows, self._trees)
        try:
            with self._database.read() as sql, _raw_text(sql):
                for check in checks:  # one may stumble over what another one reports: each goes as far as it can
                    try:
                        with self._database.translated_errors():
                            check()
                    except LakeUnavailable as error:
                        self._report("file", str(self._database.file), str(error))
        except LakeUnavailable as error:
            self._report("file", str(self._database.file), str(error))

    def refs_at(self, commits: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted({name for name, head in self._heads if head in commits}))

    def tree_problems(self) -> Iterator[Problem]:
        for node, broken in sorted(self._reach.broken.items()):
            commits = self._reach.commits_reaching(self._live, node)
            yield Problem("node", node, _extent(broken), self._paths_within(broken), commits)

    def object_problems(self, objects: ObjectFiles) -> Iterator[Problem]:
        wanted = {checksum: (size, set(paths)) for checksum, (size, paths) in self._reach.objects.items()}
        staging: dict[str, set[str]] = {}
        for checksum, size, path, branch in self._staged:
            wanted.setdefault(checksum, (size, set()))[1].add(path)
            staging.setdefault(checksum, set()).add(branch)
        for checksum, (size, paths) in sorted(wanted.items()):
            detail = _object_problem(objects.path(checksum), checksum, size)
            if not detail:
                continue
            commits = self._reach.commits_reaching(self._live, checksum)
            if self._still_wanted(commits, checksum):
                refs = tuple(sorted({*self.refs_at(commits), *staging.get(checksum, ())}))
                yield Problem("object", checksum, detail, tuple(sorted(paths)), commits, refs)

    def _still_wanted(self, commits: tuple[str, ...], checksum: str) -> bool:
        """False where a collection has taken all that reached the object while it was looked for."""
        if self._altered:
            return True  # no collection runs on such a store
        with self._database.read() as sql:
            if sql.execute("SELECT 1 FROM staging WHERE checksum = ?", (checksum,)).fetchone():
                return True
            query = "SELECT 1 FROM commits WHERE id = ? AND NOT expired"
            return any(sql.execute(query, (commit,)).fetchone() for commit in commits)

    def _report(
        self,
        kind: Kind,
        name: object,
        detail: str,
        *,
        paths: tuple[str, ...] = (),
        commits: tuple[str, ...] = (),
        refs: tuple[str, ...] = (),
    ) -> None:
        self.problems.append(Problem(kind, _printable(name), detail, paths, commits, refs))

    def _file(self) -> None:
        name = str(self._database.file)
        for (text,) in self._sql.execute("PRAGMA integrity_check").fetchall():
            if text != "ok":
                self._report("file", name, _printable(text))
        if definition(self._sql) != expected_definition():
            self._report("file", name, "the definitions of its tables are not those of this format")

    def _sealed(self, table: str, kind: Kind, named: str) -> Iterator[tuple[dict[str, Any], bool]]:
        """The rows of a table, and if they are sound; those that are not, and a wrong number, are reported."""
        columns = SEALED[table]
        count = total = altered = 0
        # not by an index, which holds copies of what it covers
        for *values, seal in self._sql.execute(
            f"SELECT {', '.join(columns)}, seal FROM {table} NOT INDEXED"
        ).fetchall():
            row = dict(zip(columns, values, strict=True))
            count, total = count + 1, total + (seal if isinstance(seal, int) else 0)
            try:
                sound = row_seal(*values) == seal
            except TypeError:
                sound = False
            yield row, sound
            if sound:
                continue
            altered += 1
            of = f" of branch number {_printable(row['branch'])}" if table == "staging" else ""
            name = (_printable(row[named]),)
            self._report(
                kind,
                row[named],
                f"its record{of} was altered",
                paths=name if kind == "staging" else (),
                commits=name if kind == "commit" else (),
                refs=name if kind in ("branch", "tag") else (),
            )
        recorded = self._sql.execute("SELECT rows, total FROM totals WHERE name = ?", (table,)).fetchone()
        if recorded is None or recorded[0] != count or (recorded[1] != total % SEAL_LIMIT and not altered):
            rows = "an unknown number of" if recorded is None else recorded[0]
            detail = f"table {table} has {count} rows, must have {rows}: rows were lost, added or exchanged"
            self._report("file", str(self._database.file), detail)

    def _commit_rows(self) -> None:
        for row, sound in self._sealed("commits", "commit", "id"):
            commit = CommitRow(**row)
            if sound and commit.expected_id() == commit.id:
                self._commits.append(commit)
                continue
            # what its tree holds is looked at all the same
            self._altered.append(commit._replace(id=_printable(commit.id), root=_printable(commit.root)))
            if sound:
                self._report("commit", commit.id, "its record was altered", commits=(commit.id,))
        self._commits.sort()

    def _refs(self) -> None:
        for row, sound in self._sealed("branches", "branch", "name"):
            if sound:
                self._branches[row["id"]] = row["name"]
                self._heads.append((row["name"], row["head"]))
        for row, sound in self._sealed("tags", "tag", "name"):
            if sound:
                self._heads.append((row["name"], row["head"]))
        reported = {problem.name for problem in self.problems}
        known = {commit.id for commit in self._commits}
        for name, head in self._heads:
            if head not in known and head not in reported:
                self._report("commit", head, f"missing, and {name} points to it", refs=(name,))
        if MAIN not in self._branches.values() and "branch" not in {problem.kind for problem in self.problems}:
            self._report("branch", MAIN, "missing")

    def _staging(self) -> None:
        for row, sound in self._sealed("staging", "staging", "path"):
            if not sound:
                continue
            branch = self._branches.get(row["branch"])
            if branch is None and "branch" not in {problem.kind for problem in self.problems}:
                detail = f"is staged on branch number {row['branch']}, which there is not"
                self._report("staging", row["path"], detail, paths=(row["path"],))
            elif row["checksum"] is not None:
                self._staged.append((row["checksum"], row["size"], row["path"], branch or "a damaged branch"))

    def _graph(self) -> None:
        known = {commit.id: commit for commit in self._commits}
        numbers = {commit.seq: commit for commit in self._commits}
        reported = {problem.name for problem in self.problems}
        for commit in self._commits:
            parents = [known.get(parent_id) for parent_id in commit.parent_ids()]
            for parent_id, parent in zip(commit.parent_ids(), parents, strict=True):
                if parent is None and parent_id not in reported:
                    reported.add(parent_id)
                    self._report("commit", parent_id, f"missing, a parent of {commit.id}", commits=(commit.id,))
            sound = [parent for parent in parents if parent is not None]
            if len(sound) < len(parents):
                continue
            try:
                place = place_after(sound, numbers.__getitem__)
            except KeyError:
                continue  # an ancestor's record is damaged, and reported
            if place != (commit.generation, commit.depth, commit.first, commit.jump):
                detail = "its place in the history is not what its parents say"
                self._report("commit", commit.id, detail, commits=(commit.id,))

    def _change_rows(self) -> None:
        for path, seq in self._sql.execute("SELECT path, seq FROM changes NOT INDEXED"):
            self._changes.setdefault(seq, []).append(path)
        known = {commit.id: commit for commit in self._commits}
        rest = dict(self._changes)
        for commit in self._commits:
            paths = rest.pop(commit.seq, [])
            sound = _digest(paths) == commit.changed
            first = known.get(next(iter(commit.parent_ids()), ""))
            if sound and first is not None and not commit.expired and not first.expired:
                with contextlib.suppress(Gone):  # damaged trees are reported as such
                    sound = sorted(paths) == [path for path, _, _ in diff(self._database, first.root, commit.root)]
            if not sound:
                self._report("changes", commit.id, "its record of changed paths was altered", commits=(commit.id,))
        if rest and not self._altered:
            paths = sorted({_printable(path) for found in rest.values() for path in found})
            self._report("changes", ", ".join(map(str, rest)), "of no commit", paths=tuple(paths))

    def _trees(self) -> None:
        for commit in self._live:
            self._reach.visit(commit.root)

    def _paths_within(self, broken: Broken) -> tuple[str, ...]:
        known = {*self._reach.known_paths(), *(path for paths in self._changes.values() for path in paths)}
        low, high = broken.low, broken.high
        return tuple(sorted(_printable(path) for path in known if path > low and (high is None or path <= high)))


@contextlib.contextmanager
def _raw_text(sql: sqlite3.Connection) -> Iterator[None]:
    """Read text that is not valid UTF-8 any more too."""
    usual = sql.text_factory
    sql.text_factory = lambda data: data.decode(errors="surrogateescape")
    try:
        yield
    finally:
        sql.text_factory = usual


def _printable(value: object) -> str:
    return str(value).encode(errors="surrogateescape").decode(errors="backslashreplace")


def _digest(paths: list[str]) -> str | None:
    try:
        return changes_digest(paths)
    except TypeError:
        return None


def _extent(broken: Broken) -> str:
    if broken.high is None:
        return f"{broken.detail}; it holds the whole tree"
    return f"{broken.detail}; it holds the paths {f'behind {broken.low!r} ' if broken.low else ''}up to {broken.high!r}"


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
