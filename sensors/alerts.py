"""Tell the person on call about each failed asset check and each failed run."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from resources.configurable import AlertsResource, ClockResource
from trading.ports.alerts import Alert, Severity

ALERTS_SENSOR = "alerts"
_RUNS_A_TICK = 50
_LONGEST_TEXT = 1500
_ENDS = {"failed": dg.DagsterEventType.RUN_FAILURE, "succeeded": dg.DagsterEventType.RUN_SUCCESS}


def alerts_sensor() -> dg.SensorDefinition:
    """Reads the runs that ended since the cursor; a failed check does not fail its run, so both ends are read.

    The cursor is one event-log position per kind of end. It is kept only when the tick succeeds, so an alert may be
    raised again after a crash; the sink rings once per dedupe key.
    """

    @dg.sensor(
        name=ALERTS_SENSOR,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=10,
        description="Sends each failed asset check and each failed run to Slack, or to the alerts folder.",
    )
    def alerts_of_runs(
        context: dg.SensorEvaluationContext, alerts: AlertsResource, clock: ClockResource
    ) -> dg.SkipReason:
        positions: dict[str, str] = json.loads(context.cursor) if context.cursor else {}
        sink, sent = alerts.open(), 0
        for end, event_type in _ENDS.items():
            ended = context.instance.fetch_run_status_changes(
                event_type, limit=_RUNS_A_TICK, cursor=positions.get(end), ascending=True
            )
            for record in ended.records:
                run = context.instance.get_run_by_id(record.run_id)
                if run is None:
                    continue
                for alert in alerts_of_run(context.instance, run, alerts.ui_url, clock):
                    sink.send(alert)
                    sent += 1
            positions[end] = ended.cursor
        context.update_cursor(json.dumps(positions))
        return dg.SkipReason(f"{sent} alerts sent" if sent else "no failed check and no failed run since the last tick")

    return alerts_of_runs


def alerts_of_run(
    instance: dg.DagsterInstance, run: dg.DagsterRun, ui_url: str, clock: ClockResource
) -> Iterator[Alert]:
    """The alerts that one ended run gives: one per failed check and partition, one for a failure with another cause."""
    link = f"{ui_url}/runs/{run.run_id}"
    checks = [
        event.dagster_event.asset_check_evaluation_data
        for event in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        if event.dagster_event is not None
    ]
    failed = [check for check in checks if not check.passed]
    for check in failed:
        asset = check.asset_key.to_user_string()
        metadata = {name: value.value for name, value in check.metadata.items()}
        yield Alert(
            title=f"Check {check.check_name} failed on {asset}",
            severity=_severity(check.severity),
            at=clock.now(),
            what=_shorten(check.description or "no description"),
            asset=asset,
            partition=check.partition or run.tags.get("dagster/partition", ""),
            account=str(metadata.get("account", "")),
            figure=str(metadata.get("figure", "")),
            limit=str(metadata.get("limit", "")) if "figure" in metadata else "",
            link=link,
            command=str(metadata.get("command", "")) or _command(asset, check.partition or "", run.tags),
            dedupe_key=f"check/{run.run_id}/{asset}/{check.check_name}/{check.partition or ''}",
        )
    if run.status is not dg.DagsterRunStatus.FAILURE:
        return
    reasons = dict(_step_failures(instance, run))
    other = {step: reason for step, reason in reasons.items() if not _told_by_a_check(step, reason, failed)}
    if failed and reasons and not other:
        return  # the failed checks above are the whole story
    yield Alert(
        title=f"Run of {run.job_name} failed",
        severity="error",
        at=clock.now(),
        what=_shorten("; ".join(f"{step}: {reason}" for step, reason in (other or reasons).items()) or "see the run"),
        asset=", ".join(sorted(key.to_user_string() for key in run.asset_selection or ()))[:300],
        partition=run.tags.get("dagster/partition") or _range(run.tags),
        link=link,
        command=f"open {link} and re-execute from failure once the cause is mended",
        dedupe_key=f"run/{run.run_id}",
    )


# Steps that only turn refused partitions into a failed run; their check has spoken already.
REFUSALS_STEP_SUFFIX = "every_partition_kept"
_BLOCKED = "failed with ERROR severity"  # Dagster's own words


def _told_by_a_check(step: str, reason: str, failed: Sequence[dg.AssetCheckEvaluation]) -> bool:
    """Whether a step failed because of refused partitions only; an asset's own step does when it refused all of them.

    The step of blocking checks fails with their names, once they have spoken.
    """
    return step.endswith(REFUSALS_STEP_SUFFIX) or any(
        (check.asset_key.to_user_string() == step and check.description and check.description in reason)
        or (_BLOCKED in reason and check.check_name in reason)
        for check in failed
    )


def _step_failures(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[tuple[str, str]]:
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        if event is None:
            continue
        data: Any = event.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            reason = data.user_failure_data.description
        else:
            error = data.error
            while error is not None and error.cause is not None:
                error = error.cause
            reason = error.message if error is not None else event.message or "unknown"
        yield event.step_key or "run", reason.strip()


def _severity(severity: dg.AssetCheckSeverity) -> Severity:
    return "error" if severity is dg.AssetCheckSeverity.ERROR else "warning"


def _command(asset: str, partition: str, tags: Mapping[str, str]) -> str:
    partition = partition or tags.get("dagster/partition", "")
    first, last = tags.get("dagster/asset_partition_range_start"), tags.get("dagster/asset_partition_range_end")
    if partition:
        return f"trading materialise {asset} --partition '{partition}'"
    if first and last:
        return f"trading materialise {asset} --from '{first}' --to '{last}'"
    return f"trading materialise {asset}"


def _range(tags: Mapping[str, str]) -> str:
    first, last = (
        tags.get("dagster/asset_partition_range_start"),
        tags.get("dagster/asset_partition_range_end"),
    )
    return f"{first} to {last}" if first and last else ""


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
