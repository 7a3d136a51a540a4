"""`trading query`: SQL on the warehouse, or on the lake as of any commit."""

import sys
from typing import TYPE_CHECKING

import click

from trading_assets.commands.options import home_option
from trading_assets.commands.tables import print_frame
from trading_assets.settings import Settings

if TYPE_CHECKING:
    import duckdb

    from resources.lake import Lake
    from resources.warehouse import PartitionFile

_ROWS_SHOWN = 50


@click.command()
@click.argument("sql")
@click.option("--as-of", "ref", help="A commit, tag or branch of the lake; default: the warehouse as last built.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values instead of a table.")
@home_option
def query(sql: str, ref: str | None, as_csv: bool, settings: Settings) -> None:
    """Run one SELECT and print its rows; with no SQL at hand try 'SHOW TABLES'.

    As of a quarantine tag, the table `refused` holds what was refused, as it is.
    """
    import duckdb

    from resources.warehouse import open_warehouse

    connection = open_warehouse(settings.warehouse_path) if ref is None else _open_as_of(settings, ref)
    try:
        with connection:
            rows = connection.sql(sql)
            if rows is None:
                return
            frame = rows.pl()
    except duckdb.Error as error:
        click.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)
    print_frame(frame, rows=_ROWS_SHOWN, as_csv=as_csv)


def _open_as_of(settings: Settings, ref: str) -> "duckdb.DuckDBPyConnection":
    from resources.lake import open_lake
    from resources.lake.finding import find_commit
    from resources.lake.reading import Snapshot
    from resources.warehouse import open_as_of
    from trading_assets.warehouse import LAKE_FILES, MODELS, dataset_files

    lake = open_lake(settings.lake_uri)
    commit = find_commit(lake, ref)
    refused = _refused_tables(lake, ref) if "refused" in commit.metadata else {}

    def list_files(at: str, dataset: str) -> "list[PartitionFile]":
        return refused[dataset] if dataset in refused else dataset_files(Snapshot(lake, at), dataset)

    return open_as_of(commit.id, list_files, MODELS, datasets=(*LAKE_FILES, *refused), on_misfit=_say_misfit)


def _refused_tables(lake: "Lake", ref: str) -> "dict[str, list[PartitionFile]]":
    """``refused``, and ``refused_<file>`` for the refused partition's further Parquet files."""
    from resources.lake.quarantine import refusal
    from resources.warehouse import PartitionFile

    held = refusal(lake, ref)
    keys = dict(part.split("=", 1) for part in held.partition.split("/") if part)
    tables: dict[str, list[PartitionFile]] = {}
    for file in held.parquet_files:
        stem = file.path.rpartition("/")[2].removesuffix(".parquet")
        name = f"refused_{stem}" if tables else "refused"
        tables[name] = [PartitionFile(lake.local_path(held.commit_id, file.path), keys)]
    return tables


def _say_misfit(table: str, why: str) -> None:
    click.secho(f"note: {table} {why.splitlines()[0]}", fg="yellow", err=True)
