"""Every kind of difference, provoked at a real broker's state file or in the ledger, under every policy."""

import datetime as dt
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest

from resources.brokers.simulated import SimulatedBroker
from resources.intake import Intake
from resources.ledger import Ledger
from resources.reconcile import Reconciler, Reconciliation
from trading.accounts import AccountConfig
from trading.orders import OrderIntent, OrderState
from trading.replay import ReplayConfig

DAY = dt.date(2024, 3, 1)
OPEN = dt.datetime(2024, 3, 1, 14, 30, tzinfo=dt.UTC)
QUIET, UP = (100.0, 100.5, 99.5, 100.0), (100.0, 101.5, 100.0, 101.2)
SYMBOLS = ("AAA", "BBB", "CCC")
POLICIES = ("halt", "protect", "flatten", "adopt")


def bars(number: int, **prices: tuple[float, float, float, float]) -> pl.DataFrame:
    rows = [
        (symbol, OPEN + dt.timedelta(minutes=5 * number), *prices.get(symbol, QUIET), 100, DAY, False)
        for symbol in SYMBOLS
    ]
    names = ["Symbol", "Timestamp", "Open", "High", "Low", "Close", "Volume", "session", "session_end"]
    return pl.DataFrame(rows, schema=names, orient="row").cast({"Timestamp": pl.Datetime("us", "UTC")})


def intent(symbol: str, **changes) -> OrderIntent:
    base = OrderIntent(
        idempotency_key=symbol * 20, order_ref=symbol, oco_id=f"{symbol}-oco", account="paper", variant="v",
        strategy_version="s", symbol=symbol, side=1, qty=10.0, entry=101.0, stop=99.0, target=110.0, setup_time=OPEN,
        session=DAY, valid_sessions=0, valid_from=OPEN + dt.timedelta(minutes=5), valid_to=OPEN.replace(hour=21),
    )  # fmt: skip
    return replace(base, **changes)


@dataclass
class Desk:
    """AAA is held, by broker and ledger; CCC's entry works, far away; BBB is nobody's."""

    ledger: Ledger
    broker: SimulatedBroker
    file: Path

    @classmethod
    def open(cls, folder: Path) -> "Desk":
        desk = cls(
            Ledger(f"sqlite:///{folder / 'ledger.db'}"), SimulatedBroker(folder / "broker.db"), folder / "broker.db"
        )
        desk.broker.open_book("paper", "v", ReplayConfig.model_validate({"initial_cash": 100_000.0}))
        desk.broker.advance("paper", "v", bars(0))
        for wished in (intent("AAA"), intent("CCC", entry=150.0, stop=140.0, target=None)):
            desk.ledger.record_intents([wished])
            desk.ledger.record_event(wished, OrderState.SUBMITTING, at=OPEN)
            desk.broker.place_bracket([wished])
        return desk

    def play(self) -> None:
        self.broker.advance("paper", "v", bars(1, AAA=UP, BBB=UP))

    def reconcile(self, policy: str = "halt") -> Reconciliation:
        account = AccountConfig.model_validate(
            {"name": "paper", "variants": {"v": {"capital": 100_000.0}}, "reconcile_policy": policy}
        )
        intake = Intake(self.ledger, self.broker, "paper")
        return Reconciler(self.ledger, self.broker, account, intake).run(OPEN + dt.timedelta(minutes=10), DAY)

    def sql(self, *statements: str) -> None:
        with sqlite3.connect(self.file) as db:
            for statement in statements:
                db.execute(statement)
        db.close()

    def held(self) -> tuple[dict[str, float], dict[str, float]]:
        """By order_ref, at the broker and in the ledger."""
        return (
            {p.order_ref: p.side * p.qty for p in self.broker.positions("paper")},
            {p.order_ref: p.side * p.qty for p in self.ledger.open_positions("paper")},
        )

    def working(self) -> set[str]:
        return {o.order_ref for o in self.broker.open_orders("paper") if o.status == "working"}


def stranger_fills(desk: Desk) -> None:
    desk.broker.place_bracket([intent("BBB")])
    desk.play()


