"""`trading approve` and `trading decision`: what a person decides about stages, and looking decisions up."""

import sys
from typing import TYPE_CHECKING, get_args

import click

from trading.promotion.stages import Stage
from trading_assets.commands.options import home_flag, home_option, open_home_lake
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from trading.promotion import Decision

_STATUS_COLOURS = {"pass": "green", "fail": "red", "insufficient": "yellow"}


@click.command()
@click.argument("variant")
@click.option("--by", required=True, help="Your name; automation cannot approve.")
@click.option("--reason", required=True, help="What you looked at, for the record.")
@home_option
def approve(variant: str, by: str, reason: str, settings: Settings) -> None:
    """Approve live trading of VARIANT: this version, on its newest evidence.

    Nothing else may be missing. The promotion itself is taken by the next decision on that evidence. For a version that is live
    already the approval is renewed.
    """
    from resources.clock import SystemClock
    from resources.ledger import Ledger
    from trading_assets.persons import approve as record
    from trading_assets.persons import open_desk

    desk = open_desk(settings, open_home_lake(settings), Ledger(settings.ledger_url), SystemClock().now())
    done = record(desk, variant, by=by, reason=reason)
    click.echo(
        f"recorded: {done.approval.person} approves {variant}, version {done.approval.strategy_version}, on evidence "
        f"{done.approval.commit_id[:12]} as of {done.session}"
    )
    if not done.renews:
        key = f"{done.session}|{variant}"
        click.echo(
            f"it is void after {settings.approval_days} days (approval_days). promote_if_green takes the step now; without a "
            f"daemon: trading materialise promotion_decision --partition '{key}'{home_flag(settings)}"
        )


@click.group()
def decision() -> None:
    """Decisions about stages: list, show, take again, or make one."""


@decision.command("list")
@click.argument("variant", required=False)
@click.option("--limit", default=20, show_default=True, help="Newest so many.")
@home_option
def listed(variant: str | None, limit: int, settings: Settings) -> None:
    """Recorded decisions, the newest last."""
    from resources.ledger import Ledger

    for row in Ledger(settings.ledger_url).decisions(variant)[-limit:]:
        click.echo(
            f"{row.decision_id}  {row.session}  {row.variant}: {row.from_stage} -> {row.to_stage}  by {row.decided_by}  "
            f"{row.reason[:120]}"
        )


@decision.command()
@click.argument("decision_id")
@home_option
def show(decision_id: str, settings: Settings) -> None:
    """Every gate of one decision with its figure and threshold; the id's beginning is enough."""
    from resources.ledger import Ledger
    from trading.promotion import Decision

    row = Ledger(settings.ledger_url).decision(decision_id)
    _show(Decision.from_dict(row.content))


@decision.command()
@click.argument("decision_id")
@click.option("--on-main", is_flag=True, help="On what main holds now: what would a correction of data change?")
@home_option
def replay(decision_id: str, on_main: bool, settings: Settings) -> None:
    """Take a decision again from the commits it was taken on; status 1 where anything differs."""
    from resources.ledger import Ledger
    from trading_assets.replayed_decisions import replay_recorded

    found = replay_recorded(
        settings, open_home_lake(settings), Ledger(settings.ledger_url), decision_id, on_main=on_main
    )
    taken = found.decision
    click.echo(
        f"decision {taken.decision_id}: {taken.variant} as of {taken.session}, {taken.from_stage} to {taken.to_stage}, "
        f"{len(taken.gates)} gates, on commit {found.commit[:12]}"
    )
    for line in found.differences:
        click.secho(line, fg="red")
    if found.differences:
        click.secho(f"{len(found.differences)} difference(s)", fg="red", err=True)
        sys.exit(1)
    click.echo("no difference")


@decision.command()
@click.argument("variant")
@click.argument("stage", type=click.Choice([name for name in get_args(Stage) if name not in ("paper", "live")]))
@click.option("--by", required=True, help="Your name.")
@click.option("--reason", required=True, help="Why, for the record.")
@home_option
def move(variant: str, stage: Stage, by: str, reason: str, settings: Settings) -> None:
    """Move VARIANT to STAGE: down, suspended, retired, or from suspended back to experiment or lab.

    The way up leads through the gates alone. The move holds from the next session on; to stop orders now there is
    `trading kill`.
    """
    from resources.clock import SystemClock
    from resources.ledger import Ledger
    from trading_assets.persons import move as record
    from trading_assets.persons import open_desk

    desk = open_desk(settings, open_home_lake(settings), Ledger(settings.ledger_url), SystemClock().now())
    made = record(desk, variant, stage, by=by, reason=reason)
    click.echo(f"decision {made.decision_id}: {variant} from {made.from_stage} to {made.to_stage} by {made.decided_by}")


def _show(taken: "Decision") -> None:
    click.echo(f"decision {taken.decision_id} as of {taken.session}, by {taken.decided_by}, policy {taken.policy.name}")
    click.echo(f"{taken.variant}, version {taken.strategy_version}: {taken.from_stage} to {taken.to_stage}")
    click.echo(taken.reason)
    for gate in taken.gates:
        click.secho(f"  {gate.status:<13}{gate.name}: {gate.detail}", fg=_STATUS_COLOURS[gate.status])
