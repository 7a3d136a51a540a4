"""Between assets and the lake: reading pinned upstream partitions and describing what was published."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from trading.errors import DataError
from trading_assets.materialise import Materialised

if TYPE_CHECKING:
    from resources.lake.publish import Audit, Publication, Publisher
    from resources.lake.reading import Reader


class UpstreamMissing(DataError):
    """The partition that this one is made from is not on main: never materialised, or refused."""


def read_upstream(
    publisher: "Publisher",
    pinned: str,
    dataset: str,
    partition: Mapping[str, str],
    file: str = "data.parquet",
) -> pl.DataFrame:
    """One upstream file at a pinned commit; `UpstreamMissing` says which partition to materialise first."""
    if not publisher.exists(pinned, dataset, partition):
        where = ", ".join(f"{key} {value}" for key, value in partition.items())
        raise UpstreamMissing(f"{dataset} of {where} is not on main: materialise it first, or see why it was refused")
    return publisher.read_frame(pinned, dataset, partition, file)


def contract_audit(contract: str, where: str, file: str = "data.parquet") -> "Audit":
    """An audit that reads back one file of what was written and validates it against ``contract``."""

    def audit(reader: "Reader") -> None:
        from trading.contracts import validate

        validate(reader.frame(file), contract, where=where)

    return audit


def materialised(
    publication: "Publication", rows: int, metadata: Mapping[str, Any], *, reads: Mapping[str, str] | None = None
) -> Materialised:
    """What the asset's materialisation event says: its own figures, then the commits it read and the one it made.

    ``rows`` are those of the partition's main frame.
    """
    return Materialised(
        data_version=publication.data_version,
        commit=publication.commit_id,
        rows=rows,
        published=publication.published,
        metadata={
            **metadata,
            **({"reads": dg.MetadataValue.json(dict(reads))} if reads else {}),
            "lake_paths": dg.MetadataValue.json(list(publication.paths)),
        },
    )
