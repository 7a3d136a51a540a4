"""`trading sweep`: a parameter sweep on what is on main, and how much of its best set is luck."""

import datetime as dt
from pathlib import Path

import click

from trading_assets.commands.as_of import as_of_session, home_market
from trading_assets.commands.options import home_flag, home_option
from trading_assets.commands.progress_bar import progress_bar
from trading_assets.settings import Settings

_RESULTS = "results.parquet"


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Last session. Default: the newest with bars and universe.",
)
@click.option("--at", "ref", default="main", show_default=True, help="Commit, tag or branch of the lake to read.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the artefacts. Default: <home>/sweeps/<name>/<as-of>.",
)
@home_option
def sweep(file: Path, as_of: dt.datetime | None, ref: str, out: Path | None, settings: Settings) -> None:
    """Replay every parameter set of FILE, such as configs/sweeps/insidebar_targets.yml, and examine the best one."""
    import polars as pl

    from resources.lake.layout import encode_frame
    from trading_assets.configured import sweep_file
    from trading_assets.configured import variant as load_variant
    from trading_assets.folder_of_files import write_folder
    from trading_assets.sweeping import NAMES, RESULTS, compute_sweep

    config = sweep_file(file)
    market = home_market(settings, ref)
    session = as_of_session(market, load_variant(settings, config.variant), as_of.date() if as_of else None)
    with progress_bar(f"sweep {config.name}") as advance:
        made = compute_sweep(settings, market, config, session, advance)
    folder = out or settings.home / "sweeps" / config.name / session.isoformat()
    content = {
        _RESULTS if name == RESULTS else name: encode_frame(file) if isinstance(file, pl.DataFrame) else file
        for name, file in made.files.items()
    }
    written = write_folder(folder, content, known={_RESULTS, *NAMES})
    click.echo(made.report)
    click.echo(f"bars at commit {market.history.pinned[:16]}")
    click.echo(f"{len(content)} files {'written to' if written else 'as they were in'} {folder}")
    if file.resolve().parent == (settings.configs / "sweeps").resolve():
        click.echo(
            f"to publish it: trading materialise sweep --partition '{session}|{config.name}'{home_flag(settings)}"
        )
