"""promote_if_green: ask for the promotion job when the newest evidence of a variant is not decided on yet."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from resources.configurable import ClockResource, LakeResource, LedgerResource

PROMOTE_SENSOR = "promote_if_green"


@dataclass(frozen=True)
class PendingDecision:
    """A decision that the published evidence calls for and that is not recorded yet; from_stage equals to_stage for a stay.

    Attributes:
        decision_id: hash of the decision's whole content, evidence included.
    """

    variant: str
    session: str
    from_stage: str
    to_stage: str
    decision_id: str


FindPending = Callable[[LakeResource, LedgerResource, dt.datetime], Sequence[PendingDecision]]


def promote_if_green_sensor(job: UnresolvedAssetJobDefinition, find_pending: FindPending) -> dg.SensorDefinition:
    """Requests ``job`` for each pending decision.

    The run key is the decision's own hash: the same evidence is asked for once, whatever is retried or restarted, and
    other evidence can be asked for again. The decision is taken anew by the asset, from the evidence on main then.
    """

    @dg.sensor(
        name=PROMOTE_SENSOR,
        job=job,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=15,
        description="Requests the promotion job for new evidence: a promotion when all gates are green, a demotion when one is "
        "due, and the record of a stay otherwise.",
    )
    def promote_if_green(
        context: dg.SensorEvaluationContext, lake: LakeResource, ledger: LedgerResource, clock: ClockResource
    ) -> dg.SensorResult:
        pending = find_pending(lake, ledger, clock.now())
        for decision in pending:
            context.log.info(
                f"{decision.variant} as of {decision.session}: {decision.from_stage} to {decision.to_stage}, "
                f"decision {decision.decision_id}"
            )
        if not pending:
            return dg.SensorResult(skip_reason="the newest evidence of every variant is decided on")
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=f"decision-{decision.decision_id}",
                    partition_key=dg.MultiPartitionKey({"session": decision.session, "variant": decision.variant}),
                    tags={"variant": decision.variant, "decision_id": decision.decision_id},
                )
                for decision in pending
            ]
        )

    return promote_if_green
