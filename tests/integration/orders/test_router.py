import datetime as dt
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from harness import order_market as kit

from resources.brokers.simulated import SimulatedBroker
from resources.cancellation import CancellationFailed
from resources.kill_switch import engage
from resources.reconcile import reconcile
from resources.router import Router, SessionPassed
from trading.errors import ConfigError, OrderError
from trading.orders import OrderState
from trading.ports.broker import BrokerUnavailable

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
    desk.router = Router(desk.ledger, desk.broker, kit.CALENDAR, reconnects=0)
    with pytest.raises(BrokerUnavailable):
        desk.route(FIRST)
    doubtful = calls[2]
    assert all(desk.ledger.intent(ref).state == OrderState.UNKNOWN for ref in doubtful)
    report = desk.route(FIRST)
    assert report.differences == () and calls.count(doubtful) == (1 if arrived else 2)
    states = [e.state for e in desk.ledger.intent(doubtful[0]).events]
    again = [] if arrived else ["submitting"]
    assert states[: 4 + len(again)] == ["intended", "submitting", "unknown", *again, "acknowledged"]


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
    with_account(desk, limits={"cooldown_minutes": 30.0, "dedupe_seconds": 0.0, "kelly": None})
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


def strange(desk, symbol: str):
    """An order that only the broker knows, good for the next session."""
    like = desk.intents(FIRST)[-1]
    clock = desk.broker.clock("paper", like.variant)
    price = desk.bars[like.variant].filter((pl.col("Symbol") == symbol) & (pl.col("session") == FIRST))["Close"][-1]
    intent = replace(
        like, order_ref="stranger", idempotency_key="stranger", oco_id="stranger", symbol=symbol, side=1, qty=5.0,
        entry=round(price * 1.0002, 2), stop=round(price * 0.99, 2), target=None, setup_time=clock, valid_sessions=2,
    )  # fmt: skip
    assert desk.broker.place_bracket([intent])[0].status == "working"


@pytest.fixture
def swing(tmp_path: Path):
    config = kit.replay_config(exit_at_session_end=False, valid_sessions=2)
    desk = kit.make_desk(tmp_path, [kit.TestVariant("swing", config)], symbols=kit.SYMBOLS[:4], share=0.05)
    desk.route(FIRST)
    assert reconcile("paper", desk.ledger, desk.broker) == []
    return desk


def free_symbol(desk) -> str:
    busy = {p.symbol for p in desk.broker.positions("paper")} | {o.symbol for o in desk.broker.open_orders("paper")}
    return next(symbol for symbol in kit.SYMBOLS[:4] if symbol not in busy)


def test_a_difference_is_recorded_and_bars_new_entries(swing) -> None:
    strange(swing, free_symbol(swing))
    report = swing.route(SECOND)
    assert {d.kind for d in report.differences} >= {"unknown_order"}
    assert report.sent == 0 and report.refused.keys() == {"not_reconciled"}
    assert swing.ledger.risk_events("paper", "unknown_order", SECOND)[0].severity == "error"


def test_what_the_policy_mends_lets_the_session_go_on(swing) -> None:
    with_account(swing, reconcile_policy="protect", reconcile_seconds=300)
    strange(swing, free_symbol(swing))
    report = swing.route(SECOND)
    assert {d.kind for d in report.differences} == {"unknown_order"} and report.sent > 0
    assert swing.broker.find("stranger").reason == "reconcile"
    (action,) = swing.ledger.risk_events("paper", "reconcile_action", SECOND)
    assert "cancelled" in action.detail and action.figures["policy"] == "protect"


def test_a_stop_that_is_lost_within_the_session_rests_again_after_one_interval(swing) -> None:
    with_account(swing, reconcile_policy="protect", reconcile_seconds=600)
    advance, without = swing.broker.advance, {}

    def losing(account, variant, bars):
        """Exits are lost right after the fill; how long each position stays without them, in the market's time."""
        now = bars["Timestamp"].max()
        for order in swing.broker.open_orders(account):
            if order.order_ref in without and order.protected:
                assert now - without.pop(order.order_ref) <= dt.timedelta(minutes=15)
        count = advance(account, variant, bars)
        for order in swing.broker.open_orders(account):
            if order.protected and order.order_ref not in seen:
                seen.add(order.order_ref)
                without[order.order_ref] = now
                swing.broker.lose_exits(order.order_ref)
        return count

    seen = {order.order_ref for order in swing.broker.open_orders("paper") if order.protected}
    swing.broker.advance = losing
    report = swing.route(SECOND)
    assert {d.kind for d in report.differences} == {"missing_exit"} and len(report.differences) >= 2
    assert all(order.protected for order in swing.broker.open_orders("paper") if order.filled_qty)


