"""`trading revisions`: sessions whose bars came again with other values, what differs, and who used the old ones."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import polars as pl

from trading_assets.commands.options import home_option, open_home_lake
from trading_assets.commands.progress_bar import progress_bar
from trading_assets.commands.tables import aligned, counted, print_frame
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.lake.reading import Snapshot
    from trading_assets.old_bars import OldBarsUsers

_SHORT = 12
_DAY = click.DateTime(["%Y-%m-%d"])


@click.group(invoke_without_command=True)
@click.option("--since", type=_DAY, help="Only revisions that came on this day (UTC) or later.")
@click.option("--symbol", help="Only revisions of this Symbol.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a revision.")
@home_option
@click.pass_context
def revisions(
    context: click.Context, since: dt.datetime | None, symbol: str | None, as_json: bool, settings: Settings
) -> None:
    """Sessions whose bars came again with other values, the newest revision first."""
    if context.invoked_subcommand is not None:
        return
    found = _listed(settings, since, symbol)
    if as_json:
        for row in found.iter_rows(named=True):
            click.echo(json.dumps(_plain(row)))
        return
    if found.is_empty():
        click.echo("no revision" + (" that fits" if since or symbol else " of any session"))
        return
    head = ("session", "revision", "came at", "rows", "Symbols", "largest", "run")
    rows = [
        (
            str(row["session"]),
            str(row["revision"]),
            f"{row['revised_at']:%Y-%m-%d %H:%M:%S}Z",
            _rows_text(row),
            str(row["symbols"]),
            _bps(row["largest_bps"]),
            row["run_id"][:8],
        )
        for row in found.iter_rows(named=True)
    ]
    for line in aligned([head, *rows], right={1, 4, 5}):
        click.echo(line)
    click.echo(f"{counted(found.height, 'revision')}; trading revisions show SESSION has the rows")


@revisions.command()
@click.argument("session", type=_DAY)
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all rows to this file.")
@click.option(
    "--rows", default=20, show_default=True, type=click.IntRange(min=0), help="Rows to print of each revision."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all rows.")
@home_option
def show(session: dt.datetime, csv_file: Path | None, rows: int, as_json: bool, settings: Settings) -> None:
    """Which values of SESSION's bars differ, revision by revision, and what brought them."""
    from trading_assets.revisions import revisions as of_session

    found = of_session(_head(settings), session.date())
    if found is None:
        raise click.UsageError(f"session {session:%Y-%m-%d} has no bars in this lake")
    overview, differences = found
    if csv_file is not None:
        differences.write_csv(csv_file)
        click.echo(f"{counted(differences.height, 'row')} written to {csv_file}", err=as_json)
    if as_json:
        content = [
            {**_plain(row), "differences": _records(differences.filter(pl.col("revision") == row["revision"]))}
            for row in overview.iter_rows(named=True)
        ]
        click.echo(json.dumps({"session": f"{session:%Y-%m-%d}", "revisions": content}))
        return
    if overview.is_empty():
        click.echo(f"session {session:%Y-%m-%d} was delivered once: no revision")
    for row in overview.iter_rows(named=True):
        of_revision = differences.filter(pl.col("revision") == row["revision"])
        for line in _head_lines(row):
            click.echo(line)
        if rows and of_revision.height:
            bps = ((pl.col("new") / pl.col("old") - 1) * 10_000).round(1).alias("bps")
            print_frame(of_revision.head(rows).drop("session", "revision").with_columns(bps), rows=rows)
        if rows and of_revision.height > rows:
            click.echo(f"... and {counted(of_revision.height - rows, 'value')} more; --csv FILE writes all")


@revisions.command()
@click.argument("session", type=_DAY)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@home_option
def used(session: dt.datetime, as_json: bool, settings: Settings) -> None:
    """Backtests, promotion decisions and orders that rest on older bars of SESSION than stand now."""
    from resources.ledger import Ledger
    from trading_assets.old_bars import confirmations, users_of_old_bars
    from trading_assets.runs import configured_instance

    lake = open_home_lake(settings)
    with configured_instance(settings) as instance, progress_bar("commits") as progress:
        found = users_of_old_bars(
            lake,
            Ledger(settings.ledger_url),
            session.date(),
            confirmed=confirmations(instance),
            progress=progress,
        )
    if as_json:
        click.echo(json.dumps(found.as_dict()))
        return
    for line in _used_lines(found):
        click.echo(line)


