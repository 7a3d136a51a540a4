"""`trading status`, `kill`, `resume`: what an operator does in a hurry."""

import sys

import click

from trading.errors import TradingError
from trading_assets.commands.options import home_option
from trading_assets.settings import Settings


@click.command()
@home_option
def status(settings: Settings) -> None:
    """Stages, kill switches, open orders and positions of every account."""
    from resources.ledger import Ledger
    from trading_assets.configured import readable_accounts, variant_names
    from trading_assets.definitions import configured_resources
    from trading_assets.portfolio import worth_lines
    from trading_assets.stages import stage_at

    ledger = Ledger(settings.ledger_url)
    for name in variant_names(settings):
        standing = stage_at(settings, ledger, name)
        since = f" since session {standing.since}" if standing.since else ""
        click.echo(f"variant {name}: {standing.stage}{since}, version {standing.strategy_version}")
    switches = ledger.engaged_switches()
    for switch in switches:
        click.secho(f"KILL SWITCH {switch.scope}: {switch.reason} (by {switch.by}, {switch.at})", fg="red")
    if not switches:
        click.echo("kill switch: not engaged")
    brokers = configured_resources(settings)["brokers"]
    configs, wrong = readable_accounts(settings)
    for fault in wrong:
        click.secho(f"account that is not traded: {fault}", fg="red")
    for config in configs:
        name = config.name
        for line in worth_lines(ledger, config):
            click.echo(line)
        try:
            broker = brokers.open(config)
        except TradingError as error:
            click.secho(f"account {name}: {error}", fg="red")
            continue
        working = [order for order in broker.open_orders(name) if order.status == "working"]
        positions = broker.positions(name)
        click.echo(f"account {name}: {len(working)} open orders, {len(positions)} positions")
        for order in working:
            side = "buy" if order.side > 0 else "sell"
            click.echo(f"  order {order.order_ref} {order.variant}: {side} {order.qty:g} {order.symbol}")
        for position in positions:
            click.echo(
                f"  position {position.variant}: {position.side * position.qty:g} {position.symbol} from "
                f"{position.entry_price:.4f}, unrealised {position.unrealised:+.2f}"
            )


@click.command()
@click.argument("scope", default="global")
@click.option("--reason", required=True, help="What happened, for the record.")
@click.option("--by", required=True, help="Your name.")
@click.option("--flatten", is_flag=True, help="Close the positions in scope too.")
@home_option
def kill(scope: str, reason: str, by: str, *, flatten: bool, settings: Settings) -> None:
    """Engage the kill switch for SCOPE: global, account:NAME, variant:NAME or book:ACCOUNT/VARIANT.

    Recorded first, then every open order in scope is cancelled. Positions keep their protective stops, unless --flatten, or
    the account's on_kill, says to close them.
    """
    from resources.clock import SystemClock
    from resources.kill_switch import engage
    from resources.ledger import Ledger
    from trading.ports.alerts import Alert
    from trading_assets.configured import readable_accounts
    from trading_assets.definitions import configured_resources

    brokers = configured_resources(settings)["brokers"]
    configs, unreadable = readable_accounts(settings)
    opened, closed = brokers.open_all(configs)
    wrong = [*unreadable, *closed]
    outcome = engage(
        Ledger(settings.ledger_url),
        opened,
        scope=scope,
        reason=reason,
        by=by,
        at=SystemClock().now(),
        flatten=flatten,
        others=bool(wrong),
    )
    click.echo(str(outcome))
    configured_resources(settings)["alerts"].open().send(
        Alert(
            title=f"Kill switch engaged: {scope}",
            severity="critical",
            at=SystemClock().now(),
            what=f"{reason} (by {by}). {outcome}",
            command=f"trading status; when the cause is mended: trading resume {scope} --by NAME --reason TEXT",
        )
    )
    for fault in wrong:
        click.secho(f"its orders, if any, are not cancelled, look at the broker: {fault}", fg="red", err=True)
    if outcome.still_open:
        click.secho(f"still open at the broker, cancel by hand: {', '.join(outcome.still_open)}", fg="red", err=True)
        sys.exit(1)
    click.echo(f"new orders are refused until: trading resume {scope} --by NAME --reason TEXT")
    if wrong:
        sys.exit(1)


@click.command()
@click.argument("scope", default="global")
@click.option("--reason", required=True, help="Why it is safe again.")
@click.option("--by", required=True, help="Your name.")
@home_option
def resume(scope: str, reason: str, by: str, settings: Settings) -> None:
    """Release the kill switch of SCOPE. Orders that were cancelled stay cancelled."""
    from resources.clock import SystemClock
    from resources.ledger import Ledger

    ledger = Ledger(settings.ledger_url)
    ledger.release(scope, by, reason, SystemClock().now())
    left = ledger.engaged_switches()
    click.echo(f"released {scope}" + (f"; still engaged: {', '.join(item.scope for item in left)}" if left else ""))
