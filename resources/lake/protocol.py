"""What a lake is: the protocol every backend meets, and the records it speaks in."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Protocol, Self, runtime_checkable

from resources.lake.errors import InvalidName

MAIN: Final = "main"
"""The default branch. It is protected: it changes by merges only."""

MAX_PATH_BYTES: Final = 1024

ChangeType = Literal["added", "removed", "changed", "conflict"]
DiffMode = Literal["two_dot", "three_dot"]
MergeStrategy = Literal["source-wins", "dest-wins"]

_REF_NAME = re.compile(r"\w[-\w]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object at one ref.

    Attributes:
        path: its path, 1 to 1024 bytes of UTF-8.
        size: bytes.
        checksum: SHA-256 of the content in hex; the server's own for what others than a lake put on a server.
        metadata: the user's key-value pairs.
        modified: when this content was first put at this path, UTC. Not part of the object's identity.
    """

    path: str
    size: int
    checksum: str
    metadata: Mapping[str, str]
    modified: datetime


@dataclass(frozen=True, slots=True)
class Prefix:
    """A common prefix of a listing with a delimiter; ``path`` ends with the delimiter."""

    path: str


@dataclass(frozen=True, slots=True)
class Change:
    """One path which differs between two sides; ``conflict`` only in a three-dot diff."""

    path: str
    type: ChangeType


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit. ``parents`` is empty for a repository's first, (dest, source) for a merge."""

    id: str
    message: str
    parents: tuple[str, ...]
    created: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MergeResult:
    """``commit_id`` is the merge commit, or the destination's head where all was merged before."""

    commit_id: str
    already_merged: bool


