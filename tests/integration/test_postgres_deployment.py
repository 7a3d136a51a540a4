"""deploy/dagster.yaml and the operators' backup on a PostgreSQL of this test's own."""

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.run_coordinator import QueuedRunCoordinator
from harness.postgres import Postgres, postgres
from harness.processes import ROOT

from resources.ledger import Ledger

pytestmark = pytest.mark.slow

AT = dt.datetime(2023, 11, 24, 18, 3, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture
def dagster_home(tmp_path: Path) -> Path:
    home = tmp_path / "dagster-home"
    home.mkdir()
    shutil.copy(ROOT / "deploy" / "dagster.yaml", home)
    return home


def test_dagster_keeps_its_records_in_postgresql_and_nothing_beside_its_configuration(
    server: Postgres, dagster_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**server.dagster_env, "DAGSTER_LOCAL_DIR": str(tmp_path / "local")}.items():
        monkeypatch.setenv(name, value)

    @dg.asset
    def worth() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"equity": 100_000.0})

    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        result = dg.materialize([worth], instance=instance)
        coordinator = instance.run_coordinator
        assert isinstance(coordinator, QueuedRunCoordinator)
        assert instance.get_concurrency_config().run_queue_config is not None
        assert instance.run_monitoring_enabled
    assert server.query("dagster", "SELECT run_id, status FROM runs") == [[result.run_id, "SUCCESS"]]
    assert [file.name for file in dagster_home.iterdir()] == ["dagster.yaml"]


def test_a_variable_that_is_missing_is_named(
    server: Postgres, dagster_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {**server.dagster_env, "DAGSTER_LOCAL_DIR": str(tmp_path / "local")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DAGSTER_PG_PASSWORD")
    with pytest.raises(dg.DagsterInvalidConfigError, match="DAGSTER_PG_PASSWORD"):
        dg.DagsterInstance.from_config(str(dagster_home))


def test_the_ledger_comes_back_from_its_backup_with_its_chain_and_its_triggers(server: Postgres) -> None:
    ledger = Ledger(server.ledger_url, clock=lambda: AT)
    ledger.engage("global", "drill", by="test", at=AT, breach_id="breach-1")
    ledger.release("global", by="Ada", reason="drill over", at=AT)
    heads = ledger.heads()
    ledger.close()
    dump = server.run("pg_dump", "-U", "postgres", "-Fc", "ledger")

    server.query("postgres", "CREATE DATABASE restored OWNER trading_ledger")
    server.run("pg_restore", "-U", "postgres", "-d", "restored", "--exit-on-error", stdin=dump)

    restored = Ledger(server.ledger_url.replace("/ledger", "/restored"), clock=lambda: AT)
    assert restored.verify() == []
    assert restored.heads() == heads
    assert heads["kill_switch_events"][0] == 2
    restored.engage("global", "again", by="test", at=AT, breach_id="breach-2")
    assert restored.verify() == []
    restored.close()
    for statement in ("UPDATE kill_switch_events SET reason = 'x'", "DELETE FROM kill_switch_events"):
        with pytest.raises(AssertionError, match="append"):
            server.query("restored", statement)
