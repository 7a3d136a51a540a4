"""`trading broker`: the simulated broker as a process of its own; a look at a running gateway."""

import signal
import sys
import threading

import click

from trading_assets.commands.options import home_option
from trading_assets.settings import Settings


@click.group()
def broker() -> None:
    """Brokers beside the platform."""


@broker.command()
@click.argument("account")
@click.option("--address", help="unix:/path/of/socket or tcp://127.0.0.1:PORT. Default: the account's broker_address.")
@click.option(
    "--executions-per-fill",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Tell fills in so many parts.",
)
@home_option
def simulate(account: str, address: str | None, executions_per_fill: int, settings: Settings) -> None:
    """Run ACCOUNT's simulated broker until Ctrl-C. It keeps its state where the embedded one does, <home>/broker/ACCOUNT.db."""
    from resources.brokers.simulated import BrokerAddress, broker_server, listening_at
    from trading.errors import ConfigError
    from trading.replay.ready import make_ready
    from trading_assets.configured import account as load_account
    from trading_assets.definitions import configured_resources

    where = address or load_account(settings, account).broker_address
    if where is None:
        raise ConfigError(f"account {account} has no broker_address; set one, or give --address")
    state = configured_resources(settings)["brokers"].state_of(account)
    make_ready()
    server = broker_server(state, BrokerAddress.parse(where), executions_per_fill=executions_per_fill)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    click.echo(f"broker of account {account} at {listening_at(server)}, state {state} (Ctrl-C ends it)")
    server.serve_forever(poll_interval=0.2)
    server.server_close()


@broker.command()
@click.argument("account")
@click.option("--symbol", default="SPY", show_default=True, help="Whose contract and market data are asked for.")
@home_option
def check(account: str, symbol: str, settings: Settings) -> None:
    """Look at the TWS or IB Gateway of ACCOUNT: port, account, mode, clock, orders, money, contract, market data.

    Nothing is ordered. Status 1 where something is wrong, with the cure beside it.
    """
    import os

    from resources.brokers.ibkr.inspection import inspect
    from resources.clock import SystemClock
    from trading.errors import ConfigError
    from trading_assets.configured import account as load_account

    config = load_account(settings, account)
    if config.broker != "ibkr":
        raise ConfigError(f"account {account} has broker {config.broker}; this looks at accounts with broker ibkr")
    wrong = False
    for finding in inspect(config, os.environ, SystemClock().now, symbol):
        click.secho(
            f"{'right' if finding.right else 'WRONG'}  {finding.what}: {finding.says}",
            fg=None if finding.right else "red",
        )
        wrong |= not finding.right
    if wrong:
        sys.exit(1)


@broker.command(name="try")
@click.argument("account")
@click.option("--symbol", default="SPY", show_default=True)
@click.option("--entry", type=float, required=True, help="Level of the buy stop, far above the market.")
@click.option("--stop", type=float, required=True, help="Level of its stop-loss.")
@click.option("--target", type=float, help="Level of its target.")
@click.option("--variant", help="Book of the account that it belongs to. Default: the first.")
@click.option("--keep", is_flag=True, help="Leave it at the broker until it is cancelled or the session ends.")
@home_option
def try_bracket(
    account: str,
    symbol: str,
    entry: float,
    stop: float,
    target: float | None,
    variant: str | None,
    keep: bool,
    settings: Settings,
) -> None:
    """Place a bracket of one unit at ACCOUNT's Interactive Brokers and take it back. Mode paper only.

    It goes into the ledger before it is sent, and the kill switch stops it; the other pre-trade gates are not asked.
    """
    from contextlib import closing

    from resources.clock import SystemClock
    from resources.first_bracket import first_bracket
    from resources.ledger import Ledger
    from trading_assets.configured import account as load_account
    from trading_assets.definitions import configured_resources

    config = load_account(settings, account)
    with closing(configured_resources(settings)["brokers"].open(config)) as opened:
        said = first_bracket(
            config, opened, Ledger(settings.ledger_url), SystemClock().now(), symbol=symbol, entry=entry, stop=stop,
            target=target, variant=variant, keep=keep,
        )  # fmt: skip
    for line in said:
        click.echo(line)