@runtime_checkable
class Lake(Protocol):
    """Versioned objects: branches, tags, commits, merges.

    A ref is a branch (its committed head and what is staged on it), ``branch@`` (its committed head), a tag,
    a commit id, or a unique prefix of one; with steps back behind it: ``~`` to the first parent, ``~3`` three such
    steps, ``^2`` to the second parent.
    """

    @property
    def uri(self) -> str: ...

    @property
    def indexes_paths(self) -> bool:
        """If ``log(path=...)`` costs by the changes of that path, not by the length of the history."""
        ...

    def resolve(self, ref: str) -> str:
        """Commit id of ``ref``. Raises RefNotFound."""
        ...

    def create_branch(self, name: str, source: str) -> str:
        """Branch off the commit of ``source``; its id. Raises InvalidName, AlreadyExists, RefNotFound."""
        ...

    def delete_branch(self, name: str) -> None:
        """Delete a branch and what is staged on it. Raises RefNotFound; Forbidden for the default branch."""
        ...

    def list_branches(self, prefix: str = "") -> dict[str, str]:
        """Commit id by branch name, in byte order of the names."""
        ...

    def create_tag(self, name: str, ref: str) -> str:
        """Pin the commit of ``ref`` for ever; its id. Raises InvalidName, AlreadyExists, RefNotFound."""
        ...

    def delete_tag(self, name: str) -> None: ...

    def list_tags(self, prefix: str = "") -> dict[str, str]:
        """Commit id by tag name, in byte order of the names."""
        ...

    def put(
        self,
        branch: str,
        path: str,
        data: bytes | Path,
        *,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """Stage an object. ``if_absent``: raises PreconditionFailed where the branch has the path already."""
        ...

    def delete(self, branch: str, paths: str | Iterable[str]) -> None:
        """Stage the removal of paths; a path that is not there is no error."""
        ...

    def get(self, ref: str, path: str, *, byte_range: tuple[int, int] | None = None) -> bytes:
        """Content, or its bytes from ``start`` up to but without ``stop`` (a stop past the end is cut).

        Raises ObjectNotFound, RefNotFound, Gone, CorruptObject; PreconditionFailed for a start past the end.
        """
        ...

    def stat(self, ref: str, path: str) -> ObjectInfo: ...

    def local_path(self, ref: str, path: str) -> Path:
        """A local, read-only file with the content: in place, or a verified copy in a cache."""
        ...

    def local_paths(self, ref: str, prefix: str = "") -> dict[str, Path]:
        """``local_path`` of every object below ``prefix`` with one listing, in byte order of the paths."""
        ...

    def list(
        self, ref: str, prefix: str = "", *, after: str = "", delimiter: str | None = None
    ) -> Iterator[ObjectInfo | Prefix]:
        """Objects below ``prefix`` whose path sorts after ``after``, in byte order of the paths.

        With a ``delimiter``, what lies behind its first occurrence after ``prefix`` is one Prefix.
        """
        ...

    def uncommitted(self, branch: str, prefix: str = "") -> Iterator[Change]:
        """What is staged and differs from the branch's head, in byte order."""
        ...

    def commit(
        self,
        branch: str,
        message: str,
        metadata: Mapping[str, str] | None = None,
        *,
        allow_empty: bool = False,
    ) -> Commit:
        """Commit all that is staged. Raises NoChanges, Forbidden for a protected branch, Contention."""
        ...

    def merge(
        self,
        source: str,
        dest: str,
        message: str,
        metadata: Mapping[str, str] | None = None,
        *,
        strategy: MergeStrategy | None = None,
    ) -> MergeResult:
        """Three-way merge of what is committed on ``source`` into the branch ``dest``.

        Raises MergeConflict with the paths (unless a strategy resolves them), DirtyBranch, Contention.
        """
        ...

    def diff(self, left: str, right: str, *, mode: DiffMode = "three_dot", prefix: str = "") -> Iterator[Change]:
        """``three_dot``: what ``right`` changed since the merge base; ``two_dot``: how the two differ.

        A three-dot diff compares commits; a two-dot diff with a plain branch on the right reads its staging.
        """
        ...

    def log(
        self, ref: str, *, limit: int | None = None, first_parent: bool = False, path: str | None = None
    ) -> Iterator[Commit]:
        """Commits from ``ref`` back, children before parents.

        ``path``: only commits in which that object differs from the commit's first parent.
        """
        ...

    def get_commit(self, ref: str) -> Commit: ...

    def merge_base(self, a: str, b: str) -> str:
        """Best common ancestor of two refs. Raises RefNotFound where there is none."""
        ...

    def discard(self, branch: str, path: str | None = None, prefix: str | None = None) -> None:
        """Forget what is staged: all, one path, or a prefix."""
        ...

    def rollback(self, branch: str, to: str) -> str:
        """Move the branch's head back to the commit of ``to``. Raises DirtyBranch, Forbidden."""
        ...

    def revert(self, branch: str, commit: str, *, parent: int = 0) -> Commit:
        """Commit the opposite of ``commit``; a merge needs ``parent`` (1 or 2), the side to return to.

        Raises MergeConflict, NoChanges, DirtyBranch, Forbidden; PreconditionFailed for a missing parent.
        """
        ...

    def unsynced(self) -> AbstractContextManager[None]:
        """Calls of this thread inside need not wait for the disk; a merge does, also for those before it.

        After a loss of power they may be undone, newest first; a killed process loses nothing. Backends to
        which this means nothing ignore it.
        """
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def check_ref_name(name: str, kind: str) -> str:
    """``name`` if it may name a branch or tag. Raises InvalidName."""
    if not isinstance(name, str) or not _REF_NAME.fullmatch(name):
        raise InvalidName(
            f"{kind} name {name!r}: must begin with a letter, digit or underscore, then only those and '-'"
        )
    return name


def check_path(path: str) -> str:
    """``path`` if it may name an object. Raises InvalidName."""
    if not isinstance(path, str):
        raise InvalidName(f"object path {path!r}: must be a str, not {type(path).__name__}")
    try:
        size = len(path.encode())
    except UnicodeEncodeError as error:
        raise InvalidName(f"object path {path!r}: not valid Unicode ({error.reason})") from error
    if not 1 <= size <= MAX_PATH_BYTES:
        raise InvalidName(f"object path {path[:80]!r}...: {size} bytes, must be 1 to {MAX_PATH_BYTES}")
    return path


def check_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """A sorted copy. Raises InvalidName for anything that is not text to text."""
    pairs = dict(metadata or {})
    for key, value in pairs.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise InvalidName(f"metadata {key!r}: {value!r}: keys and values must be str")
    return dict(sorted(pairs.items()))
