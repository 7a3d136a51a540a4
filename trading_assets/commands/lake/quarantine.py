"""`trading lake quarantine`: what was refused and is not mended yet."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from trading_assets.commands.options import home_flag, home_option, open_home_lake
from trading_assets.commands.tables import aligned, counted, size_text
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.lake import Lake
    from resources.lake.quarantine import Refusal


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also what was published anew since.")
@home_option
def quarantine(everything: bool, settings: Settings) -> None:
    """Refused partitions, newest first, with the reason; those that were published since are left out."""
    from resources.lake.quarantine import mended_by, refusals

    lake = open_home_lake(settings)
    found = [(refused, mended_by(lake, refused)) for refused in refusals(lake)]
    shown = [(refused, mended) for refused, mended in found if everything or not mended]
    for refused, mended in shown:
        state = f"mended by {mended[:12]}" if mended else "open"
        click.secho(refused.tag, bold=True)
        rows = f", {counted(sum(refused.rows.values()), 'row')}" if refused.rows else ""
        click.echo(
            f"  {refused.where or 'partition not known'}{rows}, {refused.refused_at:%Y-%m-%d %H:%M:%S}Z, {state}"
        )
        click.echo(f"  {(refused.reason or NO_REASON).splitlines()[0]}")
    hidden = len(found) - len(shown)
    if not shown:
        click.echo(f"nothing is refused and open{f'; {hidden} mended since: --all' if hidden else ''}")
    else:
        click.echo(f"\nlook into one: trading lake show TAG{home_flag(settings)}")


NO_REASON = (
    "its commit does not say why: main had this content already when it was refused. The run's log has the reason"
)


def refusal_lines(lake: "Lake", refused: "Refusal", settings: Settings) -> Iterator[str]:
    """Everything on one refusal: where, why, the first bad rows, the files, and the commands that go on from here."""
    from resources.lake.quarantine import mended_by

    flag, tag = home_flag(settings), refused.tag
    mended = mended_by(lake, refused)
    state = f"published since, by commit {mended[:12]}" if mended else "main has not changed there since"
    yield from aligned(
        [
            ("refused", refused.where or "partition not known"),
            ("state", state if refused.dataset else "not known"),
            ("tag", tag),
            ("commit", refused.commit_id),
            ("when", f"{refused.refused_at:%Y-%m-%d %H:%M:%S}Z"),
            ("run", refused.run_id or "not known"),
        ]
    )
    yield "reason"
    yield from (f"  {line}" for line in (refused.reason or NO_REASON).splitlines())
    if not refused.files:
        return
    yield "files"
    for file in refused.files:
        rows = refused.rows.get(file.path.rpartition("/")[2])
        count = "" if rows is None else f"{counted(rows, 'row')}, "
        yield f"  {file.path}  {count}{size_text(file.size)}"
        yield f"    {lake.local_path(refused.commit_id, file.path)}"
    yield "go on"
    first = next(iter(refused.parquet_files), refused.files[0])
    yield f"  trading lake show {tag} {first.path}{flag}"
    if refused.parquet_files:
        yield f"  trading query 'SELECT * FROM refused LIMIT 20' --as-of {tag}{flag}"
    yield f"  trading lake diff main@ {tag} --prefix {refused.where}/{flag}"
