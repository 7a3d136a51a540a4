"""A broker in a process of its own, killed and started again under an account that trades, reconciled from the command line."""

import datetime as dt
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml
from harness.home import make_home
from harness.processes import BIN, Processes, clean_environment

from resources.brokers.simulated import BrokerAddress, RemoteBroker
from resources.ledger import Ledger
from trading.orders import OrderIntent
from trading.ports.broker import BrokerUnavailable
from trading.replay import ReplayConfig
from trading_assets.cli import main
from trading_assets.settings import CONFIGS, Settings

pytestmark = pytest.mark.slow

DAY, OPEN = dt.date(2024, 3, 1), dt.datetime(2024, 3, 1, 14, 30, tzinfo=dt.UTC)
QUIET, UP = (100.0, 100.5, 99.5, 100.0), (100.0, 101.5, 100.0, 101.2)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def bar(number: int, prices: tuple[float, float, float, float]) -> pl.DataFrame:
    names = ["Symbol", "Timestamp", "Open", "High", "Low", "Close", "Volume", "session", "session_end"]
    row = ("AAA", OPEN + dt.timedelta(minutes=5 * number), *prices, 100, DAY, False)
    return pl.DataFrame([row], schema=names, orient="row").cast({"Timestamp": pl.Datetime("us", "UTC")})


def stranger() -> OrderIntent:
    return OrderIntent(
        idempotency_key="x" * 64, order_ref="stranger", oco_id="stranger", account="paper", variant="risk1",
        strategy_version="s", symbol="AAA", side=1, qty=10.0, entry=101.0, stop=99.0, target=None, setup_time=OPEN,
        session=DAY, valid_sessions=0, valid_from=OPEN + dt.timedelta(minutes=5), valid_to=OPEN.replace(hour=21),
    )  # fmt: skip


def answers(remote: RemoteBroker) -> bool:
    try:
        remote.connect()
    except BrokerUnavailable:
        return False
    return True


def test_a_broker_process_and_the_commands_around_it(
    tmp_path: Path, processes: Processes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    make_home(home, sessions=2)
    shutil.copytree(CONFIGS, tmp_path / "configs")
    monkeypatch.setenv("TRADING_CONFIGS", str(tmp_path / "configs"))
    settings = Settings.load(home)
    file, address = tmp_path / "configs" / "accounts" / "paper.yml", f"unix:{tmp_path}/b"
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**content, "broker_address": address, "reconcile_policy": "halt"}))
    options = ("--home", str(home))

    assert run("reconcile", *options) == 1 and "nobody answers" in capsys.readouterr().err
    command = [BIN / "trading", "broker", "simulate", "paper", *options]
    environment = clean_environment(TRADING_CONFIGS=str(tmp_path / "configs"))
    started = processes.start("broker", command, environment)
    remote = RemoteBroker(BrokerAddress.parse(address), seconds=20)
    processes.wait_until("the broker listens", lambda: answers(remote), 60)
    assert run("reconcile", "paper", *options) == 0 and "broker and ledger agree" in capsys.readouterr().out

    remote.open_book(
        "paper", "risk1", ReplayConfig.model_validate({"initial_cash": content["variants"]["risk1"]["capital"]})
    )
    remote.advance("paper", "risk1", bar(0, QUIET))
    assert remote.place_bracket([stranger()])[0].status == "working"
    remote.advance("paper", "risk1", bar(1, UP))
    remote.close()
    processes.kill(started)
    processes.start("broker", command, environment)
    processes.wait_until("the broker is back", lambda: answers(remote), 60)

    assert run("reconcile", "paper", *options) == 1
    assert "orphan_position stranger" in capsys.readouterr().out
    ledger = Ledger(settings.ledger_url)
    assert {e.kind for e in ledger.risk_events("paper")} >= {"orphan_position", "unknown_fill"}
    (alert,) = [json.loads(line) for line in (home / "alerts" / "alerts.jsonl").read_text().splitlines()]
    assert alert["severity"] == "critical" and "orphan_position" in alert["what"]
    assert run("reconcile", "paper", "--policy", "flatten", *options) == 0
    assert "position in AAA closed" in capsys.readouterr().out and remote.positions("paper") == []

    assert run("metrics", *options) == 0
    assert 'reconcile_differences_total{account="paper",kind="orphan_position"} ' in capsys.readouterr().out
    assert run("metrics", "--textfile", str(tmp_path / "orders.prom"), *options) == 0
    assert "# TYPE latency_ms histogram" in (tmp_path / "orders.prom").read_text()
    remote.close()
    ledger.close()
