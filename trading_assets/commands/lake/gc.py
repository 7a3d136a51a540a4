"""`trading lake gc`: remove what nothing reaches any more, after saying what that is."""

import datetime as dt
import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from trading_assets.commands.options import home_option, open_home_lake
from trading_assets.commands.tables import aligned, counted, size_text
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.lake import Lake
    from resources.lake.embedded import GcReport


@click.command()
@click.option(
    "--days",
    type=click.IntRange(min=0),
    help="Keep what main had within this many days. Default: the setting storage.retention_days.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go, remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@home_option
def gc(days: int | None, dry_run: bool, yes: bool, settings: Settings) -> None:
    """Remove content that no branch, no tag and no commit within the window reaches.

    On a terminal it first shows what would go, and asks.
    """
    from resources.clock import SystemClock
    from resources.lake.upkeep import Maintainable

    lake = open_home_lake(settings)
    if not isinstance(lake, Maintainable):
        raise click.UsageError(
            f"{lake.uri} is a server that collects by itself: set its retention there (lakectl gc set-config) and run lakeFS's "
            "own garbage collection. Nothing was removed"
        )
    window = dt.timedelta(days=settings.storage.retention_days if days is None else days)
    horizon = SystemClock().now() - window
    if dry_run or (sys.stdin.isatty() and not yes):
        click.echo("\n".join(_lines(lake, lake.gc(window, dry_run=True), horizon)))
        if dry_run or not click.confirm("Remove it?", default=False):
            click.echo("nothing was removed")
            return
    click.echo("\n".join(_lines(lake, lake.gc(window), horizon)))


def _lines(lake: "Lake", report: "GcReport", horizon: dt.datetime) -> Iterator[str]:
    goes = "would go" if report.dry_run else "gone"
    yield f"window: what main had since {horizon:%Y-%m-%d %H:%M}Z stays"
    yield goes
    yield from aligned(
        [
            (
                "objects",
                f"{report.objects:,}",
                size_text(report.object_bytes),
                "no ref, no commit of the window, nothing staged",
            ),
            ("tree nodes", f"{report.nodes:,}", "", "of commits that go"),
            (
                "commits expired",
                f"{report.commits_expired:,}",
                "",
                "their record stays, their content cannot be opened any more",
            ),
            ("commits removed", f"{report.commits_deleted:,}", "", "no branch or tag leads to them"),
            ("temporary files", f"{report.temporary_files:,}", "", "left by writers that were killed"),
        ],
        right={1, 2},
        indent="  ",
    )
    if report.unknown_files:
        yield (
            f"  left alone: {counted(len(report.unknown_files), 'file')} below objects/ that no lake made, "
            f"{report.unknown_files[0]} first"
        )
    branches, tags = lake.list_branches(), lake.list_tags()
    kinds = Counter(name.partition("-")[0] if "-" in name else "others" for name in tags)
    newer = sum(1 for _ in _within(lake, horizon))
    yield "stays"
    yield from aligned(
        [
            ("objects", f"{report.kept_objects:,}", size_text(report.kept_bytes)),
            ("branches", f"{len(branches):,}", ", ".join(list(branches)[:6]) + (", ..." if len(branches) > 6 else "")),
            ("tags", f"{len(tags):,}", ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items()))),
            ("commits of main", f"{newer:,}", "made within the window"),
        ],
        right={1},
        indent="  ",
    )
    if report.oldest_kept is not None:
        yield f"  the oldest commit that can still be opened: {report.oldest_kept:%Y-%m-%d %H:%M}Z"


def _within(lake: "Lake", horizon: dt.datetime) -> Iterator[None]:
    for commit in lake.log("main", first_parent=True):
        if commit.created < horizon:
            return
        yield None