def _head(settings: Settings) -> "Snapshot":
    from resources.lake.reading import Snapshot

    lake = open_home_lake(settings)
    return Snapshot(lake, lake.resolve("main@"))


def _listed(settings: Settings, since: dt.datetime | None, symbol: str | None) -> pl.DataFrame:
    from trading_assets.revisions import DATASET, OVERVIEW, OVERVIEW_FILE

    snapshot = _head(settings)
    if not snapshot.partitions(DATASET, OVERVIEW_FILE):
        return pl.DataFrame(schema=dict(OVERVIEW))
    found = snapshot.scan(DATASET, file=OVERVIEW_FILE)
    if since is not None:
        found = found.filter(pl.col("revised_at") >= since.replace(tzinfo=dt.UTC))
    if symbol is not None:
        of_symbol = snapshot.scan(DATASET).filter(pl.col("Symbol") == symbol).select("session", "revision").unique()
        found = found.join(of_symbol, on=["session", "revision"], how="semi")
    return found.sort("revised_at", "session", "revision", descending=True).collect()


def _rows_text(row: dict[str, Any]) -> str:
    if not row["compared"]:
        return "not comparable any more"
    counts = [(row[f"rows_{kind}"], kind) for kind in ("changed", "added", "removed")]
    return ", ".join(f"{count:,} {kind}" for count, kind in counts if count) or "the same in other encoding"


def _bps(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} bps"


def _head_lines(row: dict[str, Any]) -> Iterator[str]:
    moved = f", prices by up to {_bps(row['largest_bps'])}" if row["largest_bps"] is not None else ""
    yield (
        f"session {row['session']}, revision {row['revision']} of {row['revised_at']:%Y-%m-%d %H:%M:%S}Z: {_rows_text(row)} "
        f"of {counted(row['symbols'], 'Symbol')}{moved}"
    )
    yield f"  commit {row['commit_before'][:_SHORT]} to {row['commit_after'][:_SHORT]} by run {row['run_id'][:8]}"
    for name, (before, after) in json.loads(row["files"]).items():
        sides = [digest[:_SHORT] if digest else "not there" for digest in (before, after)]
        yield f"  {name}: SHA-256 {sides[0]} to {sides[1]}"
    if row["code_before"] != row["code_after"]:
        yield f"  code {row['code_before']} to {row['code_after']}"


def _used_lines(found: "OldBarsUsers") -> Iterator[str]:
    if found.versions < 2:
        was = "was delivered once" if found.versions else "has no bars in this lake"
        yield f"session {found.session} {was}: nothing rests on older bars of it"
        return
    yield f"session {found.session}, {found.versions} versions, the newest by commit {found.newest_commit[:_SHORT]}"
    sections: dict[str, list[tuple[str, ...]]] = {
        "backtest": [
            (one.variant, f"as of {one.session}", one.horizon, one.commit[:_SHORT]) for one in found.backtests
        ],
        "decision": [
            (
                one.decision_id[:_SHORT],
                one.variant,
                f"as of {one.session}",
                f"{one.from_stage} to {one.to_stage}",
                f"{counted(one.orders, 'order')} on its strength",
            )
            for one in found.decisions
        ],
        "order": [
            (one.order_ref, one.account, one.variant, str(one.session), one.symbol, one.state) for one in found.orders
        ],
    }
    for noun, rows in sections.items():
        yield f"{counted(len(rows), noun)} with older bars"
        yield from aligned(rows, indent="  ") if rows else ()
    if found.backtests:
        yield "materialise what is stale from m5_bars to backtest, and the backtests leave this list"


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the overview as JSON has it."""
    shown = {name: value.isoformat() if isinstance(value, dt.date) else value for name, value in row.items()}
    return {**shown, "files": json.loads(row["files"])}


def _records(frame: pl.DataFrame) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(frame.drop("session", "revision").write_json())
    return found