def stranger_fills_and_loses_its_stop(desk: Desk) -> None:
    stranger_fills(desk)
    desk.broker.lose_exits("BBB")


def stranger_works(desk: Desk) -> None:
    desk.play()
    desk.broker.place_bracket([intent("BBB", entry=130.0, setup_time=OPEN + dt.timedelta(minutes=5), target=140.0)])


def order_is_lost(desk: Desk) -> None:
    desk.play()
    assert desk.reconcile().clean
    desk.broker.cancel("CCC", OPEN)
    desk.sql("DELETE FROM orders WHERE order_ref = 'CCC'", "DELETE FROM events WHERE order_ref = 'CCC'")


def position_is_lost(desk: Desk) -> None:
    desk.play()
    assert desk.reconcile().clean
    desk.broker.flatten("paper", OPEN, order_ref="AAA")
    desk.sql("DELETE FROM events WHERE leg = 'exit'")


def three_are_lost(desk: Desk) -> None:
    desk.play()
    with sqlite3.connect(desk.file) as db:
        stored = json.loads(db.execute("SELECT state FROM books").fetchone()[0])
        stored["symbols"]["AAA"]["record"]["qty"] = 7.0
        db.execute("UPDATE books SET revision = revision + 1, state = ?", (json.dumps(stored),))
    db.close()


def exits_are_lost(desk: Desk) -> None:
    desk.play()
    desk.broker.lose_exits("AAA")


def target_is_lost(desk: Desk) -> None:
    desk.play()
    desk.broker.protect("AAA", 99.0, None, OPEN)


def half_of_the_stop_is_lost(desk: Desk) -> None:
    desk.play()
    open_orders, find, protect = desk.broker.open_orders, desk.broker.find, desk.broker.protect

    def halved(order):
        return replace(order, stop_qty=4.0) if order.order_ref == "AAA" and order.stop_qty else order

    def mended(*arguments):
        desk.broker.open_orders, desk.broker.find = open_orders, find
        return protect(*arguments)

    desk.broker.open_orders = lambda account: [halved(order) for order in open_orders(account)]
    desk.broker.find = lambda ref: halved(find(ref))
    desk.broker.protect = mended


# what is found, and what is left of it under protect; flatten and adopt leave nothing, halt leaves everything
CASES: list[tuple[Callable[[Desk], None], set[str], set[str]]] = [
    (stranger_fills, {"orphan_position"}, {"orphan_position"}),
    (stranger_fills_and_loses_its_stop, {"orphan_position", "missing_exit"}, {"orphan_position"}),
    (stranger_works, {"unknown_order"}, set()),
    (order_is_lost, {"missing_order"}, set()),
    (position_is_lost, {"missing_position"}, {"missing_position"}),
    (three_are_lost, {"quantity_differs"}, {"quantity_differs"}),
    (exits_are_lost, {"missing_exit"}, set()),
    (target_is_lost, {"missing_exit"}, set()),
    (half_of_the_stop_is_lost, {"exit_differs"}, set()),
]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("harm", "kinds", "left"), CASES, ids=[case[0].__name__ for case in CASES])
def test_found_recorded_and_handled(tmp_path: Path, harm, kinds: set[str], left: set[str], policy: str) -> None:
    desk = Desk.open(tmp_path)
    harm(desk)
    before, working = desk.held(), desk.working()
    outcome = desk.reconcile(policy)
    assert {d.kind for d in outcome.found} >= kinds
    assert {d.kind for d in outcome.left} == {"halt": kinds, "protect": left}.get(policy, set())
    assert {e.kind for e in desk.ledger.risk_events("paper", session=DAY) if e.severity == "error"} >= kinds
    actions = desk.ledger.risk_events("paper", "reconcile_action", DAY)
    assert [a.detail for a in actions] == list(outcome.actions)
    at_broker, in_ledger = desk.held()
    ref = outcome.found[0].order_ref
    if policy == "halt":
        assert actions == [] and at_broker == before[0] and desk.working() == working
        assert not outcome.clean
    elif policy == "protect":
        assert at_broker == before[0] and bool(actions) == (left != kinds)
    elif policy == "flatten":
        assert ref not in at_broker and ref not in desk.working() and at_broker == in_ledger
    else:
        assert at_broker == before[0] == in_ledger and desk.working() == working
    if policy != "halt":
        assert all(o.stop_qty == at_broker[o.order_ref] for o in desk.broker.open_orders("paper") if o.filled_qty)
    again = desk.reconcile(policy)
    assert again.clean == outcome.clean and desk.held() == (at_broker, in_ledger)
    assert desk.ledger.verify() == []


