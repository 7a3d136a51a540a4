"""`trading metrics`: orders and money for Prometheus."""

import threading
from pathlib import Path

import click

from trading_assets.commands.options import home_option
from trading_assets.settings import Settings


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Serve them at http://HOST:PORT/metrics until Ctrl-C.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--textfile",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write them once into this file, for the node exporter's textfile collector.",
)
@home_option
def metrics(settings: Settings, port: int | None, host: str, textfile: Path | None) -> None:
    """Print orders sent, fills, refusals, realised PnL, latencies and switches in Prometheus' text format; or serve, or write
    them.
    """
    from prometheus_client import generate_latest, start_http_server

    from resources.ledger import Ledger
    from resources.metrics import order_registry, write_metrics

    ledger = Ledger(settings.ledger_url)
    if textfile is not None:
        write_metrics(ledger, textfile)
    elif port is None:
        click.echo(generate_latest(order_registry(ledger)).decode(), nl=False)
    else:
        server, _ = start_http_server(port, host, registry=order_registry(ledger))
        click.echo(f"http://{host}:{server.server_port}/metrics (Ctrl-C ends it)")
        threading.Event().wait()
