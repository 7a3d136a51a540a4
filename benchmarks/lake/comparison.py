"""The works that the lake and its peers do, in turn."""
# mypy: disable-error-code="type-abstract"

import datetime as dt
import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb
import polars as pl

from benchmarks.lake.data import (
    SYMBOLS_FOR_30_KB,
    SYMBOLS_FOR_A_MEGABYTE,
    Partition,
    partitions,
    size_text,
    tiny_partitions,
)
from benchmarks.lake.measuring import changed_below, counted, milliseconds, settled, sync_all
from benchmarks.lake.peer import (
    Branches,
    Lists,
    Peer,
    PublishesFiles,
    PublishesFrames,
    PublishesManyFiles,
    Reads,
    ReadsThePast,
)
from benchmarks.lake.results import Results

P = TypeVar("P", bound=Peer)

_TICK_SECONDS = 0.02  # the file system's clock is coarser than Python's


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done.

    Attributes:
        symbols: per frame of the large partition.
        rounds: of what is short.
        many: partitions of what is done with many.
        block: how many of them a peer does before it is the next one's turn.
        many_rounds: of what is done with many at once.
        listed: partitions below the listing and the branches.
    """

    symbols: int
    rounds: int
    many: int
    block: int
    many_rounds: int
    listed: int


FULL = Sizes(symbols=SYMBOLS_FOR_A_MEGABYTE, rounds=25, many=1000, block=100, many_rounds=3, listed=10_000)
QUICK = Sizes(symbols=100, rounds=3, many=20, block=5, many_rounds=1, listed=200)


class Comparison:
    """Does each work with every peer that can do it, and notes the time."""

    def __init__(self, peers: Sequence[Peer], sizes: Sizes, results: Results, say: Callable[[str], None]) -> None:
        self._peers = peers
        self._sizes = sizes
        self._results = results
        self._say = say

    def run(self) -> None:
        sizes = self._sizes
        large = partitions(sizes.rounds, sizes.symbols, seed=1)
        size = _mean_size(large)
        self._publish_one(large, size)
        self._publish_one_frame(partitions(sizes.rounds, sizes.symbols, seed=2), size)
        self._read(large, size)
        self._read_the_past(large, size)
        small = partitions(sizes.many, SYMBOLS_FOR_30_KB, seed=3)
        many = f"{len(small):,} partitions of {_mean_size(small)}"
        self._publish_one_by_one(small, many)
        sets = [partitions(sizes.many, SYMBOLS_FOR_30_KB, seed=4 + number) for number in range(sizes.many_rounds)]
        self._publish_at_once(sets, many)
        sets = [partitions(sizes.many, SYMBOLS_FOR_30_KB, seed=100 + number) for number in range(sizes.many_rounds)]
        self._publish_frames_at_once(sets, many)
        listed = tiny_partitions(sizes.listed)
        self._list(listed)
        self._branch(f"{len(listed):,} partitions")

    def _publish_one(self, large: list[Partition], size: str) -> None:
        measured = self._begin(f"publish 1 partition, {size}")
        synced = _Times(f"{measured.title}, until it is on the disk")
        self._prepare("large")
        for number, peer in self._turns(PublishesFiles, len(large)):
            begun = time.time() - _TICK_SECONDS
            taken = settled(peer, partial(peer.publish, "large", large[number]))
            measured.add(peer, taken)
            synced.add(peer, taken + _time_to_sync(peer, begun))
        measured.into(self._results)
        synced.into(self._results)

    def _publish_one_frame(self, large: list[Partition], size: str) -> None:
        measured = self._begin(f"publish 1 frame, {size} as Parquet, the writing of it counted")
        self._prepare("frames")
        for number, peer in self._turns(PublishesFrames, len(large)):
            measured.add(peer, settled(peer, partial(peer.publish_frame, "frames", large[number])))
        measured.into(self._results)

    def _read(self, large: list[Partition], size: str) -> None:
        session = large[0].session
        for peer in self._able(Reads):
            _check(f"{peer.column}: the frame", pl.read_parquet(peer.file("large", session)), large[0])
        for engine, read in (("polars", _by_polars), ("DuckDB", _by_duckdb)):
            measured = self._begin(f"read 1 partition, {size}, by {engine}")
            for _, peer in self._turns(Reads, 2 * self._sizes.rounds):
                measured.add(peer, counted(peer, partial(_read_newest, peer, session, read)))
            measured.into(self._results)

    def _read_the_past(self, large: list[Partition], size: str) -> None:
        measured = self._begin(f"read 1 partition, {size}, as of an earlier commit, by polars")
        session = large[0].session
        versions = {peer: peer.version() for peer in self._able(ReadsThePast)}
        self._prepare("later")
        for publishing in self._able(PublishesFiles):
            publishing.publish("later", large[0])
        for peer, version in versions.items():
            _check(f"{peer.column}: the frame of the past", _read_past(peer, version, session), large[0])
        for _, peer in self._turns(ReadsThePast, self._sizes.rounds):
            measured.add(peer, counted(peer, partial(_read_past, peer, versions[peer], session)))
        measured.into(self._results)

    def _publish_one_by_one(self, small: list[Partition], many: str) -> None:
        measured = self._begin(f"publish {many}, one after the other")
        self._prepare("small")
        able = self._able(PublishesFiles)
        spent = {peer: 0.0 for peer in able if peer.most is None or peer.most >= self._sizes.block}
        for first in range(0, len(small), self._sizes.block):
            for peer in spent:
                block = small[first : min(first + self._sizes.block, peer.most or len(small))]
                if block:
                    spent[peer] += settled(peer, partial(_one_by_one, peer, "small", block))
        for peer, taken in spent.items():
            measured.add(peer, taken * len(small) / min(len(small), peer.most or len(small)))
        measured.into(self._results, of=len(small))

    def _publish_at_once(self, sets: list[list[Partition]], many: str) -> None:
        measured = self._begin(f"publish {many}, in one commit")
        synced = _Times(f"{measured.title}, until they are on the disk")
        for number in range(len(sets)):
            self._prepare(f"bulk{number}")
        for number, peer in self._turns(PublishesManyFiles, len(sets)):
            begun = time.time() - _TICK_SECONDS
            taken = settled(peer, partial(peer.publish_all, f"bulk{number}", sets[number]))
            measured.add(peer, taken)
            synced.add(peer, taken + _time_to_sync(peer, begun))
        measured.into(self._results)
        synced.into(self._results)

    def _publish_frames_at_once(self, sets: list[list[Partition]], many: str) -> None:
        measured = self._begin(f"publish {many}, in one commit, the writing of the Parquet counted")
        for number in range(len(sets)):
            self._prepare(f"frames{number}")
        for number, peer in self._turns(PublishesFrames, len(sets)):
            measured.add(peer, settled(peer, partial(peer.publish_frames, f"frames{number}", sets[number])))
        measured.into(self._results)

    def _list(self, listed: list[Partition]) -> None:
        measured = self._begin(f"list {len(listed):,} partitions, the store opened anew")
        self._prepare("listed")
        for publishing in self._able(PublishesManyFiles):
            publishing.publish_all("listed", listed)
        for peer in self._able(Lists):
            if (found := peer.listed("listed")) != len(listed):
                raise RuntimeError(f"{peer.column}: lists {found} partitions, must be {len(listed)}")
        for _, peer in self._turns(Lists, self._sizes.rounds):
            measured.add(peer, counted(peer, partial(peer.listed, "listed")))
        measured.into(self._results)

    def _branch(self, below: str) -> None:
        measured = self._begin(f"name a branch, {below} and all of the above in it")
        for number, peer in self._turns(Branches, self._sizes.rounds):
            measured.add(peer, settled(peer, partial(peer.branch, f"name{number}")))
        measured.into(self._results)
        measured = self._begin(f"a branch to write on beside main, {below} and all of the above in it")
        for number, peer in self._turns(Branches, self._sizes.many_rounds):
            measured.add(peer, settled(peer, partial(peer.branch_to_work_on, f"work{number}")))
        measured.into(self._results)

    def _able(self, kind: type[P]) -> list[P]:
        return [peer for peer in self._peers if isinstance(peer, kind)]

    def _turns(self, kind: type[P], rounds: int) -> Iterator[tuple[int, P]]:
        """Every peer of a kind once per round, another one first in each; each at most as often as it takes."""
        able = self._able(kind)
        for number in range(rounds):
            for place in range(len(able)):
                peer = able[(number + place) % len(able)]
                if peer.most is None or number < peer.most:
                    yield number, peer

    def _prepare(self, dataset: str) -> None:
        for peer in self._peers:
            peer.prepare(dataset)

    def _begin(self, title: str) -> "_Times":
        self._say(title)
        return _Times(title)


class _Times:
    """The milliseconds of each peer at one work."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._by_peer: dict[Peer, list[float]] = {}

    def add(self, peer: Peer, taken: float) -> None:
        self._by_peer.setdefault(peer, []).append(taken)

    def into(self, results: Results, *, of: int = 0) -> None:
        """``of``: how many a peer had to do, so that one which did less is told to have been scaled up."""
        for peer, taken in self._by_peer.items():
            scaled = peer.most is not None and peer.most < of
            results.add(self.title, peer.column, peer.way, taken, at_least=scaled)


