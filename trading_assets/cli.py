"""The `trading` command. Each subcommand's module is imported when it is called, so that `trading --help` is quick."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from trading.errors import TradingError

# command: (module, object, one line)
_COMMANDS = {
    "demo": ("trading_assets.commands.demo", "demo", "run the whole chain, from raw minutes to paper orders"),
    "ui": ("trading_assets.commands.ui", "ui", "serve the Dagster UI of a home"),
    "materialise": (
        "trading_assets.commands.materialise",
        "materialise",
        "materialise assets from the command line",
    ),
    "download": (
        "trading_assets.commands.download",
        "download",
        "bring the bars of a universe here ahead of a backfill",
    ),
    "backtest": (
        "trading_assets.commands.backtest",
        "backtest",
        "replay a run file on the home's bars and write what came of it",
    ),
    "strategy": (
        "trading_assets.commands.strategy",
        "strategy",
        "write a strategy, list all, ask whether one looks ahead",
    ),
    "sweep": (
        "trading_assets.commands.sweep",
        "sweep",
        "replay many parameter sets and see how much of the best is luck",
    ),
    "explain": ("trading_assets.commands.explain", "explain", "from an order back to the raw file's hash"),
    "status": ("trading_assets.commands.operate", "status", "stages, accounts, kill switches, open orders"),
    "kill": (
        "trading_assets.commands.operate",
        "kill",
        "engage the kill switch: cancel open orders, refuse new ones",
    ),
    "resume": (
        "trading_assets.commands.operate",
        "resume",
        "release the kill switch, with a name and a reason",
    ),
    "reconcile": (
        "trading_assets.commands.reconcile",
        "reconcile",
        "compare brokers with the ledger, act on what differs",
    ),
    "broker": ("trading_assets.commands.broker", "broker", "run a simulated broker as a process of its own"),
    "metrics": ("trading_assets.commands.metrics", "metrics", "orders and money for Prometheus"),
    "quality": (
        "trading_assets.commands.quality",
        "quality",
        "judge the warehouse by its quality suites",
    ),
    "lake": ("trading_assets.commands.lake", "lake", "look into the versioned storage"),
    "ledger": ("trading_assets.commands.ledger", "ledger", "look into the record of orders and money"),
    "revisions": (
        "trading_assets.commands.revisions",
        "revisions",
        "bars that came again with other values, and who used the old ones",
    ),
    "query": ("trading_assets.commands.query", "query", "SQL on the warehouse, now or as of a commit"),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in _COMMANDS.items()])


@click.group(cls=_LazyGroup)
@click.version_option(package_name="trading-assets")
def trading() -> None:
    """Systematic trading as Dagster assets. Everything of an installation lives in its home (TRADING_HOME)."""


def main(arguments: Sequence[str] | None = None) -> Any:
    """Entry point: errors that the platform raises on purpose end with their message and status 1, not a traceback."""
    try:
        return trading.main(args=arguments, prog_name="trading", standalone_mode=True)
    except TradingError as error:
        click.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)
    except Exception as error:
        from sqlalchemy.exc import DBAPIError

        if not isinstance(error, OSError | DBAPIError):
            raise
        cause = error.orig if isinstance(error, DBAPIError) else error
        click.secho(
            f"error: storage failed: {cause}. Is the disk full, the home writable, the database up? What was published "
            "and recorded is safe: mend the cause and run the same command again",
            fg="red",
            err=True,
        )
        sys.exit(1)
