"""Holding the replay against another engine: a job of its own, every night, which blocks nothing."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from jobs.groups import JOB_TAG

PARITY_JOB = "parity_job"


def parity_job() -> UnresolvedAssetJobDefinition:
    """The job over the group ``parity``."""
    return dg.define_asset_job(
        PARITY_JOB,
        selection=dg.AssetSelection.groups("parity"),
        description="Trade every variant by vectorbt as well, and compare every trade with the replay's.",
        executor_def=dg.in_process_executor,
        tags={JOB_TAG: PARITY_JOB},
    )


def parity_schedule(job: UnresolvedAssetJobDefinition, timezone: str) -> dg.ScheduleDefinition:
    """Tuesday to Saturday, long after the night's backtests, on the exchange's clock."""
    return dg.ScheduleDefinition(
        name="parity_schedule",
        job=job,
        cron_schedule="0 4 * * 2-6",
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Compares the replay of every variant with vectorbt, as of the newest backtest.",
    )
