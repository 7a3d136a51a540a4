"""Which commit brought a partition to where it stands.

Every publish names its dataset and partition in the metadata of its commit. Where the lake indexes its paths, their own history
is asked instead: that is exact also for what was merged by hand.
"""

from collections.abc import Iterable
from typing import Final
from weakref import WeakKeyDictionary

from resources.lake.errors import ObjectNotFound
from resources.lake.layout import PartitionKey, object_path, partition_path
from resources.lake.protocol import Commit, Lake
from resources.lake.reading import Snapshot

_PAGE: Final = 1000
_SHORT_PAGE: Final = 16
_HEADS_REMEMBERED: Final = 16


def made_by(snapshot: Snapshot, dataset: str, partition: PartitionKey) -> Commit:
    """The commit which brought the partition's data file as the snapshot has it.

    Raises:
        ObjectNotFound: no commit did.
    """
    path = object_path(dataset, partition)
    found = newest_change(snapshot, dataset, partition, [path])
    if found is None:
        raise ObjectNotFound(f"{path}: no commit up to {snapshot.ref} brought it")
    return found


def newest_change(snapshot: Snapshot, dataset: str, partition: PartitionKey, paths: Iterable[str]) -> Commit | None:
    """The newest commit, on the first-parent history of the snapshot, that changed one of the partition's ``paths``."""
    if not snapshot.lake.indexes_paths:
        head = snapshot.lake.resolve(snapshot.ref)
        return _history(snapshot.lake).newest_about(snapshot.lake, head, dataset, partition_path(partition))
    commits = [
        commit for path in paths for commit in snapshot.lake.log(snapshot.ref, path=path, first_parent=True, limit=1)
    ]
    return max(commits, key=lambda commit: commit.created, default=None)


def all_changes(snapshot: Snapshot, dataset: str, partition: PartitionKey) -> list[Commit]:
    """Every commit, on the first-parent history of the snapshot, that changed the partition's data file, newest first.

    Where paths are not indexed, those that published the partition: not each of them changed that file.
    """
    if not snapshot.lake.indexes_paths:
        head = snapshot.lake.resolve(snapshot.ref)
        return _history(snapshot.lake).all_about(snapshot.lake, head, dataset, partition_path(partition))
    return list(snapshot.lake.log(snapshot.ref, path=object_path(dataset, partition), first_parent=True))


class _History:
    """First-parent history of one lake, fetched by the page and kept: commits never change."""

    def __init__(self) -> None:
        self._commits: dict[str, Commit] = {}
        self._heads: dict[str, _Head] = {}
        self._limit = _PAGE

    def newest_about(self, lake: Lake, head: str, dataset: str, partition: str) -> Commit | None:
        found = self._head(head)
        while (dataset, partition) not in found.about and found.next_id is not None:
            found.read(self._commit(lake, found.next_id))
        return next(iter(found.about.get((dataset, partition), ())), None)

    def all_about(self, lake: Lake, head: str, dataset: str, partition: str) -> list[Commit]:
        found = self._head(head)
        while found.next_id is not None:
            found.read(self._commit(lake, found.next_id))
        return list(found.about.get((dataset, partition), ()))

    def _head(self, head: str) -> "_Head":
        found = self._heads.pop(head, None) or _Head(head)
        self._heads[head] = found  # the last used is the last forgotten
        while len(self._heads) > _HEADS_REMEMBERED:
            del self._heads[next(iter(self._heads))]
        return found

    def _commit(self, lake: Lake, commit_id: str) -> Commit:
        if commit_id not in self._commits:
            limit, self._limit = self._limit, _PAGE
            for commit in lake.log(commit_id, first_parent=True, limit=limit):
                if commit.id in self._commits:
                    self._limit = _SHORT_PAGE  # what is known was met: behind the next head few will be new
                    break
                self._commits[commit.id] = commit
        return self._commits[commit_id]


class _Head:
    """The commits about each partition, newest first, read back from one head as far as was needed."""

    def __init__(self, head: str) -> None:
        self.next_id: str | None = head
        self.about: dict[tuple[str, str], list[Commit]] = {}

    def read(self, commit: Commit) -> None:
        about = (commit.metadata.get("asset_key", ""), commit.metadata.get("partition", ""))
        self.about.setdefault(about, []).append(commit)
        self.next_id = commit.parents[0] if commit.parents else None


_histories: WeakKeyDictionary[Lake, _History] = WeakKeyDictionary()


def _history(lake: Lake) -> _History:
    return _histories.setdefault(lake, _History())
