"""What a partition was before: its versions on ``main``, and which version of anything a pinned commit saw."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from resources.lake.errors import Gone, ObjectNotFound
from resources.lake.layout import PartitionKey, object_path
from resources.lake.protocol import Commit
from resources.lake.provenance import all_changes
from resources.lake.reading import Snapshot

_COMMITS_A_REPORT: Final = 500


@dataclass(frozen=True, slots=True)
class Version:
    """One content of a partition's data file, for as long as it stood on ``main``.

    Attributes:
        commit: the one that brought it.
        checksum: of the data file; "" where this commit removed it; None where it is not known: the only version is not
            looked at, and of an old one retention may have taken the content.
    """

    commit: Commit
    checksum: str | None

    def holds_the_same_as(self, other: "Version") -> bool:
        """Whether both are known to have the same bytes."""
        if self.checksum is not None and other.checksum is not None:
            return self.checksum == other.checksum
        mine, other_one = (version.commit.metadata.get("data_version", "") for version in (self, other))
        return mine != "" and mine == other_one


def versions(snapshot: Snapshot, dataset: str, partition: PartitionKey) -> list[Version]:
    """The versions of a partition up to the snapshot, oldest first; none where it never was there.

    A commit that left the data file as it was is no version, whatever else of the partition it changed. A partition that was
    never published twice costs one look-up where the lake indexes its paths, and one reading of the history for all of them
    where it does not.
    """
    path = object_path(dataset, partition)
    found: list[Version] = []
    changes = all_changes(snapshot, dataset, partition)
    if len(changes) == 1:
        return [Version(changes[0], None)]
    for commit in reversed(changes):
        version = Version(commit, _checksum(snapshot, commit.id, path))
        if found and version.holds_the_same_as(found[-1]):
            continue
        found.append(version)
    return found


def _checksum(snapshot: Snapshot, ref: str, path: str) -> str | None:
    try:
        return snapshot.lake.stat(ref, path).checksum
    except ObjectNotFound:
        return ""
    except Gone:
        return None


class Timeline:
    """First-parent history in memory, from a snapshot back to one commit: which commit made what a pin saw.

    Args:
        snapshot: where it ends.
        since: the commit that it begins with.
        progress: called now and then with the commits read so far, and about how many there are, by their times.
    """

    def __init__(self, snapshot: Snapshot, since: str, progress: Callable[[int, int], None] = lambda *_: None) -> None:
        commits: list[Commit] = []
        newest, oldest = (snapshot.lake.get_commit(ref).created for ref in (snapshot.ref, since))
        for commit in snapshot.lake.log(snapshot.ref, first_parent=True):
            commits.append(commit)
            if len(commits) % _COMMITS_A_REPORT == 0:
                covered = (newest - commit.created) / (newest - oldest) if newest > oldest else 1.0
                progress(len(commits), round(len(commits) / max(covered, 0.01)))
            if commit.id == since:
                break
        commits.reverse()
        self._commits = {commit.id: commit for commit in commits}
        self._positions = {commit.id: number for number, commit in enumerate(commits)}
        self._made: dict[tuple[str, str], list[int]] = {}
        self._in_order = commits
        for number, commit in enumerate(commits):
            about = (commit.metadata.get("asset_key", ""), commit.metadata.get("partition", ""))
            self._made.setdefault(about, []).append(number)

    def commit(self, commit_id: str) -> Commit | None:
        """The commit of that id; None where it is not in this history."""
        return self._commits.get(commit_id)

    def made_by(self, dataset: str, partition: str, at: str) -> Commit | None:
        """The commit that made a partition as commit ``at`` saw it; None where that was before this history."""
        made = self._made.get((dataset, partition), [])
        seen = self._seen(made, at)
        return None if seen is None else self._in_order[made[seen]]

    def version_at(self, known: Sequence[Version], at: str) -> Version | None:
        """Which of ``known``, oldest first, commit ``at`` saw; None where it was before the first."""
        seen = self._seen([self._positions.get(version.commit.id, -1) for version in known], at)
        return None if seen is None else known[seen]

    def partitions(self) -> Iterable[tuple[str, str]]:
        """Dataset and partition path of all that was published in this history."""
        return self._made.keys()

    def _seen(self, positions: Sequence[int], at: str) -> int | None:
        place = self._positions.get(at)
        number = 0 if place is None else bisect_right(positions, place)
        return number - 1 if number else None
