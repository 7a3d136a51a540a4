import datetime as dt
import sqlite3
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from resources.brokers.simulated import SimulatedBroker
from trading.errors import DataError
from trading.orders import OrderIntent
from trading.ports.broker import BrokerError, BrokerUnavailable, UnknownOrder
from trading.replay import ReplayConfig

DAY = dt.date(2024, 3, 1)
OPEN = dt.datetime(2024, 3, 1, 14, 30, tzinfo=dt.UTC)
CONFIG = ReplayConfig.model_validate({"costs": {"fees_bps": 10.0, "slippage_bps": 0.0}})


def bars(
    *prices: tuple[float, float, float, float], first: int = 0, last: bool = False, symbol: str = "AAA"
) -> pl.DataFrame:
    n = len(prices)
    columns = dict(zip(("Open", "High", "Low", "Close"), map(list, zip(*prices, strict=True)), strict=True))
    return pl.DataFrame(
        {
            "Symbol": [symbol] * n,
            "Timestamp": [OPEN + dt.timedelta(minutes=5 * (first + i)) for i in range(n)],
            **columns,
            "Volume": [100] * n,
            "session": [DAY] * n,
            "session_end": [last and i == n - 1 for i in range(n)],
        },
        schema_overrides={"Timestamp": pl.Datetime("us", "UTC")},
    )


def side(direction: int, *, bar: int = 0, symbol: str = "AAA", **changes) -> OrderIntent:
    ref = f"{symbol}{bar}{'L' if direction > 0 else 'S'}"
    at = OPEN + dt.timedelta(minutes=5 * bar)
    base = OrderIntent(
        idempotency_key=ref, order_ref=ref, oco_id=f"{symbol}{bar}", account="paper", variant="v", strategy_version="s",
        symbol=symbol, side=direction, qty=10.0, entry=100.0 + direction, stop=100.0 - direction, target=None,
        setup_time=at, session=DAY, valid_sessions=0, valid_from=at + dt.timedelta(minutes=5),
        valid_to=OPEN.replace(hour=21),
    )  # fmt: skip
    return replace(base, **changes)


QUIET = (100.0, 100.5, 99.5, 100.0)
UP = (100.0, 101.5, 100.0, 101.2)


@pytest.fixture
def broker(tmp_path: Path):
    opened = SimulatedBroker(tmp_path / "broker.db")
    opened.open_book("paper", "v", CONFIG)
    yield opened
    opened.close()


def story(broker: SimulatedBroker) -> list[tuple[str, str, str, str]]:
    return [(e.kind, e.order_ref, e.leg, e.reason) for e in broker.events("paper")]


def test_a_bracket_from_entry_to_stop(broker: SimulatedBroker) -> None:
    broker.advance("paper", "v", bars(QUIET))
    placed = broker.place_bracket([side(1), side(-1)])
    assert [(p.order_ref, p.status) for p in placed] == [("AAA0L", "working"), ("AAA0S", "working")]
    broker.advance("paper", "v", bars(UP, first=1))
    (position,) = broker.positions("paper")
    assert (position.order_ref, position.side, position.qty, position.entry_price) == ("AAA0L", 1, 10.0, 101.0)
    assert [(o.order_ref, o.status, o.protected) for o in broker.open_orders("paper")] == [("AAA0L", "filled", True)]
    (values,) = broker.account_values("paper")
    # entry fee 0.1 % of 10 * 101 = 1.01; marked at 101.2: 10 * 0.2 = 2.00
    assert (values.realised, values.equity) == (pytest.approx(9_998.99), pytest.approx(10_000.99))
    broker.advance("paper", "v", bars((101.0, 101.1, 98.0, 98.5), first=2))
    assert broker.positions("paper") == [] and broker.open_orders("paper") == []
    assert story(broker) == [
        ("fill", "AAA0L", "entry", "entry"), ("cancelled", "AAA0S", "entry", "other_side_filled"),
        ("fill", "AAA0L", "exit", "sl"),
    ]  # fmt: skip
    exit_ = broker.executions("paper")[-1]
    assert (exit_.price, exit_.qty, exit_.fee) == (99.0, 10.0, pytest.approx(0.99))
    assert broker.events("paper", exit_.seq) == [] and len({e.execution_id for e in broker.executions("paper")}) == 2