def _one_by_one(peer: PublishesFiles, dataset: str, block: list[Partition]) -> None:
    for partition in block:
        peer.publish(dataset, partition)


def _time_to_sync(peer: Peer, since: float) -> float:
    """What it takes to bring to the disk what a peer wrote and did not sync."""
    if peer.synced:
        return 0.0
    written = changed_below(peer.root, since)
    return milliseconds(lambda: sync_all(written))


def _read_newest(peer: Reads, session: dt.date, read: Callable[[Path], object]) -> object:
    return read(peer.file("large", session))


def _read_past(peer: ReadsThePast, version: str, session: dt.date) -> pl.DataFrame:
    content = peer.past_file(version, "large", session)
    return pl.read_parquet(io.BytesIO(content) if isinstance(content, bytes) else content)


def _by_polars(file: Path) -> object:
    return pl.read_parquet(file)


def _by_duckdb(file: Path) -> object:
    return duckdb.execute("SELECT sum(Close), max(High) FROM read_parquet(?)", [str(file)]).fetchone()


def _mean_size(some: list[Partition]) -> str:
    return size_text(sum(len(partition.parquet) for partition in some) / len(some))


def _check(what: str, found: pl.DataFrame, expected: Partition) -> None:
    """The peers must have done the same work."""
    if not found.equals(expected.frame):
        raise RuntimeError(f"{what} of {expected.session} is not the one that was published")
