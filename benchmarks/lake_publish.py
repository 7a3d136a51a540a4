"""What the embedded lake costs, as ratios within one run: ``python benchmarks/lake_publish.py [directory]``.

Each figure is a median. The directory must lie on the disk that is meant; a temporary one is made inside it.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import duckdb
import polars as pl

from resources.lake import Lake, open_lake
from resources.lake.publish import Publisher

MEGABYTE = 1 << 20


def milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1e3


def write_synced(path: Path, data: bytes) -> None:
    """The yardstick: write a file, fsync it, put it in place, fsync its directory."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish_against_a_file(directory: Path, size: int, rounds: int) -> tuple[float, float]:
    with open_lake((directory / f"publish{size}").as_uri()) as lake:
        publisher = Publisher(lake, run_id="bench", code_version="0", clock=lambda: datetime.now(UTC))
        plain, published = [], []
        for number in range(rounds):
            data, path = os.urandom(size), directory / f"plain{number}"
            plain.append(milliseconds(lambda p=path, d=data: write_synced(p, d)))
            partition = f"n={number}"
            published.append(
                milliseconds(lambda k=partition, d=data: publisher.publish("d", k, {"x": d}, audit=None, inputs={}))
            )
    return median(plain), median(published)


def filled(directory: Path, number: int) -> Lake:
    lake = open_lake((directory / f"filled{number}").as_uri())
    lake.create_branch("fill", "main")
    with lake.unsynced():
        for index in range(number):
            lake.put("fill", f"d/session={index:06d}/data.parquet", b"same")
        lake.commit("fill", "fill")
    lake.merge("fill", "main", "fill")
    lake.delete_branch("fill")
    return lake


def branch_and_commit(lake: Lake, rounds: int) -> tuple[float, float]:
    branches, commits = [], []
    for number in range(rounds):
        name = f"b{number}"
        branches.append(milliseconds(lambda n=name: lake.create_branch(n, "main")))
        lake.put(name, f"d/session={number * 7:06d}/extra", str(number).encode())
        commits.append(milliseconds(lambda n=name: lake.commit(n, "m")))
    return median(branches), median(commits)


def read_against_a_file(directory: Path) -> list[tuple[str, float, float]]:
    frame = pl.DataFrame({"a": range(100_000)})
    path = directory / "plain.parquet"
    frame.write_parquet(path)
    results = []
    with open_lake((directory / "read").as_uri()) as lake:
        publisher = Publisher(lake, run_id="bench", code_version="0", clock=lambda: datetime.now(UTC))
        publisher.publish("d", "n=1", {"x": path.read_bytes()}, audit=None, inputs={})

        def in_lake() -> str:
            return str(lake.local_path("main", "d/n=1/x"))

        def by_duckdb(file: str) -> object:
            return duckdb.execute("SELECT sum(a) FROM read_parquet(?)", [file]).fetchone()

        for name, read in (("polars", pl.read_parquet), ("duckdb", by_duckdb)):
            direct = median(milliseconds(lambda r=read: r(str(path))) for _ in range(50))
            through = median(milliseconds(lambda r=read: r(in_lake())) for _ in range(50))
            results.append((name, direct, through))
    return results


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        directory = Path(name)
        for size, rounds in ((1000, 200), (MEGABYTE, 100)):
            plain, published = publish_against_a_file(directory, size, rounds)
            print(
                f"publish {size:>8} bytes: {published:6.2f} ms, a synced file {plain:5.2f} ms, "
                f"ratio {published / plain:4.1f}"
            )
        costs = {}
        for number in (100, 10_000, 100_000):
            lake = filled(directory, number)
            costs[number] = branch_and_commit(lake, 60)
            print(
                f"on top of {number:>7} objects: branch {costs[number][0]:5.2f} ms, commit {costs[number][1]:5.2f} ms"
            )
            if number == 10_000:
                with open_lake(lake.uri) as cold:
                    every = milliseconds(lambda lake=cold: list(lake.list("main", "d/")))
                    rolled = milliseconds(lambda lake=cold: list(lake.list("main", "d/", delimiter="/")))
                print(f"listing 10,000 partitions: {every:5.1f} ms cold, by delimiter {rolled:5.1f} ms")
            lake.close()
        ratio = costs[100_000][1] / costs[100][1]
        print(f"commit on 100,000 objects against 100: {ratio:4.2f} times")
        for engine, direct, through in read_against_a_file(directory):
            print(f"{engine} read: direct {direct:5.2f} ms, through local_path {through - direct:+5.2f} ms")


if __name__ == "__main__":
    main()
