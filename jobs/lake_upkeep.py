"""Looking after the lake: reading every byte of it, and removing what nothing reaches any more."""

import datetime as dt
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from resources.configurable import LakeResource

if TYPE_CHECKING:
    from resources.lake.embedded import Problem

_SHOWN = 5


def verify_lake_job() -> dg.JobDefinition:
    """Fails, and so rings, where anything in the lake is damaged or missing."""

    @dg.op(description="Compare every object that a branch or tag reaches with its hash.")
    def verify_lake(context: dg.OpExecutionContext, lake: LakeResource) -> None:
        from resources.lake.upkeep import Maintainable, verify_contents

        opened = lake.open()
        problems = list(opened.verify() if isinstance(opened, Maintainable) else verify_contents(opened))
        if problems:
            raise dg.Failure(
                description=f"{len(problems)} problem(s) in the lake, orders and replays that rest on them cannot be trusted: "
                + "; ".join(map(_says, problems[:_SHOWN]))
                + ". Which decisions, batches and commits they touch, and what to do: trading lake verify",
                allow_retries=False,
            )
        context.log.info(f"{opened.uri}: every object is there and has its hash")

    @dg.job(
        name="verify_lake_job",
        executor_def=dg.in_process_executor,
        description="Read the whole lake and compare it with its hashes.",
    )
    def verify() -> None:
        verify_lake()

    return verify


def verify_lake_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Every Sunday morning, UTC, after the janitor."""
    return dg.ScheduleDefinition(
        name="verify_lake_schedule",
        job=job,
        cron_schedule="0 7 * * 0",
        execution_timezone="UTC",
        description="Weekly reading of the whole lake.",
    )


class Collection(dg.Config):
    """Of one garbage collection."""

    retention_days: int = Field(
        90, ge=1, description="Keep what main had within this many days, and all that is tagged."
    )
    dry_run: bool = Field(True, description="Say what would go, remove nothing.")


def collect_garbage_job(retention_days: int) -> dg.JobDefinition:
    """Never on a schedule: what it removes is gone. ``retention_days`` is this installation's setting."""

    @dg.op(description="Remove content that no branch, no tag and no commit within the window reaches.")
    def collect_garbage(context: dg.OpExecutionContext, config: Collection, lake: LakeResource) -> None:
        from resources.lake.upkeep import Maintainable

        opened = lake.open()
        if not isinstance(opened, Maintainable):
            raise dg.Failure(
                description=f"{opened.uri}: the server collects by itself; set its garbage collection rules there",
                allow_retries=False,
            )
        report = opened.gc(dt.timedelta(days=config.retention_days), dry_run=config.dry_run)
        context.log.info(
            f"{'would remove' if config.dry_run else 'removed'} {report.objects} objects of {report.object_bytes:,} bytes, "
            f"content of {report.commits_expired} commits older than {config.retention_days} days"
        )
        context.add_output_metadata(
            {
                "dry_run": config.dry_run,
                "objects": report.objects,
                "bytes": report.object_bytes,
                "commits_expired": report.commits_expired,
            }
        )

    @dg.job(
        name="collect_garbage_job",
        executor_def=dg.in_process_executor,
        config=dg.RunConfig(ops={"collect_garbage": Collection(retention_days=retention_days, dry_run=True)}),
        description="Make room in the lake. A dry run, unless dry_run is set to false in the launchpad.",
    )
    def collect() -> None:
        collect_garbage()

    return collect


def _says(problem: "Problem") -> str:
    where = ", ".join(problem.paths[:_SHOWN]) or "no path known"
    return f"{problem.kind} {problem.name[:16]}: {problem.detail} ({where}; {len(problem.commits)} commits)"