def test_an_order_ref_is_placed_once_whatever_became_of_it(broker: SimulatedBroker) -> None:
    broker.advance("paper", "v", bars(QUIET))
    broker.place_bracket([side(1), side(-1)])
    broker.advance("paper", "v", bars(UP, (101.0, 101.1, 98.0, 98.5), first=1))
    before = story(broker)
    again = broker.place_bracket([side(1), side(-1)])
    assert [p.status for p in again] == ["filled", "cancelled"] and not again[0].protected
    assert story(broker) == before and broker.positions("paper") == []


def test_a_new_setup_replaces_and_a_position_refuses(broker: SimulatedBroker) -> None:
    broker.advance("paper", "v", bars(QUIET))
    broker.place_bracket([side(1)])
    broker.advance("paper", "v", bars(QUIET, first=1))
    broker.place_bracket([side(1, bar=1)])
    broker.advance("paper", "v", bars(UP, first=2))
    (refused,) = broker.place_bracket([side(-1, bar=2)])
    assert (refused.status, refused.reason) == ("rejected", "in_position")
    assert story(broker) == [
        ("cancelled", "AAA0L", "entry", "replaced"), ("fill", "AAA1L", "entry", "entry"),
        ("rejected", "AAA2S", "entry", "in_position"),
    ]  # fmt: skip


def test_validity_ends_with_the_session(broker: SimulatedBroker) -> None:
    broker.advance("paper", "v", bars(QUIET))
    broker.place_bracket([side(1), side(-1)])
    broker.advance("paper", "v", bars(QUIET, first=1, last=True))
    assert story(broker) == [
        ("expired", "AAA0L", "entry", "validity_over"), ("expired", "AAA0S", "entry", "validity_over")
    ]  # fmt: skip


def test_cancelling(broker: SimulatedBroker) -> None:
    broker.advance("paper", "v", bars(QUIET))
    broker.place_bracket([side(1), side(-1)])
    assert broker.cancel("AAA0S", OPEN) and not broker.cancel("AAA0S", OPEN)
    assert broker.find("AAA0L").status == "cancelled" and broker.find("unheard of") is None
    with pytest.raises(UnknownOrder, match="unheard of"):
        broker.cancel("unheard of", OPEN)
    broker.advance("paper", "v", bars(UP, first=1))
    assert broker.positions("paper") == [] and broker.cancel_all("paper", OPEN) == 0


def test_flattening_closes_positions_and_leaves_orders(broker: SimulatedBroker) -> None:
    broker.advance("paper", "v", pl.concat([bars(QUIET), bars(QUIET, symbol="BBB")]))
    broker.place_bracket([side(1)])
    broker.place_bracket([side(1, symbol="BBB")])
    broker.advance("paper", "v", pl.concat([bars(UP, first=1), bars(QUIET, first=1, symbol="BBB")]))
    noon = OPEN + dt.timedelta(hours=2)
    assert broker.flatten("paper", noon, reason="eod") == 1
    last = broker.executions("paper")[-1]
    assert (last.price, last.at, last.reason) == (101.2, noon, "eod")
    assert [o.order_ref for o in broker.open_orders("paper")] == ["BBB0L"]


def test_the_state_outlives_the_process(tmp_path: Path, broker: SimulatedBroker) -> None:
    broker.advance("paper", "v", bars(QUIET))
    broker.place_bracket([side(1)])
    second = SimulatedBroker(tmp_path / "broker.db")
    assert second.clock("paper", "v") == OPEN
    second.advance("paper", "v", bars(UP, first=1))
    assert [p.order_ref for p in broker.positions("paper")] == ["AAA0L"]  # the first sees what the second did
    broker.advance("paper", "v", bars((101.0, 101.1, 98.0, 98.5), first=2))
    assert second.positions("paper") == [] and second.account_values("paper") == broker.account_values("paper")
    second.close()


