"""Asset checks beside the contracts: refused partitions fail the run, thin minutes warn, strategies that look ahead block."""

import dagster as dg

from sensors.alerts import REFUSALS_STEP_SUFFIX
from trading_assets.materialise import CONTRACT_CHECK


def refusals_fail_the_run(asset: str) -> dg.AssetChecksDefinition:
    """A check of its own step, after the asset's: it fails the run when the run refused a partition.

    It blocks nothing, so that the other partitions reach downstream first.
    """

    @dg.asset_check(
        asset=asset,
        name=REFUSALS_STEP_SUFFIX,
        description="Every partition of the run kept its contract. Fails the run otherwise, after the others went on.",
    )
    def every_partition_kept(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        refused = {
            evaluation.partition: evaluation.description or ""
            for entry in context.instance.all_logs(
                context.op_execution_context.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
            )
            if entry.dagster_event is not None
            and (evaluation := entry.dagster_event.asset_check_evaluation_data).asset_key == dg.AssetKey(asset)
            and evaluation.check_name == CONTRACT_CHECK
            and not evaluation.passed
        }
        if refused:
            listed = "; ".join(f"{partition}: {reason}" for partition, reason in list(refused.items())[:5])
            raise dg.Failure(
                description=f"{len(refused)} partition(s) of {asset} refused. {listed}", allow_retries=False
            )
        return dg.AssetCheckResult(passed=True)

    return every_partition_kept
