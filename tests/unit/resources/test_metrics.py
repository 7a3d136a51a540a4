"""Metrics of a ledger whose every row is known."""

import datetime as dt
import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from resources.ledger import Fill, Ledger, RiskEvent
from resources.logs import JsonFormatter
from resources.metrics import order_registry, write_metrics
from resources.order_log import order_fields
from trading.orders import OrderIntent, OrderState

AT = dt.datetime(2024, 3, 1, 15, 0, tzinfo=dt.UTC)


def intent(ref: str) -> OrderIntent:
    return OrderIntent(
        idempotency_key=ref * 8, order_ref=ref, oco_id=f"{ref}-oco", account="paper", variant="v", strategy_version="s",
        symbol="AAA", side=1, qty=10.0, entry=101.0, stop=99.0, target=None, setup_time=AT, session=AT.date(),
        valid_sessions=0, valid_from=AT, valid_to=AT.replace(hour=21),
    )  # fmt: skip


def fill(ref: str, leg: str, realised: float) -> Fill:
    return Fill(
        f"{ref}-{leg}", "paper", "v", AT.date(), ref * 8, ref, "AAA", leg, 1, 10.0, 101.0, 0.5, realised, leg, AT, None
    )


@pytest.fixture
def ledger(tmp_path: Path):
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    sent, refused = intent("a"), intent("b")
    opened.record_intents([sent, refused])
    opened.record_event(sent, OrderState.SUBMITTING, at=AT)
    latency = {"signal_to_send": 3.0, "send_to_ack": 0.4}
    opened.record_event(sent, OrderState.ACKNOWLEDGED, at=AT, payload={"latency_ms": latency})
    opened.record_event(refused, OrderState.REJECTED, at=AT, reason="hard_stop")
    opened.record_fill(fill("a", "entry", -0.5))
    opened.record_fill(fill("a", "exit", 19.5))
    opened.record_risk_event(RiskEvent(AT, "paper", "v", "missing_exit", "error", "no stop"))
    opened.record_risk_event(RiskEvent(AT, "paper", "v", "session_routed", "info", "complete"))
    yield opened
    opened.close()


def test_what_is_exposed(ledger: Ledger) -> None:
    registry = order_registry(ledger)
    book = {"account": "paper", "variant": "v"}
    value = registry.get_sample_value
    assert value("orders_sent_total", book) == 1.0
    registry = order_registry(ledger)  # a process that starts later counts the same
    value = registry.get_sample_value
    assert value("orders_sent_total", book) == 1.0
    expected = {
        ("fills_total", "leg", "entry"): 1.0, ("fills_total", "leg", "exit"): 1.0,
        ("rejects_total", "reason", "hard_stop"): 1.0,
    }  # fmt: skip
    text = generate_latest(order_registry(ledger)).decode()
    registry = order_registry(ledger)
    samples = {(s.name, tuple(sorted(s.labels.items()))): s.value for f in registry.collect() for s in f.samples}
    for (name, label, which), count in expected.items():
        assert samples[name, tuple(sorted({**book, label: which}.items()))] == count
    assert samples["pnl_realized", tuple(sorted(book.items()))] == 19.0
    assert samples["reconcile_differences_total", (("account", "paper"), ("kind", "missing_exit"))] == 1.0
    assert samples["kill_switch_engaged", (("scope", "global"),)] == 0.0
    assert 'latency_ms_bucket{account="paper",le="2.5",stage="signal_to_send"} 0.0' in text
    assert 'latency_ms_bucket{account="paper",le="5.0",stage="signal_to_send"} 1.0' in text
    assert 'latency_ms_sum{account="paper",stage="send_to_ack"} 0.4' in text


def test_a_registry_follows_the_ledger_and_the_file_is_replaced_as_a_whole(ledger: Ledger, tmp_path: Path) -> None:
    registry, file = order_registry(ledger), tmp_path / "collected" / "orders.prom"
    book = {"account": "paper", "variant": "v"}
    assert registry.get_sample_value("fills_total", {**book, "leg": "entry"}) == 1.0
    write_metrics(ledger, file)
    before = file.read_text()
    other = replace(fill("a", "entry", -0.5), execution_id="another")
    ledger.record_fill(other)
    ledger.engage("book:paper/v", "drill", "Ada", AT)
    assert registry.get_sample_value("fills_total", {**book, "leg": "entry"}) == 2.0
    assert registry.get_sample_value("kill_switch_engaged", {"scope": "book:paper/v"}) == 1.0
    ledger.release("book:paper/v", "Ada", "over", AT)
    assert registry.get_sample_value("kill_switch_engaged", {"scope": "book:paper/v"}) == 0.0
    write_metrics(ledger, file)
    assert file.read_text() != before and [f.name for f in file.parent.iterdir()] == ["orders.prom"]


def test_a_log_line_about_an_order_carries_what_it_can_be_followed_by() -> None:
    record = logging.makeLogRecord(
        {"msg": "order sent", "name": "resources.router", **order_fields(intent("a"), price=1.5)}
    )
    line = json.loads(JsonFormatter({"run_id": "r1"}).format(record))
    assert {name: line[name] for name in ("run_id", "oco_id", "order_ref", "symbol", "side", "prices", "message")} == {
        "run_id": "r1", "oco_id": "a-oco", "order_ref": "a", "symbol": "AAA", "side": "long",
        "prices": {"entry": 101.0, "stop": 99.0, "price": 1.5}, "message": "order sent",
    }  # fmt: skip
