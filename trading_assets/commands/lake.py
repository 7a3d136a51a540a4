"""`trading lake`: look into the versioned storage."""

import datetime as dt
import io
import sys
from pathlib import Path

import click
import polars as pl

from trading_assets.commands.options import home_option
from trading_assets.settings import Settings


@click.group()
def lake() -> None:
    """Commits, datasets and integrity of the lake."""


@lake.command()
@click.argument("ref", default="main")
@click.option("--limit", default=20, show_default=True)
@click.option("--path", help="Only commits that changed this object.")
@home_option
def log(ref: str, limit: int, path: str | None, settings: Settings) -> None:
    """Commits from REF back, newest first."""
    from resources.lake import open_lake

    for commit in open_lake(settings.lake_uri).log(ref, limit=limit, first_parent=True, path=path):
        click.echo(f"{commit.id[:16]}  {commit.created:%Y-%m-%d %H:%M:%S}Z  {commit.message}")


@lake.command()
@click.argument("ref")
@click.argument("path", default="")
@click.option("--rows", default=20, show_default=True, help="Rows to print of a Parquet file.")
@home_option
def show(ref: str, path: str, rows: int, settings: Settings) -> None:
    """What is at REF (branch, tag, quarantine-..., commit): its objects, or the content of the object PATH."""
    from resources.lake import ObjectInfo, Prefix, open_lake

    opened = open_lake(settings.lake_uri)
    if path and not path.endswith("/"):
        content = opened.get(ref, path)
        if path.endswith(".parquet"):
            frame = pl.read_parquet(io.BytesIO(content))
            with pl.Config(tbl_rows=rows, tbl_cols=-1, tbl_width_chars=200, fmt_str_lengths=60):
                click.echo(frame)
        else:
            click.echo(content.decode("utf-8", "replace"))
        return
    commit = opened.get_commit(ref)
    click.echo(f"{commit.id}\n{commit.created:%Y-%m-%d %H:%M:%S}Z  {commit.message}")
    for name, value in sorted(commit.metadata.items()):
        click.echo(f"  {name}: {value}")
    for entry in opened.list(ref, path, delimiter="/"):
        if isinstance(entry, Prefix):
            click.echo(entry.path)
        elif isinstance(entry, ObjectInfo):
            click.echo(f"{entry.path}  {entry.size} bytes  {entry.checksum[:16]}")


@lake.command()
@home_option
def verify(settings: Settings) -> None:
    """Read every object and compare it with its hash; status 1 where one is damaged or missing."""
    from resources.lake import open_lake

    problems = list(open_lake(settings.lake_uri).verify())  # type: ignore[attr-defined]
    for problem in problems:
        click.secho(str(problem), fg="red")
    if problems:
        sys.exit(1)
    click.echo("every object is there and has its hash")


@lake.command()
@click.argument("name")
@click.argument("ref", default="main@")
@home_option
def tag(name: str, ref: str, settings: Settings) -> None:
    """Pin the commit of REF under NAME; a tagged commit is never removed."""
    from resources.lake import open_lake

    click.echo(f"{name} -> {open_lake(settings.lake_uri).create_tag(name, ref)}")


@lake.command()
@click.option("--days", default=90, show_default=True, help="Keep what main had within this many days.")
@click.option("--dry-run", is_flag=True, help="Say what would go, remove nothing.")
@home_option
def gc(days: int, dry_run: bool, settings: Settings) -> None:
    """Remove objects that no branch, no tag and no commit within the window reaches."""
    from resources.lake import open_lake

    found = open_lake(settings.lake_uri).gc(retention=dt.timedelta(days=days), dry_run=dry_run)  # type: ignore[attr-defined]
    click.echo(("would remove " if dry_run else "removed ") + str(found))


@lake.command()
@click.argument("ref")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--prefix", default="", help="Only objects below this prefix, e.g. m5_bars/")
@home_option
def export(ref: str, folder: Path, prefix: str, settings: Settings) -> None:
    """Copy what is at REF into FOLDER, as plain files."""
    from resources.lake import ObjectInfo, open_lake

    opened = open_lake(settings.lake_uri)
    commit = opened.resolve(ref)
    copied = 0
    for entry in opened.list(commit, prefix):
        if isinstance(entry, ObjectInfo):
            target = folder / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(opened.get(commit, entry.path))
            copied += 1
    click.echo(f"{copied} objects of {commit[:16]} copied to {folder}")
