"""`trading download`: what a long backfill needs from a vendor, brought here before it, with the time left."""

import datetime as dt

import click

from trading.errors import ConfigError
from trading_assets.commands.options import home_option
from trading_assets.commands.progress_bar import progress_bar
from trading_assets.settings import Settings

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("universe", required=False)
@click.option("--from", "first", type=_DAY, required=True, help="First session.")
@click.option("--to", "last", type=_DAY, required=True, help="Last session.")
@click.option("--daily", is_flag=True, help="The vendor's daily bars instead of minutes.")
@home_option
def download(universe: str | None, first: dt.datetime, last: dt.datetime, daily: bool, settings: Settings) -> None:
    """Bring here what UNIVERSE (default: the only one) needs for the sessions of a range.

    What has arrived stays: a download that was stopped goes on where it was, and m1_raw and d1_raw of those sessions ask for
    nothing that came less than the vendor's `fresh_hours` ago.
    """
    from resources.clock import SystemClock
    from resources.configurable import SourcesResource
    from trading.sessions import get_calendar
    from trading_assets.universes import load_universes

    universes = load_universes(settings)
    if universe is None and len(universes.all) > 1:
        raise click.UsageError(f"name one of the universes: {', '.join(chosen.name for chosen in universes.all)}")
    chosen = universes.named(universe) if universe else universes.all[0]
    config = chosen.daily if daily else chosen.source
    if config is None:
        raise ConfigError(f"universe {chosen.name} has no {'daily' if daily else 'source'}; add it to its file")
    sessions = get_calendar(chosen.calendar).sessions(first.date(), last.date())
    if not sessions:
        raise click.UsageError(f"{chosen.calendar} has no session from {first:%Y-%m-%d} to {last:%Y-%m-%d}")
    source = SourcesResource(home=str(settings.home)).open(
        chosen.name, config, calendar=chosen.calendar, symbols=chosen.symbols, clock=SystemClock().now
    )
    with progress_bar(source.name) as progress:
        source.fetch(sessions, lambda done, total, _: progress(done, total))
    for problem in source.problems():
        click.secho(f"left out: {problem}", fg="yellow", err=True)
    click.echo(f"{source.name}: {len(sessions)} sessions, {sessions[0]} to {sessions[-1]}, are here")
