"""The commit graph: reading and writing commits, walking back, finding common ancestors."""

import hashlib
import heapq
import json
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from resources.lake.embedded.schema import changes_digest
from resources.lake.errors import CorruptObject, Gone, RefNotFound
from resources.lake.protocol import Commit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = "seq, id, root, parents, message, metadata, created, generation, depth, first, jump, changed, expired, nonce"


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970, exact. Raises ValueError for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError(f"time {moment.isoformat()} has no time zone; the lake's clock must give one, as in UTC")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


class CommitRow(NamedTuple):
    """A row of ``commits``; ``parents`` is JSON, ``first`` and ``jump`` are seqs of ancestors."""

    seq: int
    id: str
    root: str
    parents: str
    message: str
    metadata: str
    created: int
    generation: int
    depth: int
    first: int | None
    jump: int | None
    changed: str
    expired: int
    nonce: str

    def parent_ids(self) -> list[str]:
        ids: list[str] = self._decoded(self.parents)
        return ids

    def commit(self) -> Commit:
        return Commit(
            self.id,
            self.message,
            tuple(self.parent_ids()),
            from_micros(self.created),
            self._decoded(self.metadata),
        )

    def _decoded(self, text: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, TypeError) as error:
            raise CorruptObject(f"commit {self.id}: its record is damaged; run verify") from error

    def tree(self) -> str:
        """Root of the commit's tree. Raises Gone where retention took its content."""
        if self.expired:
            raise Gone(f"commit {self.id} of {from_micros(self.created):%Y-%m-%d}: retention removed its content")
        return self.root

    def expected_id(self) -> str:
        """What the commit's id must be for its content."""
        return _commit_id(self.root, self.parents, self.message, self.metadata, self.created, self.nonce)


