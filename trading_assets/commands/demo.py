"""`trading demo`: run the chain and say what came of it."""

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from trading_assets.demo import DemoResult, default_home, run_demo
from trading_assets.summary import Summary, summarise


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Your own minutes: {SYMBOL}.parquet, {SYMBOL}/{YYYY-MM-DD}.parquet, or CSV. Default: a synthetic market.",
)
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where everything is kept. Default: .trading/demo, or .trading/<name of the data folder>.",
)
def demo(data: Path | None, home: Path | None) -> None:
    """Run everything once: raw minutes, bars, signals, backtests, decisions, paper orders, warehouse, report."""
    console = Console(highlight=False)
    result = run_demo(home or default_home(data), data, console)
    summary = summarise(result.settings)
    console.print()
    console.print(_counts_table(result, summary))
    console.print(_variants_table(summary))
    _say_orders(console, summary)
    _say_published(console, result)
    _say_next(console, result, summary)
    if result.failed:
        sys.exit(1)


def _counts_table(result: DemoResult, summary: Summary) -> Table:
    table = Table(title=result.settings.label, title_justify="left", min_width=50)
    table.add_column("data")
    table.add_column("count", justify="right")
    table.add_column("", style="dim")
    span = f"{summary.sessions[0]} to {summary.sessions[-1]}" if summary.sessions else ""
    table.add_row("sessions", str(len(summary.sessions)), span)
    for name, rows in summary.bars.items():
        table.add_row(name.replace("_", " "), f"{rows:,}", "")
    return table


def _variants_table(summary: Summary) -> Table:
    horizon = max((variant.horizon for variant in summary.variants), default="")
    table = Table(
        title=f"Variants as of the last session; trades and net PnL over {horizon} back", title_justify="left"
    )
    for column in ("variant", "signals", "trades", "net PnL", "decisions", "stage"):
        table.add_column(column, justify="left" if column in ("variant", "stage") else "right")
    for variant in summary.variants:
        table.add_row(
            variant.name,
            str(variant.signals),
            str(variant.trades),
            "none" if variant.net_pnl is None else f"{variant.net_pnl:+.2f} USD",
            str(variant.decisions),
            variant.stage,
        )
    return table


def _say_orders(console: Console, summary: Summary) -> None:
    if not summary.batches:
        console.print("No order: no variant stood on paper before the last session, or none of them had a signal.")
    for batch in summary.batches:
        fates = ", ".join(f"{count} {fate}" for fate, count in sorted(batch.fates.items()))
        total = sum(batch.fates.values())
        console.print(f"Last batch of account {batch.account}: session {batch.session}, {total} orders: {fates}.")
        console.print(f"Account {batch.account} is worth {summary.worth[batch.account]:,.2f} USD on paper.")


def _say_published(console: Console, result: DemoResult) -> None:
    published, unchanged = result.total("published"), result.total("unchanged")
    console.print()
    if published == 0:
        console.print(f"Nothing new: all {unchanged} partitions are as they were, and nothing was sent again.")
    else:
        console.print(f"{published} partitions published, {unchanged} unchanged, in {result.seconds:.0f} s.")
    refused = {key: reason for outcome in result.outcomes for key, reason in outcome.refused.items()}
    for (asset, partition), reason in refused.items():
        console.print(f"[red]refused[/red] {asset} {partition}: {reason}")
    for outcome in result.failed:
        for step, reason in outcome.failures.items():
            console.print(f"[red]failed[/red] {step}: {reason}")


def _say_next(console: Console, result: DemoResult, summary: Summary) -> None:
    settings = result.settings
    home = "" if settings.home == default_home(None).resolve() else f" --home {settings.home}"
    steps = [f"trading ui{home}", "the graph, checks and runs, at http://127.0.0.1:3000"]
    lines = [steps]
    for batch in summary.batches[:1]:
        if batch.example is not None:
            lines.append(
                [f"trading explain {batch.example.intent.order_ref}{home}", "from this order back to the raw file"]
            )
    lines.append([f"trading query 'FROM variant_performance'{home}", "what each variant showed, session by session"])
    lines.append(["trading demo --data DIR", "the same on your own minutes"])
    console.print("\n[bold]Next[/bold] (after `. .venv/bin/activate`)")
    for command, text in lines:
        console.print(f"  {command}\n      [dim]{text}[/dim]", soft_wrap=True)
    pages = settings.reports_dir / "index.html"
    if pages.exists():
        console.print(f"Pages to read: {pages}", soft_wrap=True)
    alerts = settings.home / "alerts" / "alerts.txt"
    if alerts.exists():
        console.print(f"Alerts, as the person on call gets them: {alerts}", soft_wrap=True)
    console.print(
        f"[dim]Stages follow {settings.promotion_policy}: it shows the chain and says nothing about merit.[/dim]",
        soft_wrap=True,
    )
