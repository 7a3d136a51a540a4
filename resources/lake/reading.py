"""Reading datasets at one commit: whole frames, lazy scans over many partitions without a copy, raw files."""

import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from resources.lake.errors import CorruptObject, ObjectNotFound
from resources.lake.layout import DATA_FILE, PartitionKey, object_path, partition_prefix
from resources.lake.protocol import Lake, ObjectInfo

Content = dict[str, tuple[str, int]]
"""Checksum and size of a partition's files by object path, in byte order."""

_ONE_LISTING_FROM = 64  # partitions from which one listing of the dataset is cheaper than a look-up for each


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The lake as of ``ref``. For consistent reads over several calls, ``ref`` is a commit id or a tag."""

    lake: Lake
    ref: str

    def exists(self, dataset: str, partition: PartitionKey = "", file: str = DATA_FILE) -> bool:
        try:
            self.lake.stat(self.ref, object_path(dataset, partition, file))
        except ObjectNotFound:
            return False
        return True

    def content(self, dataset: str, partition: PartitionKey = "", file: str = DATA_FILE) -> bytes:
        """The bytes of one file, checked against their checksum. Raises ObjectNotFound, Gone."""
        return self.lake.get(self.ref, object_path(dataset, partition, file))

    def path(self, dataset: str, partition: PartitionKey = "", file: str = DATA_FILE) -> Path:
        """One file on the local disk, read-only. Raises ObjectNotFound, Gone."""
        return self.lake.local_path(self.ref, object_path(dataset, partition, file))

    def frame(self, dataset: str, partition: PartitionKey = "", file: str = DATA_FILE) -> pl.DataFrame:
        """One Parquet file. Raises ObjectNotFound, Gone, CorruptObject."""
        data = self.content(dataset, partition, file)
        try:
            return pl.read_parquet(io.BytesIO(data))
        except pl.exceptions.PolarsError as error:
            where = f"{self.ref}/{object_path(dataset, partition, file)}"
            raise CorruptObject(f"{where}: is no Parquet file: {error}") from error

    def scan(
        self, dataset: str, partitions: Iterable[PartitionKey] | None = None, file: str = DATA_FILE
    ) -> pl.LazyFrame:
        """Parquet files of many partitions as one lazy frame, read in place.

        Args:
            dataset: the dataset.
            partitions: in the order of the rows wanted; None for all, in byte order of their paths.
            file: which file of each partition.

        Raises:
            ObjectNotFound: a partition is not there, or none at all.
        """
        paths = list(self.paths(dataset, partitions, file).values())
        # a dataset may have gained columns over the years: what older partitions lack is null
        schema = {**pl.read_parquet_schema(paths[0]), **pl.read_parquet_schema(paths[-1])}
        return pl.scan_parquet(
            paths,
            glob=False,
            hive_partitioning=False,
            schema=schema,
            missing_columns="insert",
            extra_columns="ignore",
        )

    def paths(
        self, dataset: str, partitions: Iterable[PartitionKey] | None = None, file: str = DATA_FILE
    ) -> dict[str, Path]:
        """Local file by object path; as :meth:`scan`, for other engines."""
        below = partition_prefix(dataset, "")
        if partitions is None:
            found = self.lake.local_paths(self.ref, below)
            paths = {path: local for path, local in found.items() if path.endswith(f"/{file}")}
            if not paths:
                raise ObjectNotFound(f"no {file} below {below!r} at {self.ref!r}")
            return paths
        wanted = [object_path(dataset, partition, file) for partition in partitions]
        if not wanted:
            raise ObjectNotFound(f"no partition of {dataset} was asked for")
        if len(wanted) < _ONE_LISTING_FROM:
            return {path: self.lake.local_path(self.ref, path) for path in wanted}
        found = self.lake.local_paths(self.ref, below)
        missing = [path for path in wanted if path not in found]
        if missing:
            raise ObjectNotFound(f"{len(missing)} objects not at {self.ref!r}: {', '.join(missing[:5])}")
        return {path: found[path] for path in wanted}

    def partitions(self, dataset: str, file: str = DATA_FILE) -> list[str]:
        """Partition paths (``session=2020-01-02``) that have ``file``, in byte order."""
        below, end = partition_prefix(dataset, ""), f"/{file}"
        return [
            item.path.removesuffix(end).removeprefix(below)
            for item in self.lake.list(self.ref, below)
            if item.path.endswith(end) and len(item.path) > len(below) + len(file)
        ]

    def files(self, dataset: str, partition: PartitionKey = "") -> list[ObjectInfo]:
        """The files of one partition, in byte order; empty where there is none."""
        items = self.lake.list(self.ref, partition_prefix(dataset, partition), delimiter="/")
        return [item for item in items if isinstance(item, ObjectInfo)]

    def identities(self, dataset: str, partition: PartitionKey = "") -> Content:
        return {item.path: (item.checksum, item.size) for item in self.files(dataset, partition)}

    def identities_below(self, dataset: str) -> Content:
        """As :meth:`identities`, of all partitions of a dataset."""
        items = self.lake.list(self.ref, partition_prefix(dataset, ""))
        return {item.path: (item.checksum, item.size) for item in items if isinstance(item, ObjectInfo)}

    def data_version(self, dataset: str, partition: PartitionKey = "") -> str:
        """The version a publish of this very content reports. Raises ObjectNotFound."""
        content = self.identities(dataset, partition)
        if not content:
            raise ObjectNotFound(f"no files of {partition_prefix(dataset, partition)!r} at {self.ref!r}")
        return data_version(content)


def data_version(content: Content) -> str:
    """SHA-256 over names, checksums and sizes: equal content, equal version."""
    files = [[path.rpartition("/")[2], *identity] for path, identity in sorted(content.items())]
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Reader:
    """One partition at one ref: what an audit is given to read back what was written.

    ``snapshot`` reads the other datasets as they were when the writing began.
    """

    snapshot: Snapshot
    dataset: str
    partition: str

    def frame(self, file: str = DATA_FILE) -> pl.DataFrame:
        return self.snapshot.frame(self.dataset, self.partition, file)

    def content(self, file: str = DATA_FILE) -> bytes:
        return self.snapshot.content(self.dataset, self.partition, file)

    def path(self, file: str = DATA_FILE) -> Path:
        return self.snapshot.path(self.dataset, self.partition, file)

    def files(self) -> list[str]:
        """File names, in byte order."""
        items = self.snapshot.files(self.dataset, self.partition)
        return [item.path.rpartition("/")[2] for item in items]
