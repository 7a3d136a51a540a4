"""Looking after a lake: who keeps damaged content reachable, and verifying through the protocol alone.

A store of its own is verified and collected by its own calls (`Maintainable`). Of a server only what it serves can be
read, and it collects by itself.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Final, Protocol, runtime_checkable

from resources.lake.embedded import GcReport, Problem
from resources.lake.errors import Gone, ObjectNotFound
from resources.lake.protocol import Lake, ObjectInfo

_SHA256_DIGITS: Final = 64
_REMEDY: Final = "restore the object in the server's object store, from a backup of it"


@runtime_checkable
class Maintainable(Protocol):
    """A lake that holds its content itself, so that it can be verified and collected here."""

    def verify(self) -> Iterator[Problem]: ...

    def gc(self, retention: timedelta, *, dry_run: bool = False, grace: timedelta = ...) -> GcReport: ...


def heads(lake: Lake) -> dict[str, str]:
    """Commit id by name, of every branch and tag."""
    return {**lake.list_branches(), **lake.list_tags()}


def refs_at(commits: Iterable[str], named: Mapping[str, str]) -> tuple[str, ...]:
    """The branches and tags of ``named`` that point to one of ``commits``, in byte order."""
    wanted = set(commits)
    return tuple(sorted(name for name, commit_id in named.items() if commit_id in wanted))


def verify_contents(lake: Lake, progress: Callable[[int, int], None] = lambda _done, _total: None) -> Iterator[Problem]:
    """Read every object that a branch or tag reaches, each content once, and compare it with its checksum.

    Args:
        lake: any backend.
        progress: called after each content with the contents read and their number.
    """
    found: dict[tuple[str, int], tuple[str, str]] = {}  # content: where it was first met
    named = heads(lake)
    holders = dict.fromkeys(named.values())
    for ref, info in _contents(lake, sorted(holders, key=lambda commit_id: lake.get_commit(commit_id).created)):
        found.setdefault((info.checksum, info.size), (ref, info.path))
    for number, ((checksum, size), (ref, path)) in enumerate(found.items(), start=1):
        detail = _damage(lake, ref, path, checksum, size)
        if detail:
            paths, commits = _holders(lake, holders, checksum, ref, path)
            yield Problem("object", checksum, detail, paths, commits, refs_at(commits, named), _REMEDY)
        progress(number, len(found))


def content_matches(data: bytes, checksum: str) -> bool:
    """Whether ``data`` has this checksum; one that cannot be computed here passes, see :func:`is_verifiable`."""
    if not is_verifiable(checksum):
        return True
    digest = hashlib.sha256(data) if len(checksum) == _SHA256_DIGITS else hashlib.md5(data, usedforsecurity=False)
    return digest.hexdigest() == checksum


def is_verifiable(checksum: str) -> bool:
    """Whether a checksum is a SHA-256 or an MD5 in hex, and no identifier of a server's own."""
    return re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{64}", checksum) is not None


def _contents(lake: Lake, commits: list[str]) -> Iterator[tuple[str, ObjectInfo]]:
    """Every object of the first commit, then of each further one what differs from the commit before it."""
    before: str | None = None
    for commit_id in commits:
        if before is None:
            yield from ((commit_id, item) for item in lake.list(commit_id) if isinstance(item, ObjectInfo))
        else:
            for change in lake.diff(before, commit_id, mode="two_dot"):
                if change.type != "removed":
                    yield commit_id, lake.stat(commit_id, change.path)
        before = commit_id


def _damage(lake: Lake, ref: str, path: str, checksum: str, size: int) -> str:
    try:
        data = lake.get(ref, path)
    except Gone as error:
        return str(error)
    if len(data) != size:
        return f"{len(data)} bytes, must be {size}"
    return "" if content_matches(data, checksum) else "content does not match its checksum"


def _holders(
    lake: Lake, commits: Iterable[str], checksum: str, ref: str, path: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The paths of a content at ``ref``, and the commits that have it at one of them."""
    paths = [item.path for item in lake.list(ref) if isinstance(item, ObjectInfo) and item.checksum == checksum] or [
        path
    ]
    holding = []
    for commit_id in commits:
        for candidate in paths:
            try:
                if lake.stat(commit_id, candidate).checksum == checksum:
                    holding.append(commit_id)
                    break
            except ObjectNotFound:
                continue
    return tuple(paths), tuple(holding)