def test_orders_and_fills_in_parts_trade_as_whole_ones(tmp_path: Path) -> None:
    variant = kit.TestVariant("risk", kit.replay_config())
    whole, parted = kit.make_desk(tmp_path / "a", [variant]), kit.make_desk(tmp_path / "b", [variant])
    parted.broker = SimulatedBroker(tmp_path / "b" / "broker.db", executions_per_fill=3)
    parted.router = Router(parted.ledger, parted.broker, kit.CALENDAR)
    reports = [desk.route(FIRST) for desk in (whole, parted)]
    assert reports[0].outcomes == reports[1].outcomes and reports[1].differences == ()
    assert reports[1].entries > 2 * reports[0].entries
    states = {e.state for i in parted.ledger.intents(FIRST, "paper") for e in parted.ledger.events(i.idempotency_key)}
    assert OrderState.PARTIALLY_FILLED in states
    for one, other in zip(reports[0].worth, reports[1].worth, strict=True):
        assert (one.trades, one.equity) == (other.trades, pytest.approx(other.equity, abs=1e-8))


@pytest.mark.parametrize(("guard", "minutes_before"), [(15.0, 5), (0.0, 60), (90.0, 60)])
def test_market_on_close_where_the_venue_still_takes_it(tmp_path: Path, guard: float, minutes_before: int) -> None:
    """An hour before the close MOC is still taken with a cut-off 15 minutes before it: positions leave at the last bar's
    Close. With no known cut-off, or one that is past, they leave at the market there and then.
    """
    variant = kit.TestVariant("risk", kit.replay_config())
    desk = kit.make_desk(tmp_path, [variant], symbols=kit.SYMBOLS, share=0.1)
    with_account(desk, flatten_minutes=60.0, moc_guard_minutes=guard)
    desk.route(FIRST)
    close = kit.CALENDAR.close(FIRST)
    early = {
        f.order_ref for f in desk.ledger.fills("paper") if f.leg == "entry" and f.at < close - dt.timedelta(hours=1)
    }
    left = [f for f in desk.ledger.fills("paper") if f.reason == "eod" and f.order_ref in early]
    assert left and {f.at for f in left} == {close - dt.timedelta(minutes=minutes_before)}
    assert all(order.status != "working" for order in desk.broker.open_orders("paper"))


def test_the_account_pauses_while_its_broker_is_away_and_goes_on_when_it_is_back(desk) -> None:
    undisturbed = desk.broker.place_bracket
    refusals = iter([True, True, True])
    waits: list[float] = []

    def away(*args):
        if next(refusals, False):
            raise BrokerUnavailable("connection lost")
        return undisturbed(*args)

    attempts = iter([BrokerUnavailable("still away"), None, None, None])

    def connect() -> None:
        if (error := next(attempts, None)) is not None:
            raise error

    desk.broker.place_bracket, desk.broker.connect = away, connect
    desk.router = Router(desk.ledger, desk.broker, kit.CALENDAR, sleep=waits.append)
    report = desk.route(FIRST)
    assert report.differences == () and report.sent > 20 and waits == [0.1]
    assert len(desk.ledger.risk_events("paper", "broker_unavailable", FIRST)) == 1
    gone = kit.make_desk(desk.broker._store._path.parent / "gone", list(desk.variants.values()))
    gone.broker.advance = lambda *_: (_ for _ in ()).throw(BrokerUnavailable("gone"))
    gone.router = Router(gone.ledger, gone.broker, kit.CALENDAR, reconnects=2, sleep=waits.append)
    with pytest.raises(BrokerUnavailable, match="gone"):
        gone.route(FIRST)


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
        ("quantity_differs", held[0].order_ref), ("exit_differs", held[0].order_ref), ("orphan_position", "stranger"),
        ("missing_exit", "stranger"), ("missing_position", held[1].order_ref),
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
