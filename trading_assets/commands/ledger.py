"""`trading ledger`: look into the record of orders and money."""

import datetime as dt
import json
import sys
from pathlib import Path

import click

from trading.errors import ConfigError
from trading_assets.commands.options import home_option
from trading_assets.settings import Settings


@click.group()
def ledger() -> None:
    """The append-only ledger."""


@ledger.command()
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Heads that were kept elsewhere, as `trading ledger heads` prints them.",
)
@home_option
def verify(against: Path | None, settings: Settings) -> None:
    """Follow the hash chain of every table; status 1 where a row was changed, removed, inserted or moved.

    The chain alone cannot tell a ledger that was written anew as a whole, nor one whose newest rows were cut off together with
    their checkpoints. With --against it can, for all that was there when the heads were noted.
    """
    from resources.ledger import Ledger

    opened = Ledger(settings.ledger_url)
    problems = opened.verify(None if against is None else _kept(against))
    for problem in problems:
        click.secho(str(problem), fg="red")
    if problems:
        click.secho(_WHAT_TO_DO, err=True)
        sys.exit(1)
    for table, (rows, head) in opened.heads().items():
        click.echo(f"{table}: {rows} rows, head {head[:16] if rows else 'empty'}")
    click.echo("every row is as it was written" + ("" if against is None else f", and as {against} knows it"))


_WHAT_TO_DO = (
    "do not trade on: trading kill --by NAME --reason TEXT; keep the database as it is for whoever looks into it, and compare it "
    "with a backup. Tables that are only `unprotected`: trading ledger migrate"
)


def _kept(file: Path) -> dict[str, tuple[int, str]]:
    try:
        return {str(table): (int(rows), str(head)) for table, (rows, head) in json.loads(file.read_text()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{file} must hold what `trading ledger heads` printed: {error}") from None


@ledger.command()
@home_option
def heads(settings: Settings) -> None:
    """Print number of rows and last hash of every table as JSON: keep it where whoever could change the ledger cannot."""
    from resources.ledger import Ledger

    click.echo(json.dumps(Ledger(settings.ledger_url).heads(), indent=1, sort_keys=True))


@ledger.command()
@home_option
def migrate(settings: Settings) -> None:
    """Bring the schema to the newest revision and put the append-only triggers in place; safe to repeat.

    Every command that opens an older ledger does the former by itself.
    """
    from resources.ledger import Ledger
    from resources.ledger.migration import NEWEST

    opened = Ledger(settings.ledger_url)
    opened.protect()
    before = opened.upgraded_from or "nothing"
    click.echo(f"revision {NEWEST}" + ("" if before == NEWEST else f", from {before}") + "; every table is append only")


@ledger.command()
@click.option("--account", help="Only this account.")
@click.option("--session", type=click.DateTime(["%Y-%m-%d"]), help="As of this session; default: the newest.")
@home_option
def portfolio(account: str | None, session: dt.datetime | None, settings: Settings) -> None:
    """Worth and positions of each account, computed again from its fills; status 1 where they were recorded otherwise."""
    from resources.ledger import Ledger
    from trading_assets.configured import account as load
    from trading_assets.configured import account_names
    from trading_assets.portfolio import portfolio_lines

    opened = Ledger(settings.ledger_url)
    sound = True
    for name in [account] if account else account_names(settings):
        for line in portfolio_lines(opened, load(settings, name), None if session is None else session.date()):
            sound &= not line.wrong
            click.secho(line.text, fg="red" if line.wrong else None)
    if not sound:
        sys.exit(1)


@ledger.command()
@click.option("--account", help="Only this account.")
@click.option("--limit", default=20, show_default=True)
@home_option
def orders(account: str | None, limit: int, settings: Settings) -> None:
    """The newest orders and their state."""
    from resources.ledger import Ledger
    from trading_assets.configured import account_names

    opened = Ledger(settings.ledger_url)
    for name in [account] if account else account_names(settings):
        for intent in opened.intents(None, name)[-limit:]:
            state = opened.state_of(intent.idempotency_key)
            click.echo(
                f"{intent.order_ref}  {intent.session}  {intent.variant:<20} {'buy ' if intent.side > 0 else 'sell'} "
                f"{intent.qty:>8g} {intent.symbol:<6} at {intent.entry:<10g} {state.value if state else 'unknown'}"
            )