def test_a_call_that_fails_changes_nothing(broker: SimulatedBroker) -> None:
    broker.advance("paper", "v", bars(QUIET))
    broker.place_bracket([side(1)])
    with pytest.raises(DataError, match="later than"):
        broker.advance("paper", "v", bars(UP))
    with pytest.raises(DataError, match="last seen bar"):
        broker.place_bracket([side(1, bar=7)])
    with pytest.raises(DataError, match="tick"):
        broker.place_bracket([side(1, order_ref="x", oco_id="x", entry=101.001)])
    assert broker.find("x") is None and [o.order_ref for o in broker.open_orders("paper")] == ["AAA0L"]
    broker.advance("paper", "v", bars(UP, first=1))
    assert len(broker.positions("paper")) == 1


def test_intents_of_different_setups_are_refused(broker: SimulatedBroker) -> None:
    for group, says in (
        ([], "at least one"), ([side(1), side(-1, oco_id="other")], "oco_id"),
        ([side(1), side(1, order_ref="x")], "side twice"), ([side(1, variant="w")], "not open"),
    ):  # fmt: skip
        with pytest.raises(BrokerError, match=says):
            broker.place_bracket(group)


def test_rules_change_only_while_nothing_is_open(broker: SimulatedBroker) -> None:
    cheaper = ReplayConfig()
    broker.advance("paper", "v", bars(QUIET))
    broker.place_bracket([side(1)])
    with pytest.raises(BrokerError, match="rules cannot change"):
        broker.open_book("paper", "v", cheaper)
    broker.advance("paper", "v", bars(UP, (101.0, 101.1, 98.0, 98.5), first=1))
    realised = broker.account_values("paper")[0].realised
    broker.open_book("paper", "v", cheaper)
    assert broker.account_values("paper")[0].realised == realised < 10_000
    broker.place_bracket([side(1, bar=2)])
    broker.advance("paper", "v", bars(UP, first=3))
    assert broker.executions("paper")[-1].fee == 0.0


def test_the_capital_of_a_book_never_changes(broker: SimulatedBroker) -> None:
    with pytest.raises(BrokerError, match="was opened with a capital of"):
        broker.open_book("paper", "v", CONFIG.model_copy(update={"initial_cash": CONFIG.initial_cash * 2}))
    assert broker.account_values("paper")[0].realised == CONFIG.initial_cash


def test_books_are_apart(broker: SimulatedBroker) -> None:
    broker.open_book("paper", "w", CONFIG.model_copy(update={"initial_cash": 500.0}))
    broker.advance("paper", "v", bars(QUIET))
    broker.place_bracket([side(1)])
    broker.advance("paper", "v", bars(UP, first=1))
    assert [(v.variant, v.unrealised) for v in broker.account_values("paper")] == [
        ("v", pytest.approx(2.0)),
        ("w", 0.0),
    ]
    assert broker.clock("paper", "w") is None and broker.account_values("other") == []


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "broker.db").write_bytes(b"not a database at all, whatever its name says" * 50)
    with pytest.raises(BrokerUnavailable, match="did not answer"):
        SimulatedBroker(tmp_path / "broker.db")


def test_a_half_done_call_is_undone(broker: SimulatedBroker, tmp_path: Path) -> None:
    broker.advance("paper", "v", bars(QUIET))
    with sqlite3.connect(tmp_path / "broker.db") as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    db.close()
    broker.place_bracket([side(1)])
    with pytest.raises(BrokerUnavailable, match="disk full"):
        broker.advance("paper", "v", bars(UP, first=1))
    assert broker.positions("paper") == [] and broker.clock("paper", "v") == OPEN