def _commit_id(root: str, parents: str, message: str, metadata: str, created: int, nonce: str) -> str:
    body = json.dumps([root, parents, message, metadata, created, nonce], separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()


def commit_by_id(sql: sqlite3.Connection, commit_id: str) -> CommitRow:
    row = sql.execute(f"SELECT {_COLUMNS} FROM commits WHERE id = ?", (commit_id,)).fetchone()
    if row is None:
        raise RefNotFound(f"no commit {commit_id}")
    return CommitRow._make(row)


def commit_by_seq(sql: sqlite3.Connection, seq: int) -> CommitRow:
    row = sql.execute(f"SELECT {_COLUMNS} FROM commits WHERE seq = ?", (seq,)).fetchone()
    if row is None:
        raise RefNotFound(f"no commit number {seq}")
    return CommitRow._make(row)


def all_commits(sql: sqlite3.Connection) -> list[CommitRow]:
    return [CommitRow._make(row) for row in sql.execute(f"SELECT {_COLUMNS} FROM commits ORDER BY seq")]


def commits_with_prefix(sql: sqlite3.Connection, prefix: str) -> list[CommitRow]:
    """At most two commits whose id begins so."""
    rows = sql.execute(f"SELECT {_COLUMNS} FROM commits WHERE id >= ? AND id < ? LIMIT 2", (prefix, prefix + "g"))
    return [CommitRow._make(row) for row in rows]


def insert_commit(
    sql: sqlite3.Connection,
    *,
    root: str,
    parents: Sequence[CommitRow],
    message: str,
    metadata: Mapping[str, str],
    created: int,
    changed: Iterable[str],
) -> CommitRow:
    """Add a commit; ``changed`` are the paths in which it differs from its first parent."""
    paths = list(changed)
    parents_json = json.dumps([parent.id for parent in parents])
    metadata_json = json.dumps(metadata, ensure_ascii=False, sort_keys=True)
    nonce = secrets.token_hex(8)
    commit_id = _commit_id(root, parents_json, message, metadata_json, created, nonce)
    values = (
        commit_id,
        root,
        parents_json,
        message,
        metadata_json,
        created,
        *place_after(parents, partial(commit_by_seq, sql)),
        changes_digest(paths),
        0,
        nonce,
    )
    columns = _COLUMNS.removeprefix("seq, ")
    cursor = sql.execute(f"INSERT INTO commits ({columns}) VALUES ({', '.join('?' * len(values))})", values)
    seq = cursor.lastrowid
    assert seq is not None
    sql.executemany("INSERT INTO changes (path, seq) VALUES (?, ?)", ((path, seq) for path in paths))
    return CommitRow(seq, *values)


def place_after(
    parents: Sequence[CommitRow], by_seq: Callable[[int], CommitRow]
) -> tuple[int, int, int | None, int | None]:
    """Generation, depth, first and jump of a commit with these parents."""
    if not parents:
        return 0, 0, None, None
    generation = 1 + max(parent.generation for parent in parents)
    return generation, parents[0].depth + 1, parents[0].seq, _jump(parents[0], by_seq)


def _jump(parent: CommitRow, by_seq: Callable[[int], CommitRow]) -> int:
    """Myers' jump pointer: any ancestor on the first-parent chain is then O(log n) steps away."""
    if parent.jump is None:
        return parent.seq
    near = by_seq(parent.jump)
    if near.jump is None:
        return parent.seq
    far = by_seq(near.jump)
    return far.seq if parent.depth - near.depth == near.depth - far.depth else parent.seq


def first_parent_at(sql: sqlite3.Connection, commit: CommitRow, depth: int) -> CommitRow:
    """The commit of this depth on the first-parent chain of ``commit``."""
    while commit.depth > depth:
        assert commit.jump is not None and commit.first is not None
        jump = commit_by_seq(sql, commit.jump)
        commit = jump if jump.depth >= depth else commit_by_seq(sql, commit.first)
    return commit


def walk(sql: sqlite3.Connection, head: CommitRow, *, first_parent: bool) -> Iterator[CommitRow]:
    """From ``head`` back, children before parents, newest first among equals."""
    if first_parent:
        commit = head
        yield commit
        while commit.first is not None:
            commit = commit_by_seq(sql, commit.first)
            yield commit
        return
    queue = [(-head.generation, -head.seq, head)]
    seen = {head.id}
    while queue:
        commit = heapq.heappop(queue)[2]
        yield commit
        for parent_id in commit.parent_ids():
            if parent_id not in seen:
                seen.add(parent_id)
                parent = commit_by_id(sql, parent_id)
                heapq.heappush(queue, (-parent.generation, -parent.seq, parent))


def walk_path(sql: sqlite3.Connection, head: CommitRow, path: str, *, first_parent: bool) -> Iterator[CommitRow]:
    """As :func:`walk`, only the commits which changed ``path`` relative to their first parent.

    On the first-parent chain the time goes by the changes of the path, not by the length of the history.
    """
    seqs = [
        seq
        for (seq,) in sql.execute(
            "SELECT seq FROM changes WHERE path = ? AND seq <= ? ORDER BY seq DESC", (path, head.seq)
        )
    ]
    if first_parent:
        for seq in seqs:
            candidate = commit_by_seq(sql, seq)
            if candidate.depth <= head.depth and first_parent_at(sql, head, candidate.depth).seq == seq:
                yield candidate
        return
    wanted = set(seqs)
    if not wanted:
        return
    oldest = min(commit_by_seq(sql, seq).generation for seq in wanted)
    for commit in walk(sql, head, first_parent=False):
        if commit.seq in wanted:
            yield commit
            wanted.remove(commit.seq)
        if not wanted or commit.generation < oldest:
            return


def merge_base(sql: sqlite3.Connection, a: CommitRow, b: CommitRow) -> CommitRow:
    """The common ancestor farthest from the root. Raises RefNotFound where the histories share none."""
    marks = {a.id: 1}
    marks[b.id] = marks.get(b.id, 0) | 2
    queue = [(-a.generation, -a.seq, a)]
    if b.id != a.id:
        heapq.heappush(queue, (-b.generation, -b.seq, b))
    while queue:
        commit = heapq.heappop(queue)[2]
        mark = marks[commit.id]
        if mark == 3:  # every descendant, being of a higher generation, was looked at before
            return commit
        for parent_id in commit.parent_ids():
            known = marks.get(parent_id)
            marks[parent_id] = (known or 0) | mark
            if known is None:
                parent = commit_by_id(sql, parent_id)
                heapq.heappush(queue, (-parent.generation, -parent.seq, parent))
    raise RefNotFound(f"commits {a.id} and {b.id} have no common ancestor")
