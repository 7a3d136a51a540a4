"""`trading query`: SQL on the warehouse, or on the lake as of any commit."""

import sys

import click

from trading_assets.commands.options import home_option
from trading_assets.settings import Settings


@click.command()
@click.argument("sql")
@click.option("--as-of", "ref", help="A commit, tag or branch of the lake; default: the warehouse as last built.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values instead of a table.")
@home_option
def query(sql: str, ref: str | None, as_csv: bool, settings: Settings) -> None:
    """Run one SELECT and print its rows; with no SQL at hand try 'SHOW TABLES'."""
    import duckdb

    from resources.lake import open_lake
    from resources.lake.reading import Snapshot
    from resources.warehouse import open_as_of, open_warehouse
    from trading_assets.warehouse import LAKE_FILES, MODELS, dataset_files

    if ref is None:
        connection = open_warehouse(settings.warehouse_path)
    else:
        lake = open_lake(settings.lake_uri)
        commit = lake.resolve(ref)
        connection = open_as_of(
            commit,
            lambda at, dataset: dataset_files(Snapshot(lake, at), dataset),
            MODELS,
            datasets=tuple(LAKE_FILES),
        )
    try:
        with connection:
            rows = connection.sql(sql)
            if rows is None:
                return
            frame = rows.pl()
    except duckdb.Error as error:
        click.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)
    if as_csv:
        click.echo(frame.write_csv(), nl=False)
    else:
        import polars as pl

        with pl.Config(tbl_rows=50, tbl_cols=-1, tbl_width_chars=220, fmt_str_lengths=60):
            click.echo(frame)
