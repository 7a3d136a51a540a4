import datetime as dt
import importlib.util
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from resources.cancellation import CancellationFailed
from resources.kill_switch import engage
from resources.reconcile import reconcile
from resources.router import SessionPassed
from trading.errors import ConfigError, OrderError
from trading.orders import OrderState
from trading.ports.broker import BrokerUnavailable

if "orders_market" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("orders_market", Path(__file__).with_name("conftest.py"))
    sys.modules["orders_market"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["orders_market"])
kit = sys.modules["orders_market"]

FIRST, SECOND = kit.SESSIONS[:2]
NOON = dt.datetime(2023, 11, 13, 17, 0, tzinfo=dt.UTC)


@pytest.fixture
def desk(tmp_path: Path):
    return kit.make_desk(tmp_path, [kit.TestVariant("risk", kit.replay_config())])


def with_account(desk, **changes):
    desk.account = kit.make_account(list(desk.variants), **changes)
    return desk


def test_a_session_is_routed_once(desk) -> None:
    report = desk.route(FIRST)
    assert report.sent == report.intents > 20 and report.entries > 5 and not report.already_routed
    heads = desk.ledger.heads()
    again = desk.route(FIRST)
    assert again.already_routed and (again.sent, again.entries) == (0, 0)
    assert again.worth == report.worth and again.outcomes == report.outcomes
    assert {k: v for k, v in desk.ledger.heads().items() if k != "checkpoints"} == {
        k: v for k, v in heads.items() if k != "checkpoints"
    }


def test_orders_for_a_time_that_has_passed_are_refused(desk) -> None:
    wanted = desk.intents(FIRST)
    late = [wanted[4], wanted[-1]]
    desk.route(FIRST, [intent for intent in wanted if intent not in late])
    for intent in late:
        with pytest.raises(SessionPassed, match=f"{intent.order_ref}.*never sent"):
            desk.route(FIRST, [intent])
    desk.route(SECOND)
    assert [desk.ledger.state_of(intent.idempotency_key) for intent in late] == [None, None]


def test_intents_that_do_not_belong_are_refused_before_anything_is_recorded(desk) -> None:
    intent = desk.intents(FIRST)[0]
    for wrong, says in (
        (replace(intent, account="other"), "not of account paper"),
        (replace(intent, setup_time=intent.setup_time + dt.timedelta(seconds=1)), "bar"),
        (replace(intent, variant="other"), "variant"),
    ):
        with pytest.raises(OrderError, match=says):
            desk.route(FIRST, [wrong])
    assert desk.ledger.intents(None, "paper") == []


def test_an_engaged_switch_lets_nothing_out_until_a_person_releases_it(desk) -> None:
    desk.ledger.engage("variant:risk", "drill", "Ada", NOON)
    report = desk.route(FIRST)
    assert report.sent == 0 and report.refused == {"kill_switch": report.intents}
    desk.ledger.release("variant:risk", "Ada", "drill is over", NOON)
    assert desk.route(SECOND).sent > 0


def test_a_switch_that_cannot_be_read_lets_nothing_out(desk) -> None:
    sends = []
    place = desk.broker.place_bracket
    desk.broker.place_bracket = lambda group: sends.append(group) or place(group)

    def unplug(point: str) -> None:
        if point == "step_committed":
            with desk.ledger._engine.begin() as connection:
                connection.exec_driver_sql("DROP TABLE IF EXISTS kill_switch_events")

    desk.router._fault = unplug
    with pytest.raises(Exception, match="kill_switch_events"):
        desk.route(FIRST)
    assert sends == []


def test_a_daily_loss_stops_everything_and_cancels_what_is_open(desk) -> None:
    with_account(desk, breakers={"daily_loss_pct": 0.05, "drawdown_pct": 90.0})
    sends = []
    place = desk.broker.place_bracket

    def watched(group):
        assert desk.ledger.engaged_switches() == []
        sends.append(group)
        return place(group)

    desk.broker.place_bracket = watched
    report = desk.route(FIRST)
    (breach,) = report.breaches
    assert (breach.breaker, breach.scope) == ("daily_loss", "global") and breach.figure >= 0.05
    assert 0 < report.sent == sum(map(len, sends)) < report.intents
    assert [s.scope for s in desk.ledger.engaged_switches()] == ["global"]
    assert report.outcomes.keys() <= {"filled", "cancelled", "rejected"}
    reasons = {e.reason for i in desk.ledger.intents(FIRST, "paper") for e in desk.ledger.events(i.idempotency_key)}
    assert "kill_switch" in reasons
    assert desk.route(SECOND).sent == 0


