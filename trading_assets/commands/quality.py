"""`trading quality`: the quality job in this process, and what it found."""

import sys

import click

from trading_assets.commands.options import home_option
from trading_assets.commands.progress_bar import progress_bar
from trading_assets.settings import Settings


@click.command()
@click.option("--all", "all_sessions", is_flag=True, help="Judge the whole history, not only the newest sessions.")
@home_option
def quality(all_sessions: bool, settings: Settings) -> None:
    """Judge the warehouse by its quality suites and write the data docs. Rings nothing."""
    from resources.configurable import ClockResource
    from trading_assets.definitions import configured_resources
    from trading_assets.quality import judge_warehouse, quality_pages, quality_plan

    plan = quality_plan(settings)
    lake = configured_resources(settings)["lake"]
    with progress_bar("judging") as advance:
        outcome = judge_warehouse(
            settings,
            plan,
            lake,
            ClockResource(),
            newest=None if all_sessions else plan.sessions,
            progress=lambda _, done, of: advance(done, of),
        )
    for judged in outcome.suites:
        if judged.skipped:
            click.echo(f"{judged.suite}: skipped, {judged.skipped}")
        elif judged.passed:
            click.echo(f"{judged.suite}: {judged.rows} rows as expected")
        for verdict in judged.failed:
            error = verdict.expectation.severity == "error"
            click.secho(f"{judged.suite}: {verdict}", fg="red" if error else "yellow")
    click.echo(f"pages: {quality_pages(settings) / 'index.html'}")
    if any(judged.failed and judged.severity == "error" for judged in outcome.suites):
        sys.exit(1)
