"""The daily schedule: one tick a day, one run a session."""

import datetime as dt
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition


def daily_schedule(
    job: UnresolvedAssetJobDefinition, partitions: dg.DailyPartitionsDefinition
) -> dg.ScheduleDefinition:
    """A quarter past midnight at the exchange, every day of the week: the session that ended the day before.

    A schedule built from the partitioned job would ask for Friday again on Saturday and on Sunday; this one looks whether
    the day before was a session, and says so when it was not.
    """
    zone = ZoneInfo(partitions.timezone)

    @dg.schedule(
        name="daily_schedule",
        job=job,
        cron_schedule="15 0 * * *",
        execution_timezone=partitions.timezone,
        description="Requests the market data job for the session that has just ended; holidays and weekends are skipped.",
    )
    def daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        local = context.scheduled_execution_time.astimezone(zone)
        day = (local.date() - dt.timedelta(days=1)).isoformat()
        if day not in partitions.get_partition_keys(current_time=context.scheduled_execution_time):
            return dg.SkipReason(f"{day} was no session of the exchange, or lies outside the configured sessions")
        return dg.RunRequest(run_key=f"session-{day}", partition_key=day, tags={"session": day})

    return daily
