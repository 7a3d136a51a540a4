"""`trading backtest`: a run file replayed on the bars of a home, with the artefacts of the asset `backtest`."""

import datetime as dt
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trading.promotion.horizons import HORIZONS
from trading_assets.commands.as_of import as_of_session, home_market
from trading_assets.commands.options import home_option
from trading_assets.commands.progress_bar import progress_bar
from trading_assets.commands.tables import aligned
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from trading.lab.artefacts import Artefacts, BacktestRun, MakeExtra
    from trading.promotion.horizons import Horizon
    from trading_assets.backtest_runs import BacktestInputs

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("run_file", type=click.Path(path_type=Path), metavar="RUN_FILE")
@click.option("--as-of", type=_DAY, help="Session to replay up to. Default: the newest with bars and universe.")
@click.option(
    "--horizon",
    "horizons",
    type=click.Choice(HORIZONS),
    multiple=True,
    help="How far to go back; may be given several times. Default: all.",
)
@click.option("--at", "ref", default="main", show_default=True, help="Commit, tag or branch of the lake to read.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the artefacts. Default: <home>/backtests/<variant>/<as-of>.",
)
@click.option(
    "--vectorbt",
    "with_vectorbt",
    is_flag=True,
    help="Have vectorbt trade it too and compare every trade, and add its statistics and page.",
)
@home_option
def backtest(
    run_file: Path,
    as_of: dt.datetime | None,
    horizons: tuple["Horizon", ...],
    ref: str,
    out: Path | None,
    with_vectorbt: bool,
    settings: Settings,
) -> None:
    """Replay RUN_FILE, such as configs/runs/risk1.yml, and write its trades, equity, pictures, metrics and manifest.

    Only bars and the universe must be on main. Of a variant that is materialised, the files are those of its asset.
    """
    from trading.lab.artefacts import EXTRAS
    from trading_assets.backtest_runs import BacktestInputs, backtest_run
    from trading_assets.configured import variant_from
    from trading_assets.parity import vectorbt_extra

    variant = variant_from(run_file)
    market = home_market(settings, ref)
    day = as_of_session(market, variant, as_of.date() if as_of else None)
    chosen = [horizon for horizon in HORIZONS if not horizons or horizon in horizons]
    with progress_bar(f"signals and replays of {variant.name}") as advance:
        inputs = BacktestInputs.made_here(market, variant, day)
        run = backtest_run(inputs, day, chosen, advance)
    folder = out or settings.home / "backtests" / variant.name / day.isoformat()
    extras = list(EXTRAS)
    if with_vectorbt:
        extras.append(lambda made: vectorbt_extra(made, inputs))
    artefacts, written = _write(settings, run, folder, extras)
    _say(settings, run, artefacts, inputs)
    click.echo(f"{len(artefacts.files)} files {'written to' if written else 'as they were in'} {folder}")
    if with_vectorbt:
        _say_parity(artefacts)


def _write(
    settings: Settings, run: "BacktestRun", folder: Path, extras: Sequence["MakeExtra"]
) -> tuple["Artefacts", bool]:
    import polars as pl

    from resources.lake.layout import encode_frame
    from trading.contracts import validate
    from trading.lab.artefacts import NAMES, build_artefacts
    from trading.lab.backtest_contracts import CONTRACTS
    from trading.lab.vectorbt_artefacts import NAMES as VECTORBT
    from trading_assets.folder_of_files import write_folder

    made = build_artefacts(run, timezone=settings.display_timezone, label=settings.label, extras=extras)
    for file, contract in CONTRACTS.items():
        frame = made.files[file]
        assert isinstance(frame, pl.DataFrame)
        validate(frame, contract, where=f"{run.variant.name} as of {run.as_of}")
    content = {
        name: encode_frame(file) if isinstance(file, pl.DataFrame) else file for name, file in made.files.items()
    }
    return made, write_folder(folder, content, known={*NAMES, *VECTORBT})


def _say_parity(artefacts: "Artefacts") -> None:
    """What vectorbt came to; status 1 where a trade differs."""
    trades, differences = artefacts.metadata["parity_trades"], artefacts.metadata["parity_differences"]
    if differences:
        click.secho(f"vectorbt trades otherwise: {differences} differences in parity_differences.parquet", fg="red")
        sys.exit(1)
    click.echo(
        f"vectorbt trades the same: {trades} trades compared" if trades else "vectorbt: there is no trade to compare"
    )


def _say(settings: Settings, run: "BacktestRun", artefacts: "Artefacts", inputs: "BacktestInputs") -> None:
    if settings.label:
        click.secho(settings.label, fg="yellow")
    click.secho(artefacts.label, bold=True)
    signals = "the signals are those on main" if "commits_sha256" in run.inputs["signals"] else "signals made here"
    click.echo(
        f"{run.variant.name} as of session {run.as_of}, bars at commit {inputs.market.history.pinned[:16]}; {signals}"
    )
    rows = [_row(row) for row in artefacts.metrics.iter_rows(named=True)]
    money = f"net PnL {run.currency}"
    head = ("horizon", "sessions", "trades", "win rate", money, "profit/loss", "drawdown", "Sharpe")
    for line in aligned([head, *rows], right=set(range(1, len(head)))):
        click.echo(line)
    if not artefacts.metrics["reaches_back"].all():
        click.echo("* the bars begin later than the horizon")
    if not artefacts.causal:
        click.secho("The strategy looks ahead: its signals change when later bars do. Trust no figure of it.", fg="red")


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    """One horizon's line of the table."""
    return (
        row["horizon"] + ("" if row["reaches_back"] else "*"),
        f"{row['available']} of {row['expected']}",
        str(row["num_trades"]),
        _figure(row["win_rate"]),
        f"{row['net_pnl']:+,.2f}",
        _figure(row["profit_factor"]),
        f"{100 * row['max_drawdown']:.2f} %",
        _figure(row["sharpe"]),
    )


def _figure(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"
