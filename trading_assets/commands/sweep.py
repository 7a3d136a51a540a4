"""`trading sweep`: a parameter sweep on what is on main, and how much of its best set is luck."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import click

from trading.errors import ConfigError
from trading_assets.commands.options import home_flag, home_option, open_home_lake
from trading_assets.commands.progress_bar import progress_bar
from trading_assets.settings import Settings


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Last session. Default: the newest with bars on main.")
@click.option("--ref", default="main@", show_default=True, help="Commit, tag or branch to read bars at.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the artefacts. Default: <home>/sweeps/<name>/<session>.",
)
@home_option
def sweep(file: Path, as_of: dt.datetime | None, ref: str, out: Path | None, settings: Settings) -> None:
    """Replay every parameter set of FILE (configs/sweeps/NAME.yml) and examine the best one."""
    from resources.lake.reading import Snapshot
    from trading_assets.bars import BAR_ASSETS
    from trading_assets.configured import sweep_file
    from trading_assets.configured import variant as load_variant
    from trading_assets.history import History
    from trading_assets.sweeping import compute_sweep

    config = sweep_file(file)
    lake = open_home_lake(settings)
    history = History(Snapshot(lake, lake.resolve(ref)))
    bars_asset = BAR_ASSETS[load_variant(settings, config.variant).timeframe]
    known = history.sessions(bars_asset)
    if not known:
        raise ConfigError(f"home {settings.home} has no {bars_asset} at {ref}: materialise them first")
    session = as_of.date() if as_of else known[-1]
    with progress_bar(f"sweep {config.name}") as advance:
        made = compute_sweep(settings, history, config, session, advance)
    folder = out or settings.home / "sweeps" / config.name / session.isoformat()
    written = _write(folder, made.files)
    click.echo(made.report)
    click.echo(f"from commit {history.pinned[:16]}, in {folder}: {', '.join(written)}")
    if file.resolve().parent == (settings.configs / "sweeps").resolve():
        click.echo(
            f"To publish it: trading materialise sweep --partition '{session}|{config.name}'{home_flag(settings)}"
        )


def _write(folder: Path, files: Mapping[str, object]) -> list[str]:
    import polars as pl

    from resources.lake.layout import DATA_FILE, encode_frame

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in sorted(files.items()):
        shown = "results.parquet" if name == DATA_FILE else name
        data = encode_frame(content) if isinstance(content, pl.DataFrame) else content
        assert isinstance(data, bytes)
        partial = folder / f".{shown}.part"
        partial.write_bytes(data)
        partial.replace(folder / shown)
        written.append(shown)
    return sorted(written)
