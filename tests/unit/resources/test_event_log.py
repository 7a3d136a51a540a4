"""Dagster's event log with its connections kept: the same files as Dagster's own class, and no more of them open."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from resources.event_log import KeptEventLog
from trading_assets.runs import local_instance, prepare_dagster_home
from trading_assets.settings import Settings

SESSIONS = dg.StaticPartitionsDefinition(["2023-11-20", "2023-11-21"])


@dg.asset(partitions_def=SESSIONS, backfill_policy=dg.BackfillPolicy.single_run())
def bars() -> None: ...


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation's Dagster home, as the command line leaves it."""
    settings = Settings.load(tmp_path, env={})
    prepare_dagster_home(settings)
    monkeypatch.setenv("DAGSTER_HOME", str(settings.dagster_home))
    return settings.dagster_home


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as opened:
        yield opened


def kept(instance: dg.DagsterInstance) -> KeptEventLog:
    assert isinstance(instance.event_log_storage, KeptEventLog)
    return instance.event_log_storage


def entry(run_id: str, message: str) -> dg.EventLogEntry:
    return dg.EventLogEntry(
        error_info=None, level=20, user_message=message, run_id=run_id, timestamp=time.time(), dagster_event=None
    )


def messages(log: SqliteEventLogStorage, run_id: str) -> list[str]:
    return [event.user_message for event in log.get_logs_for_run(run_id)]


def open_files(below: Path) -> set[str]:
    """Names of the databases that this process has open."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = descriptor.readlink()
        except FileNotFoundError:
            continue
        if target.suffix == ".db" and target.is_relative_to(below):
            found.add(target.stem)
    return found


def test_both_classes_read_what_the_other_wrote(home: Path, instance: dg.DagsterInstance) -> None:
    with instance:
        result = dg.materialize(
            [bars],
            instance=instance,
            tags={
                "dagster/asset_partition_range_start": "2023-11-20",
                "dagster/asset_partition_range_end": "2023-11-21",
            },
        )
    plain = SqliteEventLogStorage(str(home / "history" / "runs"))
    plain.register_instance(instance)
    assert plain.get_materialized_partitions(bars.key) == {"2023-11-20", "2023-11-21"}
    written = [event.message for event in plain.get_logs_for_run(result.run_id)]
    assert len(written) > 4
    plain.store_event(entry(result.run_id, "by Dagster's own class"))
    with dg.DagsterInstance.get() as again:
        assert [event.message for event in again.all_logs(result.run_id)] == [*written, "by Dagster's own class"]
        kept(again)


def test_few_files_are_open_and_none_in_the_end(home: Path, instance: dg.DagsterInstance) -> None:
    log = kept(instance)
    for number in range(10):
        log.store_event(entry(f"run-{number}", "first"))
    assert messages(log, "run-0") == ["first"]
    assert len(open_files(home / "history" / "runs")) <= 4
    log.dispose()
    assert open_files(home / "history" / "runs") == set()
    assert messages(log, "run-9") == ["first"]  # a closed one opens again


def test_a_fork_takes_connections_of_its_own_and_its_death_loses_nothing(instance: dg.DagsterInstance) -> None:
    log = kept(instance)
    log.store_event(entry("run", "parent"))

    def child() -> None:
        log.store_event(entry("run", "child"))
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(30)
    assert process.exitcode == 0
    log.store_event(entry("run", "parent again"))
    assert messages(log, "run") == ["parent", "child", "parent again"]


def test_a_wiped_log_starts_anew(instance: dg.DagsterInstance) -> None:
    log = kept(instance)
    log.store_event(entry("run", "before"))
    log.wipe()
    log.store_event(entry("run", "after"))
    assert messages(log, "run") == ["after"]


def test_the_command_line_has_it_and_a_storage_that_a_person_chose_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    settings = Settings.load(tmp_path, env={})
    with local_instance(settings) as opened:
        kept(opened).store_event(entry("run", "by the command line"))
    elsewhere = tmp_path / "elsewhere"
    chosen = settings.dagster_home / "dagster.yaml"
    chosen.write_text(f"storage:\n  sqlite:\n    base_dir: {elsewhere}\n")
    with local_instance(settings) as opened:
        assert opened.event_log_storage.get_logs_for_run("run") == []
        assert elsewhere.exists()
    chosen.write_text("telemetry:\n  enabled: false\n")  # as homes had it before
    with local_instance(settings) as opened:
        assert messages(kept(opened), "run") == ["by the command line"]
