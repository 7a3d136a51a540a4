"""The kill-switch job: record first, then cancel every open order in scope, verified against the broker."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.configurable import AlertsResource, BrokerResource, ClockResource, LedgerResource
from trading.ports.alerts import Alert

if TYPE_CHECKING:
    from trading.accounts import AccountConfig

KILL_SWITCH_JOB = "kill_switch_job"
_OP = "engage_kill_switch"


class KillSwitchConfig(dg.Config):
    """What to stop and why.

    Attributes:
        scope: ``global``, ``account:NAME``, ``variant:NAME`` or ``book:ACCOUNT/VARIANT``.
        by: who or what engages it.
        breach_id: of the breach that asked for it; empty for a person.
        flatten: close positions too.
        go_on: the switch is recorded already, and what was cut off after it is done now.
    """

    scope: str = "global"
    reason: str
    by: str
    breach_id: str = ""
    flatten: bool = False
    go_on: bool = False


def kill_switch_run_config(config: KillSwitchConfig) -> dict[str, Any]:
    return {"ops": {_OP: {"config": config.model_dump()}}}


def kill_switch_job(load_accounts: Callable[[], Sequence["AccountConfig"]]) -> dg.JobDefinition:
    """The job; ``load_accounts`` is called when it runs, so that a changed account file needs no restart."""

    @dg.op(name=_OP, description="Engage the switch in the ledger, then cancel open orders until the broker has none.")
    def engage_kill_switch(
        context: dg.OpExecutionContext,
        config: KillSwitchConfig,
        ledger: LedgerResource,
        brokers: BrokerResource,
        alerts: AlertsResource,
        clock: ClockResource,
    ) -> None:
        from resources.kill_switch import Stopped, clear, engage

        opened, unreachable = brokers.open_all(load_accounts())
        if config.go_on:
            done, left = clear(opened, config.scope, clock.now(), flatten=config.flatten)
            outcome = Stopped(config.scope, False, done, left)
        else:
            outcome = engage(
                ledger.open(),
                opened,
                scope=config.scope,
                reason=config.reason,
                by=config.by,
                at=clock.now(),
                breach_id=config.breach_id or None,
                flatten=config.flatten,
                others=bool(unreachable),
            )
        context.log.info(str(outcome))
        alerts.open().send(
            Alert(
                title=f"Kill switch engaged: {config.scope}",
                severity="critical",
                at=clock.now(),
                what=f"{config.reason}. {outcome}",
                link=f"{alerts.ui_url}/runs/{context.run_id}",
                command=f"trading status; when the cause is mended: trading resume {config.scope} --by NAME --reason TEXT",
                dedupe_key=config.breach_id or context.run_id,
            )
        )
        if unreachable:
            raise dg.Failure(
                description="the orders of these accounts, if any, are not cancelled, look at their brokers: "
                + "; ".join(map(str, unreachable))
            )
        if outcome.still_open:
            raise dg.Failure(
                description=f"{len(outcome.still_open)} orders are still open at the broker: {outcome.still_open}; "
                "cancel them at the broker and run the job again"
            )

    @dg.job(
        name=KILL_SWITCH_JOB,
        description="Stops sending and cancels open orders. Positions keep their protective stops.",
        executor_def=dg.in_process_executor,
    )
    def kill_switch() -> None:
        engage_kill_switch()

    return kill_switch
