"""`trading broker`: the simulated broker as a process of its own."""

import signal
import threading

import click

from trading_assets.commands.options import home_option
from trading_assets.settings import Settings


@click.group()
def broker() -> None:
    """Brokers that run beside the platform."""


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
    from trading_assets.configured import account as load_account
    from trading_assets.definitions import configured_resources

    where = address or load_account(settings, account).broker_address
    if where is None:
        raise ConfigError(f"account {account} has no broker_address; set one, or give --address")
    state = configured_resources(settings)["brokers"].state_of(account)
    server = broker_server(state, BrokerAddress.parse(where), executions_per_fill=executions_per_fill)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    click.echo(f"broker of account {account} at {listening_at(server)}, state {state} (Ctrl-C ends it)")
    server.serve_forever(poll_interval=0.2)
    server.server_close()
