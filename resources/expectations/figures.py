"""Figures of the datasets, worked out by SQL over the warehouse and the minutes of the commit that it was built from.

Minutes are read in blocks of sessions, straight from the lake's Parquet files, so that a long history fits into memory.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from resources.warehouse.errors import ModelError, WarehouseError
from resources.warehouse.models import Model, load_models, read_headers
from resources.warehouse.sources import PartitionFile
from resources.warehouse.tables import close_off, create_model, exists, literal, load_source, quoted

if TYPE_CHECKING:
    import duckdb

MINUTES = "m1_bars"
JUDGED = "judged"
"""What the figures' SQL may read besides the warehouse: the minutes, and the sessions to judge."""

_SESSIONS_A_BLOCK = 20
_MINUTE_TYPES = {
    "Symbol": "VARCHAR",
    "Timestamp": "TIMESTAMPTZ",
    **dict.fromkeys(("Open", "High", "Low", "Close"), "DOUBLE"),
    "Volume": "BIGINT",
    "session": "DATE",
}
_WITH_SESSIONS = ("bar_quality", "d1_bars", "d1_raw", "backtest_metrics", "order_intents", "portfolio_worth")

Progress = Callable[[str, int, int], None]
"""What is done, how many steps, of how many."""


@dataclass(frozen=True)
class Figures:
    """One row per ``keys``, the other columns are what is judged."""

    name: str
    keys: tuple[str, ...]
    frame: pl.DataFrame


@dataclass(frozen=True)
class Computed:
    """All figures of the sessions judged (ascending), as of the warehouse's commit."""

    commit: str
    sessions: tuple[dt.date, ...]
    figures: Mapping[str, Figures]


def warehouse_commit(warehouse: Path) -> str:
    """The commit of the lake that the warehouse was built from.

    Raises:
        WarehouseError: there is no warehouse yet.
    """
    from resources.warehouse.build import open_warehouse

    with open_warehouse(warehouse) as connection:
        ((commit,),) = connection.execute("SELECT commit_id FROM warehouse_build").fetchall()
    return str(commit)


def judged_sessions(warehouse: Path, newest: int | None) -> tuple[dt.date, ...]:
    """The ``newest`` sessions that the warehouse has (None: all), ascending.

    Raises:
        WarehouseError: there is no warehouse yet.
    """
    from resources.warehouse.build import open_warehouse

    with open_warehouse(warehouse) as connection:
        selects = [f"SELECT session FROM {name}" for name in _WITH_SESSIONS if exists(connection, name)]
        if not selects:
            raise WarehouseError(
                f"{warehouse} has none of {', '.join(_WITH_SESSIONS)}: materialise group:warehouse anew"
            )
        found = connection.execute(
            f"SELECT DISTINCT session FROM ({' UNION ALL '.join(selects)}) ORDER BY 1"
        ).fetchall()
    sessions = tuple(row[0] for row in found if row[0] is not None)
    return sessions if newest is None else sessions[-newest:]


