"""`trading reconcile`: broker against ledger, now."""

import sys
from contextlib import closing
from typing import TYPE_CHECKING

import click

from trading.errors import TradingError
from trading_assets.commands.options import home_option
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.reconcile import Reconciliation
    from trading.accounts import AccountConfig


@click.command()
@click.argument("account", required=False)
@click.option(
    "--policy",
    type=click.Choice(["adopt", "protect", "flatten", "halt"]),
    help="What to do about differences. Default: the account's reconcile_policy.",
)
@home_option
def reconcile(account: str | None, policy: str | None, settings: Settings) -> None:
    """Compare ACCOUNT's broker (default: every account's) with the ledger: positions, orders, exits, executions.

    Takes in what the broker has told meanwhile, records and rings what differs, and acts by the policy. Status 1 where a
    difference is left, or a broker does not answer.
    """
    from resources.clock import SystemClock
    from resources.ledger import Ledger
    from resources.reconcile import reconcile_now
    from trading_assets.configured import account as load_account
    from trading_assets.configured import account_names
    from trading_assets.definitions import configured_resources
    from trading_assets.difference_alerts import difference_alert

    resources = configured_resources(settings)
    ledger, alerts, failed = Ledger(settings.ledger_url), resources["alerts"].open(), False
    for name in [account] if account else account_names(settings):
        try:
            config = load_account(settings, name)
            if policy is not None:
                config = config.model_copy(update={"reconcile_policy": policy})
            with closing(resources["brokers"].open(config)) as broker:
                outcome = reconcile_now(ledger, broker, config, SystemClock().now())
        except TradingError as error:
            click.secho(f"account {name}: {error}", fg="red", err=True)
            failed = True
            continue
        _say(config, outcome)
        if outcome.found:
            alerts.send(difference_alert(name, SystemClock().now(), outcome.found, outcome.left))
        failed |= not outcome.clean
    if failed:
        sys.exit(1)


def _say(config: "AccountConfig", outcome: "Reconciliation") -> None:
    for difference in outcome.found:
        click.secho(f"account {config.name}: {difference.kind} {difference.order_ref}: {difference.says}", fg="yellow")
    for action in outcome.actions:
        click.echo(f"account {config.name}: {config.reconcile_policy}: {action}")
    for difference in outcome.left:
        click.secho(f"account {config.name}: left: {difference.kind} {difference.order_ref}", fg="red")
    if outcome.clean:
        click.echo(f"account {config.name}: broker and ledger agree")