@pytest.mark.parametrize(
    ("limits", "breaker"), [({"daily_loss_pct": 5.0}, "daily_loss"), ({"drawdown_pct": 5.0}, "drawdown")]
)
def test_nothing_is_entered_after_the_fill_that_broke_a_limit(tmp_path: Path, limits, breaker: str) -> None:
    """AAA loses 6 % of the book on its third bar; BBB's order, placed long before, would fill on the fifth."""
    desk = kit.make_desk(tmp_path, [kit.TestVariant("v", kit.replay_config(sizing={"mode": "fixed", "qty": 50}))])
    with_account(desk, breakers={"daily_loss_pct": 90.0, "drawdown_pct": 90.0} | limits)
    desk.account = desk.account.model_copy(
        update={"limits": desk.account.limits.model_copy(update={"hard_stop_pct": 50.0})}
    )
    start = kit.CALENDAR.open(FIRST)
    paths = {
        "AAA": [(100, 100, 100, 100), (100, 101, 100, 101), (89, 89, 88, 88), (88, 88, 88, 88), (88, 88, 88, 88)],
        "BBB": [(100, 100, 100, 100)] * 4 + [(100, 102, 100, 102)],
    }
    rows = [
        (symbol, start + dt.timedelta(minutes=5 * i), *map(float, bar), 100, FIRST)
        for symbol, path in paths.items()
        for i, bar in enumerate(path)
    ]
    desk.bars["v"] = pl.DataFrame(rows, schema=desk.bars["v"].schema, orient="row")
    schema = desk.signals["v"].schema
    levels = {"long_entry": 101.0, "sl_long": 90.0}
    signals = [{"Symbol": s, "Timestamp": start, "session": FIRST, **levels} for s in paths]
    desk.signals["v"] = pl.DataFrame([{n: row.get(n) for n in schema} for row in signals], schema=schema)
    report = desk.route(FIRST)
    assert {b.breaker for b in report.breaches} == {breaker}
    assert report.outcomes == {"filled": 1, "cancelled": 1}
    assert {(f.symbol, f.reason) for f in desk.ledger.fills("paper")} == {("AAA", "entry"), ("AAA", "sl")}
    assert desk.ledger.engaged_switches()[0].at == start + dt.timedelta(minutes=15)


def test_orders_that_will_not_be_cancelled_are_a_person_s_business(tmp_path: Path) -> None:
    variant = kit.TestVariant("risk", kit.replay_config())
    desk = kit.make_desk(tmp_path, [variant], symbols=kit.SYMBOLS, share=0.5)

    def engage(point: str) -> None:
        working = [o for o in desk.broker.open_orders("paper") if o.status == "working"]
        if point == "sent" and len(working) >= 8 and not desk.ledger.engaged_switches():
            desk.ledger.engage("account:paper", "drill", "Ada", NOON)

    desk.router._fault = engage
    desk.broker.cancel_all = lambda *_, **__: 0
    with pytest.raises(CancellationFailed, match="still open"):
        desk.route(FIRST)


@pytest.mark.parametrize("arrived", [True, False])
def test_after_an_unclear_sending_the_broker_is_asked_before_anything_is_sent(desk, arrived: bool) -> None:
    place, calls = desk.broker.place_bracket, []

    def broken(group):
        calls.append([i.order_ref for i in group])
        if len(calls) == 3:
            if arrived:
                place(group)
            raise BrokerUnavailable("connection lost")
        return place(group)

    desk.broker.place_bracket = broken
    with pytest.raises(BrokerUnavailable):
        desk.route(FIRST)
    doubtful = calls[2]
    assert all(desk.ledger.intent(ref).state == OrderState.UNKNOWN for ref in doubtful)
    report = desk.route(FIRST)
    assert report.differences == () and calls.count(doubtful) == (1 if arrived else 2)
    states = [e.state for e in desk.ledger.intent(doubtful[0]).events]
    assert states[:3] == ["intended", "submitting", "unknown"] and states[3] == "acknowledged"


def test_gates_leave_their_figures_in_the_ledger(desk) -> None:
    with_account(desk, limits={"cooldown_minutes": 0.0, "dedupe_seconds": 0.0, "hard_stop_pct": 0.05})
    report = desk.route(FIRST)
    assert report.refused.keys() == {"hard_stop"}
    refused = next(
        story
        for story in (desk.ledger.intent(i.order_ref) for i in desk.ledger.intents(FIRST, "paper"))
        if story.events[-1].reason == "hard_stop"
    )
    gates = refused.events[-1].payload["gates"]
    assert len(gates) == 13 and [g["code"] for g in gates if not g["passed"]] == ["hard_stop"]
    assert gates[8]["figures"]["risk_pct"] > 0.05 == gates[8]["figures"]["limit"]


def test_a_cooldown_holds_re_entries_back(desk) -> None:
    with_account(desk, limits={"cooldown_minutes": 30.0, "dedupe_seconds": 0.0})
    assert desk.route(FIRST).refused.keys() == {"cooldown"}


def test_positions_are_flattened_before_the_close_where_the_account_says_so(desk) -> None:
    with_account(desk, flatten_minutes=30.0, moc_guard_minutes=60.0)
    close = kit.CALENDAR.close(FIRST)
    report = desk.route(FIRST)
    fills = desk.ledger.fills("paper", session=FIRST)
    assert report.exits == report.entries
    assert max(f.at for f in fills if f.leg == "entry") < close - dt.timedelta(minutes=60)
    assert max(f.at for f in fills) <= close - dt.timedelta(minutes=30)
    assert max(i.valid_from for i in desk.ledger.intents(FIRST, "paper")) <= close - dt.timedelta(minutes=60)