def test_the_levels_that_are_attached(tmp_path: Path) -> None:
    """A known order's own levels; of a stranger 2 % below its entry at 101: 98.98."""
    desk = Desk.open(tmp_path)
    stranger_fills_and_loses_its_stop(desk)
    desk.broker.lose_exits("AAA")
    desk.reconcile("protect")
    assert [(o.order_ref, o.stop, o.target) for o in desk.broker.open_orders("paper") if o.filled_qty] == [
        ("AAA", 99.0, 110.0), ("BBB", 98.98, None),
    ]  # fmt: skip


def test_a_fill_that_was_missed_is_booked_and_is_no_difference(tmp_path: Path) -> None:
    desk = Desk.open(tmp_path)
    desk.broker.events = lambda *_: []  # the stream is dead, and nobody noticed
    desk.play()
    assert desk.reconcile() == Reconciliation()
    assert desk.held() == ({"AAA": 10.0}, {"AAA": 10.0}) and desk.ledger.state_of("AAA" * 20) == OrderState.FILLED
    desk.broker.advance("paper", "v", bars(2, AAA=(101.0, 101.0, 98.0, 98.5)))
    desk.broker.cancel("CCC", OPEN, "by hand")
    assert desk.reconcile() == Reconciliation()
    assert desk.held() == ({}, {}) and desk.ledger.intent("CCC").events[-1].reason == "by hand"


def test_executions_that_are_repeated_mixed_up_and_held_back_are_booked_once_each(tmp_path: Path) -> None:
    desk = Desk.open(tmp_path)
    desk.broker.close()
    desk.broker = SimulatedBroker(desk.file, executions_per_fill=3)
    desk.play()
    desk.broker.advance("paper", "v", bars(2, AAA=(101.0, 101.0, 98.0, 98.5)))
    told = desk.broker.events("paper")
    exits, entries = [e for e in told if e.leg == "exit"], [e for e in told if e.leg == "entry"]
    desk.broker.events = lambda *_: [exits[0], *reversed(told), exits[1], entries[0]]
    intake = Intake(desk.ledger, desk.broker, "paper")
    for _ in range(2):
        with desk.ledger.write() as w:
            intake.take_in(w)
    fills = desk.ledger.fills("paper")
    assert [(f.leg, f.qty) for f in fills] == [(e.leg, e.qty) for e in told if e.kind == "fill"] and len(fills) == 6
    states = [str(e.state) for e in desk.ledger.intent("AAA").events]
    assert states == ["intended", "submitting", "partially_filled", "partially_filled", "filled"]
    assert sum(f.realised for f in fills) == pytest.approx(-20.0)  # 10 bought at 101, sold at 99


def test_an_exit_that_comes_before_its_entry_waits_for_it(tmp_path: Path) -> None:
    desk = Desk.open(tmp_path)
    desk.play()
    desk.broker.advance("paper", "v", bars(2, AAA=(101.0, 101.0, 98.0, 98.5)))
    told, executions = desk.broker.events("paper"), desk.broker.executions
    desk.broker.events = lambda *_: [e for e in told if e.leg == "exit"]
    desk.broker.executions = lambda *_: []
    intake = Intake(desk.ledger, desk.broker, "paper")
    with desk.ledger.write() as w:
        assert not intake.take_in(w)
    desk.broker.executions = executions
    with desk.ledger.write() as w:
        assert intake.take_in(w)
    assert [f.leg for f in desk.ledger.fills("paper")] == ["entry", "exit"]
