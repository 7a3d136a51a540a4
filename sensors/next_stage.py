"""When one job of the day has succeeded for a session, request the next one for the same session."""

from collections.abc import Mapping, Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from jobs.groups import MARKET_DATA_JOB, REPORT_JOB, RESEARCH_JOB, TRADING_JOB

# What follows what. Promotion is not in the chain: it is asked for by promote_if_green, when there is something to decide.
CHAIN = {MARKET_DATA_JOB: RESEARCH_JOB, RESEARCH_JOB: TRADING_JOB, TRADING_JOB: REPORT_JOB}


def next_stage_sensors(
    jobs: Mapping[str, UnresolvedAssetJobDefinition], crossed_with: Mapping[str, Sequence[str]]
) -> list[dg.SensorDefinition]:
    """One sensor a link of `CHAIN`.

    Args:
        crossed_with: per job, the keys of its second partition dimension (variants or accounts), empty for none.
    """
    return [_link(jobs[first], jobs[then], crossed_with.get(then, ())) for first, then in CHAIN.items()]


def _link(
    first: UnresolvedAssetJobDefinition, then: UnresolvedAssetJobDefinition, others: Sequence[str]
) -> dg.SensorDefinition:
    dimension = "variant" if then.name == RESEARCH_JOB else "account"

    @dg.run_status_sensor(
        name=f"{then.name}_after_{first.name}",
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[first],
        request_job=then,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=5,
        description=f"Requests {then.name} for the session whose {first.name} was started by the daily schedule.",
    )
    def link(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        session = context.dagster_run.tags.get("session")
        if session is None:
            return dg.SkipReason("not a run of the daily chain: backfills and manual runs go on by hand")
        run_key = f"{then.name}-{session}-after-{context.dagster_run.run_id}"
        tags = {"session": session}
        if not others:
            return dg.RunRequest(run_key=run_key, partition_key=session, tags=tags)
        keys = [dg.MultiPartitionKey({"session": session, dimension: other}) for other in sorted(others)]
        if len(keys) == 1:
            return dg.RunRequest(run_key=run_key, partition_key=keys[0], tags=tags)
        range_tags = {
            ASSET_PARTITION_RANGE_START_TAG: str(keys[0]),
            ASSET_PARTITION_RANGE_END_TAG: str(keys[-1]),
        }
        return dg.RunRequest(run_key=run_key, tags={**tags, **range_tags})

    return link
