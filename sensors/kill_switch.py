"""The second line of the kill switch: worth that breaches a limit requests the kill-switch job. The router is the first."""

from collections.abc import Callable, Sequence

import dagster as dg

from jobs.kill_switch import kill_switch_run_config
from resources.configurable import LedgerResource
from trading.risk.breakers import Breach

KILL_SWITCH_SENSOR = "kill_switch"

FindBreaches = Callable[[LedgerResource], Sequence[Breach]]


def kill_switch_sensor(job: dg.JobDefinition, find_breaches: FindBreaches) -> dg.SensorDefinition:
    """Requests ``job`` once per breach; the run key is the breach id, so a restart does not ask again."""

    @dg.sensor(
        name=KILL_SWITCH_SENSOR,
        job=job,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=5,
        description="Daily loss and drawdown from the recorded worth of each account; engages the kill switch on a breach.",
    )
    def kill_switch(context: dg.SensorEvaluationContext, ledger: LedgerResource) -> dg.SensorResult:
        breaches = find_breaches(ledger)
        for breach in breaches:
            context.log.error(breach.says)
        if not breaches:
            return dg.SensorResult(skip_reason="every account is within its limits")
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=breach.breach_id,
                    run_config=kill_switch_run_config(breach.scope, breach.says, "sensor", breach.breach_id),
                    tags={"breach_id": breach.breach_id},
                )
                for breach in breaches
            ]
        )

    return kill_switch