def test_a_market_on_close_order_in_time_holds_positions_to_the_close(desk) -> None:
    with_account(desk, flatten_minutes=30.0, moc_guard_minutes=10.0)
    close = kit.CALENDAR.close(FIRST)
    report = desk.route(FIRST)
    fills = desk.ledger.fills("paper", session=FIRST)
    assert report.exits == report.entries
    assert {i.flatten_type for i in desk.ledger.intents(FIRST, "paper")} == {"MOC"}
    late = [f for f in fills if f.reason == "eod"]
    assert late and {f.at for f in late} == {
        close - dt.timedelta(minutes=5)
    }  # the start of the last bar, as a replay has it


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        ("UPDATE orders SET status = 'cancelled' WHERE status = 'working'", "missing_order"),
        ("INSERT INTO orders SELECT 'stranger', 'x', account, variant, symbol, side, qty, 'working', 0, '' FROM orders LIMIT 1",
         "unknown_order"),
    ],
)  # fmt: skip
def test_a_difference_is_recorded_and_bars_new_entries(tmp_path: Path, harm: str, kind: str) -> None:
    swing = kit.TestVariant("swing", kit.replay_config(exit_at_session_end=False, valid_sessions=2))
    desk = kit.make_desk(tmp_path, [swing])
    desk.route(FIRST)
    assert reconcile("paper", desk.ledger, desk.broker) == []
    with sqlite3.connect(tmp_path / "broker.db") as db:
        db.execute(harm)
    db.close()
    report = desk.route(SECOND)
    assert kind in {d.kind for d in report.differences}
    assert report.sent == 0 and report.refused["not_reconciled"] > 0
    assert desk.ledger.risk_events("paper", kind, SECOND)[0].severity == "error"


def test_positions_are_compared_by_quantity_and_protection(tmp_path: Path) -> None:
    swing = kit.TestVariant("swing", kit.replay_config(exit_at_session_end=False, valid_sessions=2))
    desk = kit.make_desk(tmp_path, [swing], symbols=kit.SYMBOLS)
    desk.route(FIRST)
    held = desk.broker.positions("paper")
    assert len(held) >= 2
    altered = [replace(held[0], qty=held[0].qty + 1), replace(held[1], order_ref="stranger"), *held[2:]]
    desk.broker.positions = lambda _: altered
    kinds = {(d.kind, d.order_ref) for d in reconcile("paper", desk.ledger, desk.broker)}
    assert kinds == {
        ("quantity_differs", held[0].order_ref), ("orphan_position", "stranger"), ("missing_exit", "stranger"),
        ("missing_position", held[1].order_ref),
    }  # fmt: skip


def test_worth_can_be_computed_again_from_fills(desk) -> None:
    for session in kit.SESSIONS[:3]:
        desk.route(session)
    worth = desk.ledger.worth("paper", "risk")
    trades = desk.trades("risk").with_columns(pl.col("exit_time").dt.date().alias("day"))
    assert [w.session for w in worth] == kit.SESSIONS[:3]
    for w in worth:
        today = trades.filter(pl.col("day") == w.session)
        assert (w.trades, w.pnl) == (today.height, pytest.approx(today["pnl"].sum(), abs=1e-8))
    assert worth[-1].equity == pytest.approx(10_000 + trades["pnl"].sum(), abs=1e-8)
    assert worth[-1].peak == max(10_000.0, *(w.equity for w in worth))


def test_stopping_records_first_and_cancels_what_is_in_scope(tmp_path: Path) -> None:
    names = ("one", "two")
    config = kit.replay_config(exit_at_session_end=False, valid_sessions=2)
    desk = kit.make_desk(tmp_path, [kit.TestVariant(name, config) for name in names], symbols=kit.SYMBOLS, share=0.3)
    desk.route(FIRST)

    def working() -> set[str]:
        return {o.variant for o in desk.broker.open_orders("paper") if o.status == "working"}

    assert working() == {"one", "two"}
    positions = desk.broker.positions("paper")

    def stop(broker, scope: str):
        return engage(desk.ledger, [(desk.account, broker)], scope=scope, reason="drill", by="Ada", at=NOON)

    deaf = stop(Deaf(desk.broker), "book:paper/one")
    assert deaf.cancelled == 0 and len(deaf.still_open) > 0 and desk.ledger.is_engaged("paper", "one")
    heard = stop(desk.broker, "book:paper/one")
    assert heard.cancelled > 0 and heard.still_open == ()
    assert working() == {"two"} and not desk.ledger.is_engaged("paper", "two")
    with pytest.raises(ConfigError, match="covers no book"):
        stop(desk.broker, "account:other")
    assert stop(desk.broker, "global").cancelled > 0
    assert working() == set() and desk.broker.positions("paper") == positions
    assert desk.route(SECOND).differences == ()


class Deaf:
    """A broker that takes cancellations and does nothing."""

    def __init__(self, broker) -> None:
        self.open_orders = broker.open_orders

    def cancel_all(self, *_, **__) -> int:
        return 0
