"""Housekeeping: branches that killed publishes left behind, and quarantine that nobody opened in time."""

import datetime as dt

import dagster as dg

from resources.configurable import ClockResource, LakeResource

LEFTOVER_AFTER = dt.timedelta(hours=6)  # longer than any publish takes
QUARANTINE_FOR = dt.timedelta(days=30)


def janitor_job() -> dg.JobDefinition:
    """The job; safe to run at any time and as often as one likes."""

    @dg.op(description="Delete leftover write-audit-publish branches and old quarantine tags.")
    def clean_lake(context: dg.OpExecutionContext, lake: LakeResource, clock: ClockResource) -> None:
        from resources.lake.leftovers import remove_leftover_branches, remove_old_quarantine

        opened, now = lake.open(), clock.now()
        branches = remove_leftover_branches(opened, LEFTOVER_AFTER, now)
        tags = remove_old_quarantine(opened, QUARANTINE_FOR, now)
        context.log.info(f"removed {len(branches)} leftover branches {branches} and {len(tags)} quarantine tags {tags}")

    @dg.job(name="janitor_job", executor_def=dg.in_process_executor)
    def janitor() -> None:
        clean_lake()

    return janitor


def janitor_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Every Sunday morning, UTC."""
    return dg.ScheduleDefinition(
        name="janitor_schedule",
        job=job,
        cron_schedule="0 6 * * 0",
        execution_timezone="UTC",
        description="Weekly housekeeping of the lake.",
    )
