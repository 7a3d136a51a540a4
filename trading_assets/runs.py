"""Running jobs in this process, with progress, on the installation's own Dagster instance."""

import datetime as dt
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import uuid4

import dagster as dg
import yaml
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from trading_assets.materialise import CONTRACT_CHECK
from trading_assets.settings import Settings

# as a home's dagster.yaml has it; of DAGSTER_HOME, as a home may be moved
_EVENT_LOG = {
    "event_log_storage": {
        "module": "resources.event_log",
        "class": "KeptEventLog",
        "config": {"dagster_home": {"env": "DAGSTER_HOME"}},
    }
}
_STORAGES = ("storage", "run_storage", "event_log_storage", "schedule_storage")

Progress = Callable[[str, int], None]  # asset, partitions done since the last call


@dataclass(frozen=True)
class RunOutcome:
    """What one run did, read back from its own events.

    Attributes:
        published, unchanged: partitions by asset.
        refused: reason by (asset, partition), from failed contract checks.
        failures: reason by step, for steps that failed.
    """

    run_id: str
    job: str
    success: bool
    published: Mapping[str, int]
    unchanged: Mapping[str, int]
    refused: Mapping[tuple[str, str], str]
    failures: Mapping[str, str]


@contextmanager
def configured_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance of DAGSTER_HOME where that is set, as in a deployment; else the one under the home."""
    if os.environ.get("DAGSTER_HOME"):
        with dg.DagsterInstance.get() as instance:
            yield instance
    else:
        with local_instance(settings) as instance:
            yield instance


@contextmanager
def local_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance under the home, made on first use; `trading ui` serves the same one."""
    prepare_dagster_home(settings)
    home = settings.dagster_home
    written = yaml.safe_load((home / "dagster.yaml").read_text()) or {}
    overrides: dict[str, Any] = {}
    if {key: written[key] for key in _STORAGES if key in written} in ({}, _EVENT_LOG):  # else a person chose another
        ours = _EVENT_LOG["event_log_storage"]
        overrides["event_log_storage"] = {**ours, "config": {"dagster_home": str(home)}}
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=overrides)) as instance:
        yield instance


def prepare_dagster_home(settings: Settings) -> None:
    """Create the instance folder with its dagster.yaml; an existing file is left alone."""
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    config = settings.dagster_home / "dagster.yaml"
    if not config.exists():
        partial = config.with_suffix(f".{os.getpid()}.part")
        partial.write_text(
            "# Dagster's own bookkeeping for this home, in SQLite beside this file.\n"
            "telemetry:\n  enabled: false\n"
            "nux:\n  enabled: false\n"
            f"{yaml.safe_dump(_EVENT_LOG, sort_keys=False)}"
        )
        partial.replace(config)


def contiguous(days: Sequence[dt.date], sessions: Sequence[dt.date]) -> list[tuple[dt.date, dt.date]]:
    """``days`` as ranges without a session of ``sessions`` missing inside one: each can be one run."""
    position = {day: number for number, day in enumerate(sessions)}
    ranges = []
    for _, group in groupby(enumerate(sorted(days)), key=lambda pair: position[pair[1]] - pair[0]):
        members = [day for _, day in group]
        ranges.append((members[0], members[-1]))
    return ranges


def run_job(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    first: str,
    last: str,
    *,
    tags: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> RunOutcome:
    """One run over the partitions ``first`` to ``last`` (partition keys), in this process."""
    run_id = str(uuid4())
    # Dagster warns that a blocking check gave no result of the step's own; ours are events of each partition, and an
    # upstream that was refused is missed by the partition downstream itself.
    logging.getLogger("dagster._core.execution.plan.active").setLevel(logging.ERROR)

    def listen(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if progress and event and event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION and event.asset_key:
            progress(event.asset_key.to_user_string(), 1)

    instance.add_event_listener(run_id, listen)
    result = job.execute_in_process(
        instance=instance,
        run_id=run_id,
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        tags={**(tags or {}), ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last},
    )
    return outcome_of(result)


def outcome_of(result: dg.ExecuteInProcessResult) -> RunOutcome:
    """Fold the events of a run into what a person asks of it."""
    published: dict[str, int] = {}
    unchanged: dict[str, int] = {}
    refused: dict[tuple[str, str], str] = {}
    failures: dict[str, str] = {}
    for event in result.all_events:
        if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION and event.asset_key:
            metadata = event.step_materialization_data.materialization.metadata
            fresh = metadata.get("published")
            counter = published if fresh is None or fresh.value else unchanged
            asset = event.asset_key.to_user_string()
            counter[asset] = counter.get(asset, 0) + 1
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed and check.check_name == CONTRACT_CHECK:
                refused[(check.asset_key.to_user_string(), check.partition or "")] = check.description or ""
        elif event.is_step_failure:
            data = event.step_failure_data
            user = data.user_failure_data
            error = data.error
            while error is not None and error.cause is not None:
                error = error.cause
            reason = user.description if user and user.description else (error.message if error else event.message)
            failures[event.step_key or "run"] = (reason or "").strip()
    return RunOutcome(result.run_id, result.job_def.name, result.success, published, unchanged, refused, failures)
