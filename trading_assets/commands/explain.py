"""`trading explain`: the chain from an order back to the hash of the raw file."""

from collections.abc import Iterator

import click

from trading_assets.commands.options import home_option
from trading_assets.settings import Settings


@click.command()
@click.argument("order_ref")
@home_option
def explain(order_ref: str, settings: Settings) -> None:
    """Everything behind ORDER_REF (or the beginning of one): fate, decision, signal, bars, minutes, raw file."""
    for line in explanation(settings, order_ref):
        click.echo(line)


def explanation(settings: Settings, order_ref: str) -> Iterator[str]:
    """The chain as lines of text.

    Raises:
        LedgerError: no order, or several, begin with ``order_ref``.
        ObjectNotFound: a commit that the order names is not in this lake.
    """
    from resources.lake import open_lake
    from resources.ledger import Ledger
    from trading_assets.lineage import raw_files, trace

    ledger = Ledger(settings.ledger_url)
    lake = open_lake(settings.lake_uri)
    story = ledger.intent(order_ref)
    intent = story.intent
    side = "buy" if intent.side > 0 else "sell"
    target = "no target" if intent.target is None else f"target {intent.target:g}"
    if settings.label:
        yield settings.label
    yield (
        f"order {intent.order_ref}: {side} {intent.qty:g} {intent.symbol} at {intent.entry:g} stop, "
        f"stop-loss {intent.stop:g}, {target}"
    )
    yield f"  valid {intent.valid_from:%Y-%m-%d %H:%M} to {intent.valid_to:%Y-%m-%d %H:%M} UTC"
    yield f"  account {intent.account}, variant {intent.variant}, key {intent.idempotency_key}"
    for event in story.events:
        reason = f" ({event.reason})" if event.reason else ""
        yield f"  {event.at:%Y-%m-%d %H:%M:%S}Z {event.state.value}{reason}"
    for fill in story.fills:
        yield (
            f"  {fill.at:%Y-%m-%d %H:%M:%S}Z fill {fill.execution_id}: {fill.leg} {fill.qty:g} at {fill.price:.4f}, "
            f"fee {fill.fee:.4f}{f', {fill.reason}' if fill.reason else ''}"
        )
    yield from _decision(settings, intent.lineage.decision_id)
    yield f"made by code {intent.lineage.code_version}, strategy {intent.strategy_version}, config {intent.lineage.config_hash}"
    partition = {"session": intent.session.isoformat(), "variant": intent.variant}
    for step in trace(lake, intent.lineage.commits["signals"], "signals", partition):
        indent = "  " * (step.depth + 1)
        yield (
            f"{indent}{step.dataset} {step.partition} at commit {step.commit[:16]} ({step.made_at}, run {step.run_id[:8]}), "
            f"content {step.data_version[:16]}, code {step.code_version}"
        )
        if step.dataset == "m1_raw":
            for raw in raw_files(lake, step, intent.symbol):
                yield f"{indent}  {raw.file} of {raw.source}: {raw.rows} rows of {intent.symbol}, SHA-256 {raw.sha256}"


def _decision(settings: Settings, decision_id: str) -> Iterator[str]:
    from resources.ledger import Ledger

    if not decision_id:
        yield "no promotion decision stands behind it"
        return
    decision = Ledger(settings.ledger_url).decision(decision_id)
    yield (
        f"decision {decision.decision_id}: {decision.from_stage} to {decision.to_stage} as of session {decision.session} "
        f"by {decision.decided_by}"
    )
    yield f"  {decision.reason}"
    evidence = decision.content.get("evidence", {})
    yield f"  backtest at commit {str(evidence.get('commits', {}).get('backtest', 'unknown'))[:16]}"
