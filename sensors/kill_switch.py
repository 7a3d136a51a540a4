"""The second line of the kill switch: worth that breaches a limit requests the kill-switch job. The router is the first."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from jobs.kill_switch import KillSwitchConfig, kill_switch_run_config
from resources.configurable import BrokerResource, LedgerResource

if TYPE_CHECKING:
    from resources.ledger import KillSwitch
    from trading.risk.breakers import Breach  # brings numpy, which loading the definitions does without

KILL_SWITCH_SENSOR = "kill_switch"
# So often a kill-switch run that failed is asked for again; each failure has rung by then.
MOST_ATTEMPTS = 10
_BREACH_TAG = "breach_id"

FindBreaches = Callable[[LedgerResource], Sequence["Breach"]]
FindUnfinished = Callable[[LedgerResource, BrokerResource], Sequence["KillSwitch"]]


def _nothing_unfinished(_: LedgerResource, __: BrokerResource) -> Sequence["KillSwitch"]:
    return ()


def kill_switch_sensor(
    job: dg.JobDefinition, find_breaches: FindBreaches, find_unfinished: FindUnfinished = _nothing_unfinished
) -> dg.SensorDefinition:
    """Requests ``job`` once per breach, and again after a run of it that failed.

    The run key is the breach id, so a restart does not ask again, and neither does a breach that a person has released:
    its worth stays on record. A switch that is engaged while orders in its scope are open, as after a process that died
    between recording and cancelling, is gone on with in the same way.
    """

    @dg.sensor(
        name=KILL_SWITCH_SENSOR,
        job=job,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=5,
        description="Daily loss and drawdown from the recorded worth of each account, losing streaks of its books; engages "
        "the kill switch on a breach, and goes on with one that left orders open.",
    )
    def kill_switch(
        context: dg.SensorEvaluationContext, ledger: LedgerResource, brokers: BrokerResource
    ) -> dg.SensorResult:
        wanted = [
            KillSwitchConfig(scope=breach.scope, reason=breach.says, by="sensor", breach_id=breach.breach_id)
            for breach in find_breaches(ledger)
        ]
        wanted += [
            KillSwitchConfig(
                scope=switch.scope, reason=f"orders are open although it is engaged: {switch.reason}", by="sensor",
                breach_id=f"unfinished:{switch.scope}:{switch.at}", flatten=switch.flatten, go_on=True,
            )
            for switch in find_unfinished(ledger, brokers)
        ]  # fmt: skip
        if not wanted:
            return dg.SensorResult(skip_reason="every account is within its limits")
        requests = []
        for config in wanted:
            context.log.error(config.reason)
            run_key = _next_run_key(context.instance, job.name, config.breach_id)
            if run_key is not None:
                requests.append(
                    dg.RunRequest(
                        run_key=run_key,
                        run_config=kill_switch_run_config(config),
                        tags={_BREACH_TAG: config.breach_id},
                    )
                )
        if not requests:
            return dg.SensorResult(skip_reason=f"asked for already: {', '.join(config.reason for config in wanted)}")
        return dg.SensorResult(run_requests=requests)

    return kill_switch


def _next_run_key(instance: dg.DagsterInstance, job: str, breach_id: str) -> str | None:
    """Under which key to ask for the breach now; None where a run of it is under way, succeeded, or was cancelled."""
    statuses = [
        run.status for run in instance.get_runs(filters=dg.RunsFilter(job_name=job, tags={_BREACH_TAG: breach_id}))
    ]
    if any(status is not dg.DagsterRunStatus.FAILURE for status in statuses) or len(statuses) >= MOST_ATTEMPTS:
        return None
    return f"{breach_id}:attempt-{len(statuses) + 1}" if statuses else breach_id
