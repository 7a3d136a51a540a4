"""When the warehouse was built and the report is written, request the quality job."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition


def quality_sensor(report: UnresolvedAssetJobDefinition, quality: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """One request for each report of the daily chain; a backfill of reports is judged once by hand, with all its sessions."""

    @dg.run_status_sensor(
        name=f"{quality.name}_after_{report.name}",
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[report],
        request_job=quality,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=5,
        description=f"Requests {quality.name} for the session whose {report.name} was started by the daily schedule.",
    )
    def after_report(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        session = context.dagster_run.tags.get("session")
        if session is None:
            return dg.SkipReason("not a run of the daily chain: trading quality --all judges a backfill")
        return dg.RunRequest(run_key=f"{quality.name}-after-{context.dagster_run.run_id}", tags={"session": session})

    return after_report
