"""Tables and views of a DuckDB connection: datasets from frames or Parquet files, and models over them."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from resources.warehouse.errors import ModelError, SourceError
from resources.warehouse.models import Model, error_line
from resources.warehouse.sources import SOURCES, Dataset, PartitionFile

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class TableReport:
    """One table or view: ``rows`` as of the build, ``columns`` as (name, DuckDB type)."""

    name: str
    kind: str
    rows: int
    columns: tuple[tuple[str, str], ...]
    seconds: float


def close_off(connection: duckdb.DuckDBPyConnection, datasets: Mapping[str, Dataset]) -> None:
    """UTC, and no file but those of the datasets: what a model reads is what the commit holds."""
    paths = sorted({str(_path(file)) for d in datasets.values() if not isinstance(d, pl.DataFrame) for file in d})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET allowed_paths = ?", [paths])
    connection.execute("SET enable_external_access = false")


def load_source(
    connection: duckdb.DuckDBPyConnection, name: str, dataset: Dataset, *, as_view: bool, complete: bool = True
) -> TableReport:
    """Make a dataset a table, or a view of its files.

    ``complete``: the columns that models rely on must all be there, else SourceError.
    """
    started = time.perf_counter()
    if not name.isidentifier():
        raise SourceError(f"dataset {name!r} cannot be a table's name; letters, digits and _ only")
    required = SOURCES.get(name, {})
    if isinstance(dataset, pl.DataFrame) or not dataset:
        frame = dataset if isinstance(dataset, pl.DataFrame) else pl.DataFrame(schema=dict(required))
        if not frame.columns:
            raise SourceError(f"dataset {name} has neither files nor columns; leave it out or pass an empty frame")
        columns: Collection[str] = frame.columns
        _require(name, required, columns)
        connection.register("incoming", frame.to_arrow())
        connection.execute(f"CREATE TABLE {quoted(name)} AS SELECT * FROM incoming")
        connection.unregister("incoming")
        return describe(connection, name, "table", started)
    kind = "view" if as_view else "table"
    select = _select_files(connection, name, [_partition(file) for file in dataset], required, complete=complete)
    connection.execute(f"CREATE {kind} {quoted(name)} AS {select}")
    return describe(connection, name, kind, started)


def _select_files(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    files: Sequence[PartitionFile],
    required: Mapping[str, pl.DataType],
    *,
    complete: bool,
) -> str:
    """SELECT over Parquet files with their partition keys as columns where the files do not have them
    already.

    One file may stand for several partitions (equal content is stored once): its rows then come once for
    each.
    """
    paths = ", ".join(literal(str(path)) for path in sorted({file.path for file in files}))
    reader = f"read_parquet([{paths}], union_by_name = true, filename = '__file')"
    described = connection.execute(f"DESCRIBE SELECT * FROM {reader}").fetchall()
    own = [str(row[0]) for row in described if row[0] != "__file"]
    keys = sorted({key for file in files for key in file.keys} - set(own))
    if complete:
        _require(name, required, [*own, *keys])
    values = ", ".join(
        "(" + ", ".join([literal(str(file.path)), *(literal(file.keys.get(key)) for key in keys)]) + ")"
        for file in files
    )
    picked = [f"CAST(p.{quoted(key)} AS {_sql_type(required.get(key))}) AS {quoted(key)}" for key in keys]
    picked += [f"f.{quoted(column)}" for column in own]
    names = ", ".join(["path", *(quoted(key) for key in keys)])
    return f"SELECT {', '.join(picked)} FROM {reader} f JOIN (VALUES {values}) p({names}) ON f.__file = p.path"


def create_model(connection: duckdb.DuckDBPyConnection, model: Model, kind: str) -> None:
    """The model as a VIEW or TABLE, with its comment. Raises ModelError with the file's line."""
    import duckdb

    try:
        connection.execute(f"CREATE {kind} {quoted(model.name)} AS\n{model.sql}")
    except duckdb.Error as error:
        # Line 1 is the CREATE above the SELECT.
        raise ModelError(model.file, error_line(error, model.sql_line - 1), str(error)) from None
    comment = f"{model.description} One row per {', '.join(model.grain)}. Owner: {model.owner}"
    connection.execute(f"COMMENT ON {kind} {quoted(model.name)} IS {literal(comment)}")


def describe(connection: duckdb.DuckDBPyConnection, name: str, kind: str, started: float) -> TableReport:
    columns = tuple((str(row[0]), str(row[1])) for row in connection.execute(f"DESCRIBE {quoted(name)}").fetchall())
    # All rows of a result are fetched: DuckDB 2 refuses other work while one is open.
    (counted,) = connection.execute(f"SELECT count(*) FROM {quoted(name)}").fetchall()
    return TableReport(name, kind, int(counted[0]), columns, time.perf_counter() - started)


def _require(name: str, required: Mapping[str, Any], present: Collection[str]) -> None:
    missing = [column for column in required if column not in present]
    if missing:
        raise SourceError(
            f"dataset {name} lacks the columns {', '.join(missing)}, which the models rely on; it has "
            f"{', '.join(sorted(present))}"
        )


def exists(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    return bool(connection.execute("SELECT 1 FROM information_schema.tables WHERE table_name = ?", [name]).fetchall())


def _partition(file: PartitionFile | Path) -> PartitionFile:
    return file if isinstance(file, PartitionFile) else PartitionFile(file)


def _path(file: PartitionFile | Path) -> Path:
    return file.path if isinstance(file, PartitionFile) else file


def _sql_type(dtype: pl.DataType | None) -> str:
    return "DATE" if isinstance(dtype, pl.Date) else "VARCHAR"


def literal(text: str | None) -> str:
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
