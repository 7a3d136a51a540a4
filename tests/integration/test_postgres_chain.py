"""The production storage: Dagster's bookkeeping and the ledger in PostgreSQL while a session goes through all stages."""

import shutil
from pathlib import Path

import pytest
from harness.day import CHAIN, load_history, materialised_at, wait_for_day
from harness.home import make_home
from harness.installation import Installation
from harness.postgres import postgres
from harness.processes import ROOT, Processes

from resources.ledger import Ledger

pytestmark = pytest.mark.slow


@pytest.mark.timeout(1200)
def test_a_session_from_minutes_to_orders_with_everything_kept_in_postgresql(
    tmp_path: Path, processes: Processes
) -> None:
    home = tmp_path / "home"
    *earlier, session = (day.isoformat() for day in make_home(home, sessions=4))
    dagster_home = home / "dagster"
    dagster_home.mkdir()
    shutil.copy(ROOT / "deploy" / "dagster.yaml", dagster_home)
    with postgres() as server:
        environment = {
            **server.dagster_env,
            "DAGSTER_LOCAL_DIR": str(tmp_path / "local"),
            "DAGSTER_EVENT_BATCH_SIZE": "500",
            "LEDGER_URL": server.ledger_url,
        }
        desk = Installation(home, processes, env=environment).start()
        load_history(desk, earlier)
        promotions = desk.wait_for_job("promotion_job", 120)
        assert {run.status for run in promotions} == {"SUCCESS"}

        desk.graphql.launch("market_data_job", {"dagster/partition": session, "session": session})
        wait_for_day(desk, session, 150)
        times = list(materialised_at(desk, session).values())
        assert times == sorted(times)

        ledger = Ledger(server.ledger_url)
        rows = {table: last for table, (last, _) in ledger.heads().items()}
        assert rows["promotion_decisions"] > 0 and rows["order_intents"] > 0 and rows["portfolio_worth"] > 0
        assert rows["backtest_results"] > 0
        assert ledger.verify() == []
        ledger.close()
        stored = dict(server.query("dagster", "SELECT pipeline_name, count(*) FROM runs GROUP BY 1"))
        assert {job: int(stored[job]) for job in CHAIN} == {
            "market_data_job": 2,
            "research_job": 2,
            "trading_job": 1,
            "report_job": 1,
        }
        for service in ("daemon", "webserver", "code-server"):
            desk.stop(service)
    assert not (home / "ledger.db").exists()
    assert [file.name for file in dagster_home.iterdir()] == ["dagster.yaml"]
    shown = "".join(log.read_text(errors="replace") for log in processes.folder.glob("*.log"))
    for name, value in environment.items():
        assert not name.endswith("PASSWORD") or value not in shown, name
