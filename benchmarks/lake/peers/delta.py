"""Delta tables through deltalake: one table per dataset, partitioned by session, one transaction per publish.

A table that was opened once is used for all publishes, which is kinder than to open it for each.
"""

import datetime as dt
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from deltalake import DeltaTable, WriterProperties, write_deltalake
from deltalake.transaction import AddAction, RemoveAction

from benchmarks.lake.data import Partition
from trading.bars.resample import RESAMPLED_SCHEMA

_WRITER = WriterProperties(compression="ZSTD", compression_level=2)


class _DeltaTables:
    column = "Delta"
    synced = False
    most: int | None = None
    not_counted = 0.0

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tables: dict[str, DeltaTable] = {}

    def prepare(self, dataset: str) -> None:
        schema = pl.DataFrame(schema=RESAMPLED_SCHEMA).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
        self._tables[dataset] = DeltaTable.create(self.root / dataset, schema, partition_by=["session"])

    def close(self) -> None:
        self._tables.clear()


class DeltaAppend(_DeltaTables):
    """The usual way: a frame is appended, Delta writes the Parquet."""

    way = "append, the writing of the Parquet counted"

    def publish(self, dataset: str, partition: Partition) -> None:
        self.publish_frame(dataset, partition)

    def publish_all(self, dataset: str, partitions: Sequence[Partition]) -> None:
        self.publish_frames(dataset, partitions)

    def publish_frame(self, dataset: str, partition: Partition) -> None:
        write_deltalake(self._tables[dataset], partition.frame, mode="append", writer_properties=_WRITER)

    def publish_frames(self, dataset: str, partitions: Sequence[Partition]) -> None:
        frame = pl.concat([partition.frame for partition in partitions])
        write_deltalake(self._tables[dataset], frame, mode="append", writer_properties=_WRITER)


class DeltaAddFile(_DeltaTables):
    """The same bytes as for the others: a file is written to its place, a transaction adds it to the table."""

    way = "files added"

    def publish(self, dataset: str, partition: Partition) -> None:
        self.publish_all(dataset, [partition])

    def publish_all(self, dataset: str, partitions: Sequence[Partition]) -> None:
        table = self._tables[dataset]
        added: list[AddAction | RemoveAction] = []
        for partition in partitions:
            file = self.root / dataset / partition.directory / "data.parquet"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(partition.parquet)
            added.append(
                AddAction(
                    f"{partition.directory}/data.parquet",
                    len(partition.parquet),
                    {"session": partition.session.isoformat()},
                    time.time_ns() // 1_000_000,
                    True,
                    f'{{"numRecords":{partition.frame.height}}}',
                )
            )
        table.create_write_transaction(added, mode="append", schema=table.schema(), partition_by=["session"])
        table.update_incremental()

    def listed(self, dataset: str) -> int:
        return len(DeltaTable(self.root / dataset).file_uris())

    def file(self, dataset: str, session: dt.date) -> Path:
        return _only_file(self._tables[dataset], session)

    def version(self) -> str:
        return " ".join(f"{dataset}={table.version()}" for dataset, table in self._tables.items())

    def past_file(self, version: str, dataset: str, session: dt.date) -> Path:
        versions = dict(pair.split("=") for pair in version.split())
        return _only_file(DeltaTable(self.root / dataset, version=int(versions[dataset])), session)


def _only_file(table: DeltaTable, session: dt.date) -> Path:
    (file,) = table.file_uris(file_pruning_predicate=f"session = '{session}'")
    return Path(file)