def compute_figures(
    warehouse: Path,
    sessions: Sequence[dt.date],
    minutes: Sequence[PartitionFile],
    folder: Path,
    *,
    progress: Progress = lambda what, done, of: None,  # noqa: ARG005
) -> Computed:
    """Run every file of ``folder`` for the sessions judged.

    Args:
        warehouse: the DuckDB file.
        sessions: which are judged.
        minutes: their Parquet files of the dataset m1_bars at the warehouse's commit, each with its ``session`` key.
        folder: ``*.sql`` with the headers of models. They may read every table of the warehouse, ``m1_bars`` with the
            sessions of a block, and ``judged`` (column session).

    Raises:
        WarehouseError: there is no warehouse yet, or it lacks a table that a file reads.
        ModelError: a file is wrong, with its line.
    """
    import duckdb

    commit = warehouse_commit(warehouse)
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH {literal(str(warehouse))} AS warehouse (READ_ONLY)")
        tables = [row[0] for row in connection.execute(_TABLES).fetchall()]
        for table in tables:
            connection.execute(f"CREATE VIEW {quoted(table)} AS SELECT * FROM warehouse.main.{quoted(table)}")
        close_off(connection, {MINUTES: minutes})
        _require_tables(warehouse, folder, tables)
        models = load_models(folder, sources={*tables, MINUTES, JUDGED})
        blocks = _blocks(sessions, minutes)
        steps, done = len(models) + len(blocks) - 1, 0
        by_block = [model for model in models if MINUTES in model.depends_on]
        parts: dict[str, list[pl.DataFrame]] = {model.name: [] for model in models}
        for block in blocks:
            _judge(connection, block)
            _take_minutes(connection, minutes, block)
            for model in by_block:
                parts[model.name].append(_run(connection, model))
            done += 1
            progress("figures of the minutes", done, steps)
        _judge(connection, sessions)
        for model in models:
            if model not in by_block:
                parts[model.name].append(_run(connection, model))
                done += 1
                progress(model.name, min(done, steps), steps)
    figures = {model.name: Figures(model.name, model.grain, pl.concat(parts[model.name])) for model in models}
    return Computed(commit, tuple(sessions), figures)


_TABLES = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'warehouse' UNION ALL BY NAME (\
SELECT view_name AS table_name FROM duckdb_views() WHERE database_name = 'warehouse' AND NOT internal) ORDER BY 1"


def _require_tables(warehouse: Path, folder: Path, tables: Sequence[str]) -> None:
    models = read_headers(folder)
    known = {*tables, *(model.name for model in models), MINUTES, JUDGED}
    missing = sorted({name for model in models for name in model.depends_on} - known)
    if missing:
        raise WarehouseError(
            f"{warehouse} has no {', '.join(missing)}, which {folder.name} reads: it was built by an earlier version; "
            "materialise group:warehouse anew"
        )


def _blocks(sessions: Sequence[dt.date], minutes: Sequence[PartitionFile]) -> list[Sequence[dt.date]]:
    """Sessions with minutes, some at a time, and last those without any, together."""
    delivered = {file.keys.get("session") for file in minutes}
    present = [session for session in sessions if str(session) in delivered]
    absent = [session for session in sessions if str(session) not in delivered]
    blocks = [present[at : at + _SESSIONS_A_BLOCK] for at in range(0, len(present), _SESSIONS_A_BLOCK)]
    return [*blocks, absent]


def _judge(connection: duckdb.DuckDBPyConnection, sessions: Sequence[dt.date]) -> None:
    connection.execute(f"CREATE OR REPLACE TABLE {JUDGED} (session DATE)")
    if sessions:
        values = ", ".join(f"(DATE '{session}')" for session in sessions)
        connection.execute(f"INSERT INTO {JUDGED} VALUES {values}")


def _take_minutes(
    connection: duckdb.DuckDBPyConnection, minutes: Sequence[PartitionFile], sessions: Sequence[dt.date]
) -> None:
    wanted = {str(session) for session in sessions}
    files = [file for file in minutes if file.keys.get("session") in wanted]
    if exists(connection, MINUTES):
        connection.execute(f"DROP VIEW {MINUTES}")
    if files:
        load_source(connection, MINUTES, files, as_view=True)
    else:
        columns = ", ".join(f"NULL::{dtype} AS {quoted(name)}" for name, dtype in _MINUTE_TYPES.items())
        connection.execute(f"CREATE VIEW {MINUTES} AS SELECT {columns} WHERE false")


def _run(connection: duckdb.DuckDBPyConnection, model: Model) -> pl.DataFrame:
    import duckdb

    connection.execute(f"DROP VIEW IF EXISTS {quoted(model.name)}")
    create_model(connection, model, "VIEW")
    try:
        frame: pl.DataFrame = connection.sql(f"SELECT * FROM {quoted(model.name)}").pl()
    except duckdb.Error as error:
        raise ModelError(model.file, model.sql_line, str(error)) from None
    return frame
