"""What a peer can be asked to do. One implements what it has; a case measures those that have what it needs."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from benchmarks.lake.data import Partition


class Peer(Protocol):
    """A store of partitions in a directory of its own.

    Attributes:
        column: the column of the table; several ways of one product share it, and the fastest one is shown.
        way: which way of it, "" where there is one only.
        root: its directory.
        synced: a publish that has returned is on the disk.
        most: how often one work is asked of it at most, None for always; it is slow, and its time is scaled up.
        not_counted: milliseconds spent so far on starting processes, which measurements leave out.
    """

    column: str
    way: str
    root: Path
    synced: bool
    most: int | None

    @property
    def not_counted(self) -> float: ...

    def prepare(self, dataset: str) -> None:
        """What is done once per dataset, before anything is measured."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class PublishesFiles(Peer, Protocol):
    def publish(self, dataset: str, partition: Partition) -> None:
        """The partition's Parquet bytes, in one unit of the store."""
        ...


@runtime_checkable
class PublishesManyFiles(Peer, Protocol):
    def publish_all(self, dataset: str, partitions: Sequence[Partition]) -> None:
        """All of them in one unit; where the store has none, one after the other."""
        ...


@runtime_checkable
class PublishesFrames(Peer, Protocol):
    """A store which writes Parquet by itself."""

    def publish_frame(self, dataset: str, partition: Partition) -> None: ...

    def publish_frames(self, dataset: str, partitions: Sequence[Partition]) -> None: ...


@runtime_checkable
class Branches(Peer, Protocol):
    def branch(self, name: str) -> None:
        """A name for the newest state, which can move on its own."""
        ...

    def branch_to_work_on(self, name: str) -> None:
        """A branch whose files can be read and written while those of main stay as they are."""
        ...


@runtime_checkable
class Lists(Peer, Protocol):
    def listed(self, dataset: str) -> int:
        """List all partitions, the store opened anew; how many there are."""
        ...


@runtime_checkable
class Reads(Peer, Protocol):
    def file(self, dataset: str, session: dt.date) -> Path:
        """The partition's newest file."""
        ...


@runtime_checkable
class ReadsThePast(Peer, Protocol):
    def version(self) -> str:
        """A name for the state as it is now."""
        ...

    def past_file(self, version: str, dataset: str, session: dt.date) -> Path | bytes:
        """The partition's file, or its content, as it was at ``version``."""
        ...
