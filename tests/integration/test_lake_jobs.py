"""The jobs that look after the lake, as an operator runs them from the UI."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from jobs.lake_upkeep import collect_garbage_job, verify_lake_job
from resources.configurable import LakeResource
from resources.lake import open_lake
from resources.lake.embedded import EmbeddedLake
from resources.lake.publish import Publisher


@pytest.fixture
def lake(tmp_path: Path) -> EmbeddedLake:
    opened = open_lake((tmp_path / "lake").as_uri())
    assert isinstance(opened, EmbeddedLake)
    publisher = Publisher(opened, run_id="r", code_version="1", clock=lambda: datetime.now(UTC))
    for content in (b"old" * 100, b"new" * 100):
        publisher.publish("m5_bars", "session=2024-03-01", {"data.parquet": content}, audit=None, inputs={})
    return opened


def run(job: dg.JobDefinition, lake: EmbeddedLake, **config: Any) -> dg.ExecuteInProcessResult:
    return job.execute_in_process(resources={"lake": LakeResource(uri=lake.uri)}, raise_on_error=False, **config)


def failure(result: dg.ExecuteInProcessResult) -> str:
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    data = failed.step_failure_data.user_failure_data
    assert data is not None and data.description is not None
    return data.description


def object_files(lake: EmbeddedLake) -> list[Path]:
    return sorted((lake.directory / "objects").glob("*/*"))


def test_a_sound_lake_passes(lake: EmbeddedLake) -> None:
    assert run(verify_lake_job(), lake).success


def test_damage_fails_the_run_and_says_what_it_touches(lake: EmbeddedLake) -> None:
    damaged = lake.local_path("main", "m5_bars/session=2024-03-01/data.parquet")
    damaged.chmod(0o644)
    damaged.write_bytes(b"nex" + b"new" * 99)
    result = run(verify_lake_job(), lake)
    assert not result.success
    text = failure(result)
    assert "1 problem(s)" in text and "m5_bars/session=2024-03-01/data.parquet" in text
    assert text.endswith("trading lake verify")


def test_a_collection_is_a_dry_run_unless_told_otherwise(lake: EmbeddedLake) -> None:
    before = object_files(lake)
    assert len(before) == 2
    assert run(collect_garbage_job(90), lake).success
    assert object_files(lake) == before


def test_a_collection_keeps_what_is_within_the_window(lake: EmbeddedLake) -> None:
    before = object_files(lake)
    config = {"ops": {"collect_garbage": {"config": {"retention_days": 1, "dry_run": False}}}}
    result = run(collect_garbage_job(90), lake, run_config=config)
    assert result.success and object_files(lake) == before


@pytest.mark.parametrize("days", [0, -1])
def test_a_window_of_nothing_is_refused(lake: EmbeddedLake, days: int) -> None:
    config = {"ops": {"collect_garbage": {"config": {"retention_days": days, "dry_run": False}}}}
    assert not run(collect_garbage_job(90), lake, run_config=config).success
    assert len(object_files(lake)) == 2
