"""Interactive Brokers and the ledger: orders, fills, fees and money agree, and what differs is found and mended."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from harness.ibkr_gateway import AAA, DAY, Gateway, account, gateway, intent
from harness.tws_server import ACCOUNT

from resources.intake import Intake
from resources.ledger import Ledger
from resources.reconcile import Reconciler
from trading.orders.lifecycle import OrderState
from trading.ports.broker import BrokerUnavailable


@pytest.fixture
def tws(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as running:
        yield running


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path}/ledger.db")


def record(ledger: Ledger, intake: Intake, wished, at) -> None:
    ledger.record_intents([wished])
    with ledger.write() as w:
        intake.move(w, wished, OrderState.SUBMITTING, at)


def test_a_round_trip_is_in_the_ledger_with_the_brokers_fees(tws: Gateway, ledger: Ledger) -> None:
    broker, now = tws.broker(), tws.clock()
    intake = Intake(ledger, broker, "desk")
    wished = intent(1)
    record(ledger, intake, wished, now)
    intake.note_acknowledged([wished] if broker.place_bracket([wished])[0].status == "working" else [], {})
    tws.desk.fill("AAA0L", 4.0)
    reconciler = Reconciler(ledger, broker, account(), intake)
    assert reconciler.run(now, DAY).clean
    assert ledger.state_of(wished.idempotency_key) == OrderState.PARTIALLY_FILLED
    tws.desk.fill("AAA0L")
    tws.desk.fill("AAA0L:tp")
    assert reconciler.run(now, DAY).clean and ledger.open_positions("desk") == []
    fills = ledger.fills("desk")
    assert [(f.leg, f.qty, f.price, f.fee) for f in fills] == [
        ("entry", 4.0, 101.0, 0.02), ("entry", 6.0, 101.0, 0.03), ("exit", 10.0, 105.0, 0.05),
    ]  # fmt: skip
    # 10 * (105 - 101), less what was charged
    assert ledger.realised("desk", "v", 10_000) == pytest.approx(10_000 + 40 - 0.10)
    assert broker.account_values("desk")[0].realised == pytest.approx(10_000 + 40 - 0.10)
    assert ACCOUNT.encode() not in b"".join(file.read_bytes() for file in tws.folder.glob("*.db*"))


def test_an_unknown_outcome_becomes_known_by_asking(tws: Gateway, ledger: Ledger) -> None:
    broker, now = tws.broker(), tws.clock()
    intake, wished = Intake(ledger, broker, "desk"), intent(1)
    record(ledger, intake, wished, now)
    tws.desk.cut.append("before_ack")
    with pytest.raises(BrokerUnavailable):
        broker.place_bracket([wished])
    with ledger.write() as w:
        intake.move(w, wished, OrderState.UNKNOWN, now)
    broker.connect()
    assert Reconciler(ledger, broker, account(), intake).run(now, DAY).clean
    assert ledger.state_of(wished.idempotency_key) == OrderState.ACKNOWLEDGED


def test_what_was_done_by_hand_is_a_difference_and_is_mended_by_policy(tws: Gateway, ledger: Ledger) -> None:
    broker, now = tws.broker(), tws.clock()
    intake, wished = Intake(ledger, broker, "desk"), intent(1)
    record(ledger, intake, wished, now)
    broker.place_bracket([wished])
    tws.desk.fill("AAA0L")
    tws.desk.by_hand(AAA.con_id, "AAA", -4.0, 102.0)
    stop = tws.desk.of("AAA0L:sl")
    tws.desk.cancel(stop.client_id, stop.order_id)
    halted = Reconciler(ledger, broker, account(), intake).run(now, DAY)
    assert sorted(d.kind for d in halted.left) == ["missing_exit", "quantity_differs"]
    config = account(reconcile_policy="adopt")
    mended = Reconciler(ledger, broker, config, intake).run(now, DAY)
    assert mended.clean and [(p.qty, p.order_ref) for p in ledger.open_positions("desk")] == [(6.0, "AAA0L")]
    found = broker.find("AAA0L")
    assert (found.stop_qty, found.target_qty, found.stop) == (6.0, 6.0, 99.0)


# -- the commands of the one who sets it up --


@pytest.fixture
def home(tws: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    configs = tmp_path / "configs"
    shutil.copytree(Path(__file__).parents[3] / "configs", configs)
    (configs / "accounts" / "desk.yml").write_text(
        "broker: ibkr\nvariants: {fixed1: {capital: 10000}}\nibkr: {answer_seconds: 2}\n"
    )
    monkeypatch.setenv("TRADING_CONFIGS", str(configs))
    monkeypatch.setenv("IBKR_ACCOUNT", ACCOUNT)
    monkeypatch.setenv("IBKR_PORT", str(tws.server.port))
    return tmp_path / "home"


def run(home: Path, *arguments: str):
    from trading_assets.cli import trading

    return CliRunner().invoke(trading, ["broker", *arguments, "--home", str(home)])


def test_check_says_what_is_right_and_what_is_wrong(tws: Gateway, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from harness.vendor_bars import minute_bars

    tws.tws.bars = {AAA.con_id: minute_bars([DAY], 100)}
    tws.tws.days_are = "dates"
    good = run(home, "check", "desk", "--symbol", "AAA")
    assert good.exit_code == 0 and "WRONG" not in good.output and ACCOUNT not in good.output
    assert "tick 0.01" in good.output and "960 minutes of AAA" in good.output and not tws.desk.orders
    tws.tws.clock = lambda: time.time() - 60
    late = run(home, "check", "desk", "--symbol", "NONE")
    assert late.exit_code == 1
    assert re.search(r"WRONG  clock: \+6[01] s against TWS", late.output) and "has no contract" in late.output
    monkeypatch.setenv("IBKR_PORT", "4001")
    live = run(home, "check", "desk")
    assert live.exit_code == 1 and "port 4001 is a live one" in live.output


def test_the_first_bracket_goes_and_is_taken_back(tws: Gateway, home: Path) -> None:
    levels = ("--symbol", "AAA", "--entry", "120", "--stop", "119", "--target", "121")
    said = run(home, "try", "desk", *levels)
    assert said.exit_code == 0, said.output
    assert "working" in said.output and "taken back" in said.output and "ledger: cancelled" in said.output
    assert [(o.type, o.qty, o.status) for o in tws.desk.orders] == [
        ("STP", 1.0, "Cancelled"), ("STP", 1.0, "Cancelled"), ("LMT", 1.0, "Cancelled"),
    ]  # fmt: skip
    Ledger(f"sqlite:///{home}/ledger.db").engage("global", "a test", by="t", at=tws.clock())
    refused = run(home, "try", "desk", *levels)
    assert refused.exit_code != 0 and len(tws.desk.orders) == 3
