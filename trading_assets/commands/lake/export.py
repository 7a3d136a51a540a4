"""`trading lake export`: a commit as plain files."""

from pathlib import Path

import click

from trading_assets.commands.options import home_option, open_home_lake
from trading_assets.commands.progress_bar import progress_bar
from trading_assets.commands.tables import counted, size_text
from trading_assets.settings import Settings


@click.command()
@click.argument("ref")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--prefix", default="", help="Only objects whose path begins so, e.g. m5_bars/")
@click.option(
    "--overwrite", is_flag=True, help="Also into a folder that holds something: an earlier export is replaced."
)
@home_option
def export(ref: str, folder: Path, prefix: str, overwrite: bool, settings: Settings) -> None:
    """Copy what is at REF into FOLDER as plain files, verified, with a manifest.json that is written last.

    Cut off half-way, the same command completes it.
    """
    from resources.lake.export import MANIFEST, export

    lake = open_home_lake(settings)
    with progress_bar("exporting") as progress:
        done = export(lake, ref, folder, prefix=prefix, overwrite=overwrite, progress=progress)
    kept = f", {done.files - done.written:,} were there" if done.written < done.files else ""
    removed = f", {done.removed:,} of an earlier export removed" if done.removed else ""
    click.echo(
        f"{counted(done.files, 'object')} ({size_text(done.bytes)}) of {done.commit_id[:16]} in {folder}{kept}{removed}; "
        f"{folder / MANIFEST} lists them with their SHA-256"
    )
