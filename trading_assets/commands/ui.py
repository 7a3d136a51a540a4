"""`trading ui`: the webserver and the daemon on one home."""

import os
import subprocess
import sys

import click

from trading_assets.code_version import ROOT
from trading_assets.commands.options import home_option
from trading_assets.runs import prepare_dagster_home
from trading_assets.settings import Settings


@click.command()
@home_option
@click.option("--port", default=3000, show_default=True, help="Port of the UI on 127.0.0.1.")
@click.option("--host", default="127.0.0.1", show_default=True)
def ui(settings: Settings, port: int, host: str) -> None:
    """Serve the Dagster UI with its daemon until Ctrl-C. Sensors run; schedules run once they are turned on in the UI."""
    prepare_dagster_home(settings)
    click.echo(f"home {settings.home}\nopen http://{host}:{port} (Ctrl-C ends it)")
    environment = {
        **os.environ,
        "TRADING_HOME": str(settings.home),
        "DAGSTER_HOME": str(settings.dagster_home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    command = [
        sys.executable,
        "-m",
        "dagster",
        "dev",
        "-w",
        str(ROOT / "workspace.yaml"),
        "-h",
        host,
        "-p",
        str(port),
    ]
    try:
        sys.exit(subprocess.call(command, env=environment, cwd=ROOT))
    except KeyboardInterrupt:
        sys.exit(0)
