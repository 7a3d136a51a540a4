"""From a published partition back to the raw files: which commit made it, with which code, from which commits."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from resources.lake import Lake

# Inputs of another session than the partition's own (the universe looks at days before it): named, not followed.
_OTHER_SESSIONS = {("daily_features", "d1_bars")}


@dataclass(frozen=True)
class Step:
    """One dataset's partition on the way back.

    Attributes:
        depth: 0 for the partition asked for, one more for each step towards the source.
        commit: on main, the one that brought this content.
        inputs: commit that each input was read at, by dataset.
    """

    depth: int
    dataset: str
    partition: str
    commit: str
    made_at: str
    code_version: str
    data_version: str
    run_id: str
    inputs: Mapping[str, str]


@dataclass(frozen=True)
class RawFile:
    """A file as it was received: its path in the source, its SHA-256, and the rows it gave for the Symbol and session."""

    source: str
    file: str
    sha256: str
    rows: int
    commit: str


def trace(lake: "Lake", ref: str, dataset: str, partition: Mapping[str, str]) -> Iterator[Step]:
    """The partition as it is at ``ref`` and everything of the same session that it was made from, source last.

    Each dataset (of those by universe: each universe) is given once, at the commit that the nearest step read it at.

    Raises:
        ObjectNotFound: the partition is not at ``ref``.
    """
    seen: set[tuple[str, str]] = set()
    waiting = [(0, ref, dataset, dict(partition))]
    while waiting:
        depth, at, name, keys = waiting.pop(0)
        at_once = (name, keys.get("universe", ""))
        if at_once in seen:
            continue
        seen.add(at_once)
        step = _step(lake, at, name, keys, depth)
        yield step
        session = {"session": partition["session"]}
        for upstream, pinned in step.inputs.items():
            if (name, upstream) not in _OTHER_SESSIONS:
                carried = (
                    {"variant": partition["variant"]} if upstream in _BY_VARIANT and "variant" in partition else {}
                )
                waiting += [
                    (depth + 1, pinned, upstream, keys)
                    for keys in _partitions(lake, pinned, upstream, {**session, **carried})
                ]


_BY_VARIANT = {"signals", "backtest", "promotion_decision"}
_BY_UNIVERSE = {"m1_raw", "d1_raw"}
_UNPARTITIONED = {"corporate_actions"}


def _partitions(lake: "Lake", ref: str, dataset: str, keys: Mapping[str, str]) -> list[dict[str, str]]:
    """The partitions of a dataset that a session's steps read: one, or one for each universe."""
    from resources.lake.layout import partition_prefix
    from resources.lake.protocol import ObjectInfo

    if dataset in _UNPARTITIONED:
        return [{}]
    if dataset not in _BY_UNIVERSE:
        return [dict(keys)]
    items = lake.list(ref, partition_prefix(dataset, keys))
    paths = (item.path for item in items if isinstance(item, ObjectInfo) and item.path.endswith("/data.parquet"))
    return [dict(part.split("=", 1) for part in path.split("/")[1:-1]) for path in paths]


def raw_files(lake: "Lake", step: Step, symbol: str) -> list[RawFile]:
    """The source files behind one Symbol of an m1_raw partition."""
    from resources.lake.reading import Snapshot

    metadata = lake.get_commit(step.commit).metadata
    hashes = json.loads(metadata.get("source_files", "{}"))
    rows = (
        Snapshot(lake, step.commit)
        .frame("m1_raw", step.partition)
        .filter(pl.col("Symbol") == symbol)
        .group_by("source_file")
        .len()
        .sort("source_file")
    )
    return [
        RawFile(metadata.get("source", ""), file, hashes.get(file, "unknown"), count, step.commit)
        for file, count in rows.iter_rows()
    ]


def _step(lake: "Lake", ref: str, dataset: str, partition: Mapping[str, str], depth: int) -> Step:
    from resources.lake.layout import partition_path
    from resources.lake.provenance import made_by
    from resources.lake.reading import Snapshot

    commit = made_by(Snapshot(lake, ref), dataset, partition)
    return Step(
        depth=depth,
        dataset=dataset,
        partition=partition_path(partition),
        commit=commit.id,
        made_at=commit.created.isoformat(timespec="seconds"),
        code_version=commit.metadata.get("code_version", ""),
        data_version=commit.metadata.get("data_version", ""),
        run_id=commit.metadata.get("run_id", ""),
        inputs=json.loads(commit.metadata.get("inputs", "{}")),
    )
