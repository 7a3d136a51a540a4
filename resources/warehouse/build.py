"""Building the warehouse: datasets of one commit in, models and audits over them, one DuckDB file out.

A process that has a DuckDB file open for writing locks every other process out. So the file is built under
another name and renamed into place when it is complete; whoever has the old one open keeps reading the old
one.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from resources.warehouse.errors import AuditError, ModelError, SourceError, WarehouseError
from resources.warehouse.models import Audit, Model, error_line, load_audits, load_models
from resources.warehouse.sources import SOURCES, Dataset, PartitionFile

if TYPE_CHECKING:
    import duckdb

_SHOWN_ROWS = 5
_LEFTOVER_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class TableReport:
    """One table or view: ``rows`` as of the build, ``columns`` as (name, DuckDB type)."""

    name: str
    kind: str
    rows: int
    columns: tuple[tuple[str, str], ...]
    seconds: float


@dataclass(frozen=True)
class AuditReport:
    """One audit that ran; ``details`` has the first bad rows, empty when it passed."""

    name: str
    model: str
    severity: str
    bad_rows: int
    details: str = ""

    @property
    def passed(self) -> bool:
        return self.bad_rows == 0


@dataclass(frozen=True)
class WarehouseReport:
    """What was built; ``sources`` and ``models`` in the order of building, ``bytes`` is the size of the
    file.
    """

    path: Path
    commit: str
    sources: tuple[TableReport, ...]
    models: tuple[TableReport, ...]
    audits: tuple[AuditReport, ...]
    bytes: int
    seconds: float


def build_warehouse(
    datasets: Mapping[str, Dataset],
    models_dir: Path,
    out_path: Path,
    *,
    commit: str,
    built_at: dt.datetime,
    audits_dir: Path | None = None,
    as_views: Collection[str] = (),
) -> WarehouseReport:
    """Build ``out_path`` anew from ``datasets``, which the caller read at ``commit``.

    Args:
        datasets: by name, a frame or the Parquet files; those of ``SOURCES`` that are left out become
            empty tables.
        models_dir: ``*.sql``; see :mod:`resources.warehouse.models`.
        out_path: the file; replaced at the end, by one rename.
        commit: kept in the table ``warehouse_build`` with ``built_at``, for whoever asks what they look at.
        audits_dir: default: ``audits`` beside ``models_dir``.
        as_views: datasets that stay in their Parquet files, read through a view; for those too large to
            copy. The views break when the files go.

    Raises:
        ModelError: a model or audit file is wrong; the message begins with file:line.
        SourceError: a dataset lacks columns.
        AuditError: an audit of severity ``error`` found rows. ``out_path`` is as it was before.
    """
    import duckdb

    started = time.perf_counter()
    names = {*SOURCES, *datasets}
    models = load_models(models_dir, sources=names)
    audits = load_audits(audits_dir or models_dir.parent / "audits", models, sources=names)
    out_path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(out_path)
    building = out_path.with_name(f".{out_path.name}.{os.getpid()}-{secrets.token_hex(4)}.building")
    try:
        with duckdb.connect(str(building)) as connection:
            _close_off(connection, datasets)
            sources = tuple(
                _load_source(connection, name, datasets.get(name, ()), as_view=name in as_views)
                for name in sorted(names)
            )
            built, checked = _build_models(connection, models, audits)
            connection.execute("CREATE TABLE warehouse_build (commit_id VARCHAR, built_at TIMESTAMPTZ)")
            connection.execute("INSERT INTO warehouse_build VALUES (?, ?)", [commit, built_at])
            connection.execute("CHECKPOINT")
        _into_place(building, out_path)
    finally:
        for left in (building, building.with_name(building.name + ".wal")):
            left.unlink(missing_ok=True)
    return WarehouseReport(
        path=out_path,
        commit=commit,
        sources=sources,
        models=built,
        audits=checked,
        bytes=out_path.stat().st_size,
        seconds=time.perf_counter() - started,
    )


def open_warehouse(path: Path) -> duckdb.DuckDBPyConnection:
    """The warehouse for reading, times shown in UTC.

    Raises:
        WarehouseError: there is none at ``path`` yet.
    """
    import duckdb

    if not path.exists():
        raise WarehouseError(f"there is no warehouse at {path}; materialise the warehouse assets first")
    connection = duckdb.connect(str(path), read_only=True)
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def open_as_of(
    commit: str,
    list_files: Callable[[str, str], Sequence[PartitionFile | Path]],
    models_dir: Path | None = None,
    *,
    datasets: Collection[str] = tuple(SOURCES),
) -> duckdb.DuckDBPyConnection:
    """The datasets as they were at ``commit``, as views over their Parquet files in a DuckDB in memory.

    Args:
        commit: any lake commit, tag or branch that ``list_files`` understands.
        list_files: ``(commit, dataset) -> files``.
        models_dir: if given, its models on top of them, all as views; those that need a dataset which is not in
            ``datasets`` are left out. Audits are not run.
        datasets: which; each reads its files' footers at the time of opening.

    Raises:
        SourceError: a dataset lacked columns at that commit that are relied on today.
        ModelError: a model does not fit the data of that time.
    """
    import duckdb

    files: dict[str, Dataset] = {name: list_files(commit, name) for name in datasets}
    connection = duckdb.connect()
    try:
        _close_off(connection, files)
        for name, dataset in files.items():
            _load_source(connection, name, dataset, as_view=True)
        if models_dir is not None:
            for model in load_models(models_dir, sources={*SOURCES, *files}):
                if all(_exists(connection, name) for name in model.depends_on):
                    _create(connection, model, "VIEW")
    except BaseException:
        connection.close()
        raise
    return connection


def _close_off(connection: duckdb.DuckDBPyConnection, datasets: Mapping[str, Dataset]) -> None:
    """UTC, and no file but those of the datasets: what a model reads is what the commit holds."""
    paths = sorted({str(_path(file)) for d in datasets.values() if not isinstance(d, pl.DataFrame) for file in d})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET allowed_paths = ?", [paths])
    connection.execute("SET enable_external_access = false")


def _load_source(connection: duckdb.DuckDBPyConnection, name: str, dataset: Dataset, *, as_view: bool) -> TableReport:
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
        connection.execute(f"CREATE TABLE {_quoted(name)} AS SELECT * FROM incoming")
        connection.unregister("incoming")
        return _report(connection, name, "table", started)
    kind = "view" if as_view else "table"
    select = _select_files(connection, name, [_partition(file) for file in dataset], required)
    connection.execute(f"CREATE {kind} {_quoted(name)} AS {select}")
    return _report(connection, name, kind, started)


def _select_files(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    files: Sequence[PartitionFile],
    required: Mapping[str, pl.DataType],
) -> str:
    """SELECT over Parquet files with their partition keys as columns where the files do not have them
    already.

    One file may stand for several partitions (equal content is stored once): its rows then come once for
    each.
    """
    paths = ", ".join(_literal(str(path)) for path in sorted({file.path for file in files}))
    reader = f"read_parquet([{paths}], union_by_name = true, filename = '__file')"
    described = connection.execute(f"DESCRIBE SELECT * FROM {reader}").fetchall()
    own = [str(row[0]) for row in described if row[0] != "__file"]
    keys = sorted({key for file in files for key in file.keys} - set(own))
    _require(name, required, [*own, *keys])
    values = ", ".join(
        "(" + ", ".join([_literal(str(file.path)), *(_literal(file.keys.get(key)) for key in keys)]) + ")"
        for file in files
    )
    picked = [f"CAST(p.{_quoted(key)} AS {_sql_type(required.get(key))}) AS {_quoted(key)}" for key in keys]
    picked += [f"f.{_quoted(column)}" for column in own]
    names = ", ".join(["path", *(_quoted(key) for key in keys)])
    return f"SELECT {', '.join(picked)} FROM {reader} f JOIN (VALUES {values}) p({names}) ON f.__file = p.path"


def _build_models(
    connection: duckdb.DuckDBPyConnection, models: Sequence[Model], audits: Sequence[Audit]
) -> tuple[tuple[TableReport, ...], tuple[AuditReport, ...]]:
    built: list[TableReport] = []
    checked: list[AuditReport] = []
    for model in models:
        started = time.perf_counter()
        _create(connection, model, model.kind.upper())
        built.append(_report(connection, model.name, model.kind, started))
        missing = [column for column in model.grain if column not in dict(built[-1].columns)]
        if missing:
            raise ModelError(model.file, 1, f"grain names {', '.join(missing)}, which the SELECT does not give")
        for audit in (_grain_audit(model), *(a for a in audits if a.model == model.name)):
            report = _run_audit(connection, audit)
            checked.append(report)
            if report.bad_rows and report.severity == "error":
                raise AuditError(
                    f"audit {audit.name} of {model.name} found {report.bad_rows} rows that must not be "
                    f"({audit.description}). The warehouse in place was not touched. First rows:\n{report.details}",
                    audit=audit.name,
                    model=model.name,
                    bad_rows=report.bad_rows,
                    details=report.details,
                )
    return tuple(built), tuple(checked)


def _create(connection: duckdb.DuckDBPyConnection, model: Model, kind: str) -> None:
    import duckdb

    try:
        connection.execute(f"CREATE {kind} {_quoted(model.name)} AS\n{model.sql}")
    except duckdb.Error as error:
        # Line 1 is the CREATE above the SELECT.
        raise ModelError(model.file, error_line(error, model.sql_line - 1), str(error)) from None
    comment = f"{model.description} One row per {', '.join(model.grain)}. Owner: {model.owner}"
    connection.execute(f"COMMENT ON {kind} {_quoted(model.name)} IS {_literal(comment)}")


def _grain_audit(model: Model) -> Audit:
    columns = ", ".join(_quoted(column) for column in model.grain)
    nulls = " OR ".join(f"{_quoted(column)} IS NULL" for column in model.grain)
    return Audit(
        name=f"grain_of_{model.name}",
        model=model.name,
        severity="error",
        description=f"{', '.join(model.grain)} must be unique and never null",
        sql=f"SELECT {columns}, count(*) AS rows FROM {_quoted(model.name)}\nGROUP BY {columns} "
        f"HAVING count(*) > 1 OR {nulls}",
        sql_line=1,
        file=model.file,
    )


def _run_audit(connection: duckdb.DuckDBPyConnection, audit: Audit) -> AuditReport:
    import duckdb

    try:
        found = connection.execute(audit.sql)
        names = [column[0] for column in found.description or []]
        bad = found.fetchall()
    except duckdb.Error as error:
        raise ModelError(audit.file, error_line(error, audit.sql_line), str(error)) from None
    details = "\n".join(
        "  " + ", ".join(f"{name}={value}" for name, value in zip(names, row, strict=True)) for row in bad[:_SHOWN_ROWS]
    )
    return AuditReport(audit.name, audit.model, audit.severity, len(bad), details)


def _report(connection: duckdb.DuckDBPyConnection, name: str, kind: str, started: float) -> TableReport:
    columns = tuple((str(row[0]), str(row[1])) for row in connection.execute(f"DESCRIBE {_quoted(name)}").fetchall())
    # All rows of a result are fetched: DuckDB 2 refuses other work while one is open.
    (counted,) = connection.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchall()
    return TableReport(name, kind, int(counted[0]), columns, time.perf_counter() - started)


def _require(name: str, required: Mapping[str, Any], present: Collection[str]) -> None:
    missing = [column for column in required if column not in present]
    if missing:
        raise SourceError(
            f"dataset {name} lacks the columns {', '.join(missing)}, which the models rely on; it has "
            f"{', '.join(sorted(present))}"
        )


def _exists(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    return bool(connection.execute("SELECT 1 FROM information_schema.tables WHERE table_name = ?", [name]).fetchall())


def _into_place(building: Path, out_path: Path) -> None:
    """Durable before visible: the content first, then the name."""
    _sync(building)
    building.replace(out_path)
    _sync(out_path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(out_path: Path) -> None:
    """Files of builds that were killed; a build never takes a day."""
    for left in out_path.parent.glob(f".{out_path.name}.*.building*"):
        try:
            if time.time() - left.stat().st_mtime > _LEFTOVER_SECONDS:
                left.unlink()
        except FileNotFoundError:
            continue


def _partition(file: PartitionFile | Path) -> PartitionFile:
    return file if isinstance(file, PartitionFile) else PartitionFile(file)


def _path(file: PartitionFile | Path) -> Path:
    return file.path if isinstance(file, PartitionFile) else file


def _sql_type(dtype: pl.DataType | None) -> str:
    return "DATE" if isinstance(dtype, pl.Date) else "VARCHAR"


def _literal(text: str | None) -> str:
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
