"""`trading ledger`: look into the record of orders and money."""

import sys

import click

from trading_assets.commands.options import home_option
from trading_assets.settings import Settings


@click.group()
def ledger() -> None:
    """The append-only ledger."""


@ledger.command()
@home_option
def verify(settings: Settings) -> None:
    """Follow the hash chain of every table; status 1 where a row was changed, removed or moved."""
    from resources.ledger import Ledger

    opened = Ledger(settings.ledger_url)
    problems = opened.verify()
    for problem in problems:
        click.secho(str(problem), fg="red")
    if problems:
        sys.exit(1)
    for table, (rows, head) in opened.heads().items():
        click.echo(f"{table}: {rows} rows, head {head[:16] or 'empty'}")
    click.echo("every row is as it was written")


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
