"""Where a dataset's partitions lie in the lake, and how a frame becomes bytes."""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import polars as pl

from resources.lake.errors import InvalidName

DATA_FILE: Final = "data.parquet"

_DATASET = re.compile(r"\w[-\w.]*(/\w[-\w.]*)*", re.ASCII)
_KEY = re.compile(r"\w+", re.ASCII)
_VALUE = re.compile(r"[^/=%\x00-\x1f\x7f]+")
_FILE = re.compile(r"[^/=\x00-\x1f\x7f]+")
_ROWS_PER_GROUP = 262_144

PartitionKey = Mapping[str, str] | str
"""``{"session": "2020-01-02", "variant": "risk1"}`` in the order of the path, or the path; "" for none."""


def partition_path(partition: PartitionKey) -> str:
    """``session=2020-01-02/variant=risk1``; "" for a dataset without partitions. Raises InvalidName."""
    pairs = (
        [tuple(part.partition("=")[::2]) for part in partition.split("/") if partition]
        if isinstance(partition, str)
        else list(partition.items())
    )
    for key, value in pairs:
        if not _KEY.fullmatch(key) or not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise InvalidName(
                f"partition {partition!r}: parts must be <key>=<value>, keys of letters, digits, '_', "
                "values without '/', '=', '%', control characters"
            )
    return "/".join(f"{key}={value}" for key, value in pairs)


def partition_prefix(dataset: str, partition: PartitionKey) -> str:
    """What the paths of the partition's files begin with; ends with a slash."""
    if not _DATASET.fullmatch(dataset):
        raise InvalidName(f"dataset {dataset!r}: must be names of letters, digits, '_-.', with '/' between")
    path = partition_path(partition)
    return f"{dataset}/{path}/" if path else f"{dataset}/"


def object_path(dataset: str, partition: PartitionKey, file: str = DATA_FILE) -> str:
    """``<dataset>/<key>=<value>/.../<file>``. Raises InvalidName."""
    if not _FILE.fullmatch(file):
        raise InvalidName(f"file {file!r} of {dataset}: must be a plain file name")
    return partition_prefix(dataset, partition) + file


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """A frame that is Parquet already: encoding is most of the work of writing, and any thread can do it ahead."""

    data: bytes
    rows: int

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Self:
        return cls(encode_frame(frame), frame.height)


def encode_frame(frame: pl.DataFrame) -> bytes:
    """Parquet: the same bytes for the same columns, types and rows, whatever way the frame was made.

    That holds within one version of polars; another may write other bytes, and content is then published anew.
    """
    # level 2: bars come out as small as at level 3, in half its time
    buffer = io.BytesIO()
    frame.write_parquet(
        buffer, compression="zstd", compression_level=2, statistics=True, row_group_size=_ROWS_PER_GROUP
    )
    return buffer.getvalue()
