"""What was refused: each quarantine tag with its reason, where it was to go, and whether that is mended since."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from resources.lake.layout import DATA_FILE
from resources.lake.protocol import MAIN, Lake, ObjectInfo
from resources.lake.provenance import newest_change
from resources.lake.publish import QUARANTINE_PREFIX
from resources.lake.reading import Snapshot


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused partition.

    Attributes:
        tag: the quarantine tag that holds what was written.
        commit_id: the commit it points to.
        refused_at: when, UTC.
        dataset, partition: where it was to go; both "" where the commit does not say, as for content that had been
            published before it was refused.
        run_id: the run that made it.
        reason: the audit's message, with the rule and the first bad rows.
        rows: rows by Parquet file.
        files: what was refused, in byte order.
    """

    tag: str
    commit_id: str
    refused_at: datetime
    dataset: str
    partition: str
    run_id: str
    reason: str
    rows: Mapping[str, int]
    files: tuple[ObjectInfo, ...]

    @property
    def where(self) -> str:
        """``m1_bars/session=2023-10-03``."""
        return f"{self.dataset}/{self.partition}" if self.partition else self.dataset

    @property
    def parquet_files(self) -> tuple[ObjectInfo, ...]:
        """The Parquet files, the data file or what stands for it first."""
        found = [file for file in self.files if file.path.endswith(".parquet")]
        first = (f"/{DATA_FILE}", "/refused.parquet")
        return tuple(sorted(found, key=lambda file: (not file.path.endswith(first), file.path)))


def refusal(lake: Lake, tag: str) -> Refusal:
    """What a quarantine tag holds. Raises RefNotFound."""
    commit = lake.get_commit(tag)
    said = commit.metadata if "refused" in commit.metadata else {}
    dataset, partition = said.get("asset_key", ""), said.get("partition", "")
    return Refusal(
        tag=tag,
        commit_id=commit.id,
        refused_at=commit.created,
        dataset=dataset,
        partition=partition,
        run_id=said.get("run_id", ""),
        reason=said.get("refused", ""),
        rows=json.loads(said.get("rows", "{}")),
        files=tuple(Snapshot(lake, commit.id).files(dataset, partition)) if dataset else (),
    )


def refusals(lake: Lake) -> list[Refusal]:
    """Every quarantine tag, newest first."""
    found = [refusal(lake, tag) for tag in lake.list_tags(QUARANTINE_PREFIX)]
    return sorted(found, key=lambda one: (one.refused_at, one.tag), reverse=True)


def mended_by(lake: Lake, refused: Refusal) -> str:
    """The commit on ``main`` that published the partition after it was refused; "" while there is none."""
    if not refused.dataset:
        return ""
    main = Snapshot(lake, lake.resolve(f"{MAIN}@"))
    paths = list(main.identities(refused.dataset, refused.partition))
    newest = newest_change(main, refused.dataset, refused.partition, paths)
    return newest.id if paths and newest is not None and newest.created > refused.refused_at else ""
