"""What the lake claims of itself, each with its limit, as ratios within one run."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

import duckdb
import polars as pl

from benchmarks.lake.data import SYMBOLS_FOR_A_MEGABYTE, partitions, size_text
from benchmarks.lake.measuring import milliseconds, write_synced
from resources.lake import Lake, open_lake
from resources.lake.publish import Publisher


@dataclass(frozen=True, slots=True)
class Sizes:
    """``few`` and ``many`` objects to commit and branch on, ``listed`` ones to list, symbols of a large frame."""

    symbols: int
    rounds: int
    few: int
    listed: int
    many: int


FULL = Sizes(symbols=SYMBOLS_FOR_A_MEGABYTE, rounds=60, few=100, listed=10_000, many=100_000)
QUICK = Sizes(symbols=100, rounds=3, few=10, listed=100, many=300)


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim.

    Attributes:
        claim: what was measured.
        found: the outcome, in words.
        figure: must not be above ``limit``.
        limit_text: the limit with its unit.
    """

    claim: str
    found: str
    figure: float
    limit: float
    limit_text: str

    @property
    def holds(self) -> bool:
        return self.figure <= self.limit


def claims(directory: Path, sizes: Sizes, say: Callable[[str], None]) -> Iterator[Claim]:
    """Measure every claim, in a directory on the disk that is meant."""
    say("publish against a synced file")
    yield publish_against_a_file(directory, sizes)
    say(f"commits and branches on {sizes.few:,}, {sizes.listed:,} and {sizes.many:,} objects")
    costs = {}
    for number in (sizes.few, sizes.listed, sizes.many):
        with filled(directory, number) as lake:
            costs[number] = branch_and_commit(lake, number, sizes.rounds)
            if number == sizes.listed:
                yield listing(lake, sizes)
    yield growth("create a branch", 0, costs, sizes)
    yield growth("commit of one path", 1, costs, sizes)
    say("reads through local_path against the file itself")
    yield from reads(directory, sizes)


def publish_against_a_file(directory: Path, sizes: Sizes) -> Claim:
    """Write, audit, publish of one partition against the same bytes written, fsynced, renamed, fsynced."""
    plain, published = [], []
    with open_lake((directory / "publish").as_uri()) as lake:
        publisher = Publisher(lake, run_id="benchmark", code_version="0", clock=lambda: datetime.now(UTC))
        for partition in partitions(sizes.rounds, sizes.symbols, seed=0):
            path, data = directory / f"{partition.directory}.parquet", partition.parquet
            os.sync()
            plain.append(milliseconds(partial(write_synced, path, data)))
            os.sync()
            publish = partial(publisher.publish, "bars", partition.directory, {"data.parquet": data})
            published.append(milliseconds(partial(publish, audit=None, inputs={})))
    ratio = median(published) / median(plain)
    return Claim(
        f"publish 1 partition of {size_text(len(data))}, against writing that file with two fsyncs",
        f"{median(published):.2f} ms against {median(plain):.2f} ms, {ratio:.2f} times",
        ratio,
        3.0,
        "3 times",
    )


def filled(directory: Path, number: int) -> Lake:
    """A lake with ``number`` objects of one content on main."""
    lake = open_lake((directory / f"filled{number}").as_uri())
    with lake.unsynced():
        lake.create_branch("fill", "main")
        for index in range(number):
            lake.put("fill", f"bars/session={index:06d}/data.parquet", b"same")
        lake.commit("fill", "fill")
        lake.merge("fill", "main", "fill")
        lake.delete_branch("fill")
    return lake


def branch_and_commit(lake: Lake, number: int, rounds: int) -> tuple[float, float]:
    """Median milliseconds to create a branch, and to commit one path on it."""
    branches, commits = [], []
    for index in range(rounds):
        name = f"branch{index}"
        branches.append(milliseconds(partial(lake.create_branch, name, "main")))
        lake.put(name, f"bars/session={index * number // rounds:06d}/extra", str(index).encode())
        commits.append(milliseconds(partial(lake.commit, name, "one path")))
    return median(branches), median(commits)


def growth(what: str, place: int, costs: dict[int, tuple[float, float]], sizes: Sizes) -> Claim:
    few, many = costs[sizes.few][place], costs[sizes.many][place]
    return Claim(
        f"{what} on top of {sizes.many:,} objects, against {sizes.few:,}",
        f"{many:.2f} ms against {few:.2f} ms, {many / few:.2f} times",
        many / few,
        2.0,
        "2 times",
    )


def listing(lake: Lake, sizes: Sizes) -> Claim:
    """All partitions, by a lake that was just opened and has nothing cached."""

    def cold() -> None:
        with open_lake(lake.uri) as opened:
            found = len(list(opened.list("main@", "bars/")))
        if found != sizes.listed:
            raise RuntimeError(f"{found} objects listed, must be {sizes.listed}")

    taken = median(milliseconds(cold) for _ in range(sizes.rounds))
    return Claim(f"list {sizes.listed:,} partitions, lake opened anew", f"{taken:.1f} ms", taken, 100.0, "100 ms")


def reads(directory: Path, sizes: Sizes) -> Iterator[Claim]:
    """One partition in place, by both engines, against the same file outside of a lake."""
    (partition,) = partitions(1, sizes.symbols, seed=1)
    path = directory / "read.parquet"
    path.write_bytes(partition.parquet)
    with open_lake((directory / "read").as_uri()) as lake:
        publisher = Publisher(lake, run_id="benchmark", code_version="0", clock=lambda: datetime.now(UTC))
        files = {"data.parquet": partition.parquet}
        publisher.publish("bars", partition.directory, files, audit=None, inputs={})
        place = f"bars/{partition.directory}/data.parquet"
        before = files_below(directory / "read")

        def in_lake() -> Path:
            return lake.local_path("main", place)

        def read_in_lake(read: Callable[[Path], object]) -> None:
            read(in_lake())

        def by_polars(file: Path) -> object:
            return pl.read_parquet(file)

        def by_duckdb(file: Path) -> object:
            return duckdb.execute("SELECT sum(Close) FROM read_parquet(?)", [str(file)]).fetchone()

        for engine, read in (("polars", by_polars), ("DuckDB", by_duckdb)):
            direct, through = [], []
            for _ in range(2 * sizes.rounds):
                direct.append(milliseconds(partial(read, path)))
                through.append(milliseconds(partial(read_in_lake, read)))
            added = median(through) - median(direct)
            yield Claim(
                f"read {size_text(len(partition.parquet))} by {engine} through local_path, against reading the file itself",
                f"{median(through):.2f} ms against {median(direct):.2f} ms, {added:+.2f} ms",
                added,
                1.0,
                "1 ms",
            )
        copies = len(files_below(directory / "read") - before) + (in_lake() not in before)
        yield Claim("copies of the content that those reads made", str(copies), copies, 0, "none")


def files_below(root: Path) -> set[Path]:
    """The files of a lake, without its database."""
    return {path for path in root.rglob("*") if path.is_file() and not path.name.startswith("lake.db")}
