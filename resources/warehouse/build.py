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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resources.warehouse.errors import AuditError, ModelError, WarehouseError
from resources.warehouse.models import Audit, Model, error_line, load_audits, load_models
from resources.warehouse.sources import SOURCES, Dataset
from resources.warehouse.tables import TableReport, close_off, create_model, describe, load_source, quoted

if TYPE_CHECKING:
    import duckdb

_SHOWN_ROWS = 5
_LEFTOVER_SECONDS = 24 * 3600.0


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
            close_off(connection, datasets)
            sources = tuple(
                load_source(connection, name, datasets.get(name, ()), as_view=name in as_views)
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


def _build_models(
    connection: duckdb.DuckDBPyConnection, models: Sequence[Model], audits: Sequence[Audit]
) -> tuple[tuple[TableReport, ...], tuple[AuditReport, ...]]:
    built: list[TableReport] = []
    checked: list[AuditReport] = []
    for model in models:
        started = time.perf_counter()
        create_model(connection, model, model.kind.upper())
        built.append(describe(connection, model.name, model.kind, started))
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


def _grain_audit(model: Model) -> Audit:
    columns = ", ".join(quoted(column) for column in model.grain)
    nulls = " OR ".join(f"{quoted(column)} IS NULL" for column in model.grain)
    return Audit(
        name=f"grain_of_{model.name}",
        model=model.name,
        severity="error",
        description=f"{', '.join(model.grain)} must be unique and never null",
        sql=f"SELECT {columns}, count(*) AS rows FROM {quoted(model.name)}\nGROUP BY {columns} "
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
