"""Files in directories, each synced: the least that can be done, and the yardstick. No history, no atomicity."""

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.lake.data import Partition
from benchmarks.lake.measuring import sync, write_synced
from resources.lake.layout import encode_frame


class PlainFiles:
    column = "plain files"
    way = ""
    synced = True
    most: int | None = None
    not_counted = 0.0

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def prepare(self, dataset: str) -> None:
        (self.root / dataset).mkdir()

    def publish(self, dataset: str, partition: Partition) -> None:
        directory = self.root / dataset / partition.directory
        if not directory.exists():
            directory.mkdir()
            sync(directory.parent)
        write_synced(directory / "data.parquet", partition.parquet)

    def publish_frame(self, dataset: str, partition: Partition) -> None:
        self.publish(dataset, replace(partition, parquet=encode_frame(partition.frame)))

    def publish_frames(self, dataset: str, partitions: Sequence[Partition]) -> None:
        for partition in partitions:
            self.publish_frame(dataset, partition)

    def publish_all(self, dataset: str, partitions: Sequence[Partition]) -> None:
        for partition in partitions:
            self.publish(dataset, partition)

    def listed(self, dataset: str) -> int:
        sizes = {}
        with os.scandir(self.root / dataset) as entries:
            for entry in entries:
                path = f"{entry.path}/data.parquet"
                sizes[path] = os.stat(path).st_size  # noqa: PTH116 (the fastest there is)
        return len(sorted(sizes))

    def file(self, dataset: str, session: dt.date) -> Path:
        return self.root / dataset / f"session={session}" / "data.parquet"

    def close(self) -> None:
        pass
