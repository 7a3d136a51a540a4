"""promote_if_green: ask for the promotion job when the newest evidence of a variant would move it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from resources.configurable import LakeResource, LedgerResource

PROMOTE_SENSOR = "promote_if_green"


@dataclass(frozen=True)
class PendingMove:
    """A change of stage that the published evidence calls for and that is not recorded yet.

    Attributes:
        decision_id: hash of the decision's whole content, evidence included.
    """

    variant: str
    session: str
    from_stage: str
    to_stage: str
    decision_id: str


FindMoves = Callable[[LakeResource, LedgerResource], Sequence[PendingMove]]


def promote_if_green_sensor(job: UnresolvedAssetJobDefinition, find_moves: FindMoves) -> dg.SensorDefinition:
    """Requests ``job`` for each pending move.

    The run key is the decision's own hash: the same evidence is asked for once, whatever is retried or restarted, and
    other evidence can be asked for again. The decision is taken anew by the asset, from the evidence on main then.
    """

    @dg.sensor(
        name=PROMOTE_SENSOR,
        job=job,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=15,
        description="Requests the promotion job when all gates of a variant's next stage are green, or a demotion is due.",
    )
    def promote_if_green(
        context: dg.SensorEvaluationContext, lake: LakeResource, ledger: LedgerResource
    ) -> dg.SensorResult:
        moves = find_moves(lake, ledger)
        for move in moves:
            context.log.info(
                f"{move.variant}: {move.from_stage} to {move.to_stage} as of {move.session}, {move.decision_id}"
            )
        if not moves:
            return dg.SensorResult(skip_reason="no variant has evidence for another stage that is not decided on yet")
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=f"decision-{move.decision_id}",
                    partition_key=dg.MultiPartitionKey({"session": move.session, "variant": move.variant}),
                    tags={"variant": move.variant, "decision_id": move.decision_id},
                )
                for move in moves
            ]
        )

    return promote_if_green
