"""The embedded lake: a publish is branch, put, read back, commit, merge into main, delete the branch."""

import datetime as dt
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.lake.data import Partition
from resources.lake import open_lake
from resources.lake.layout import encode_frame, object_path
from resources.lake.publish import Publisher


class Embedded:
    column = "lake"
    way = ""
    synced = True
    most: int | None = None
    not_counted = 0.0

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lake = open_lake(root.as_uri())
        self._publisher = Publisher(self._lake, run_id="benchmark", code_version="0", clock=lambda: datetime.now(UTC))

    def prepare(self, dataset: str) -> None:
        pass

    def publish(self, dataset: str, partition: Partition) -> None:
        files = {"data.parquet": partition.parquet}
        self._publisher.publish(dataset, partition.directory, files, audit=None, inputs={})

    def publish_frame(self, dataset: str, partition: Partition) -> None:
        self._publisher.publish(dataset, partition.directory, partition.frame, audit=None, inputs={})

    def publish_frames(self, dataset: str, partitions: Sequence[Partition]) -> None:
        self._publish_all(dataset, ((partition, encode_frame(partition.frame)) for partition in partitions))

    def publish_all(self, dataset: str, partitions: Sequence[Partition]) -> None:
        self._publish_all(dataset, ((partition, partition.parquet) for partition in partitions))

    def _publish_all(self, dataset: str, contents: Iterable[tuple[Partition, bytes]]) -> None:
        branch = f"all-{dataset}"
        with self._lake.unsynced():
            self._lake.create_branch(branch, "main")
            for partition, parquet in contents:
                self._lake.put(branch, object_path(dataset, partition.directory), parquet)
            self._lake.commit(branch, dataset)
            self._lake.merge(branch, "main", dataset)
            self._lake.delete_branch(branch)

    def branch(self, name: str) -> None:
        self._lake.create_branch(name, "main")

    def branch_to_work_on(self, name: str) -> None:
        self._lake.create_branch(name, "main")

    def listed(self, dataset: str) -> int:
        with open_lake(self.root.as_uri()) as lake:
            return len(list(lake.list("main@", f"{dataset}/")))

    def file(self, dataset: str, session: dt.date) -> Path:
        return self._lake.local_path("main@", object_path(dataset, f"session={session}"))

    def version(self) -> str:
        return self._lake.resolve("main@")

    def past_file(self, version: str, dataset: str, session: dt.date) -> Path:
        return self._lake.local_path(version, object_path(dataset, f"session={session}"))

    def close(self) -> None:
        self._lake.close()
