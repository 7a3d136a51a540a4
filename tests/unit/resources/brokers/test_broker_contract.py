"""The contract of a broker, against the simulated one in this process and behind a socket."""

import datetime as dt
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from resources.brokers.simulated import BrokerAddress, RemoteBroker, SimulatedBroker, broker_server, listening_at
from resources.brokers.simulated.executions import parts, shares
from resources.brokers.simulated.server import exchange
from trading.errors import ConfigError, DataError
from trading.orders import OrderIntent
from trading.ports.broker import BrokerError, BrokerEvent, BrokerUnavailable, UnknownOrder, in_order
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


@contextmanager
def in_process(folder: Path, **options):
    opened = SimulatedBroker(folder / "broker.db", **options)
    yield opened
    opened.close()


@contextmanager
def over_a_socket(folder: Path, scheme: str, **options):
    address = BrokerAddress.parse("tcp://127.0.0.1:0" if scheme == "tcp" else f"unix:{folder}/b")
    server = broker_server(folder / "broker.db", address, **options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    opened = RemoteBroker(listening_at(server), seconds=20)
    opened.connect()
    try:
        yield opened
    finally:
        opened.close()
        server.shutdown()
        server.server_close()
        thread.join(10)


KINDS = {
    "in_process": in_process,
    "unix": lambda folder, **options: over_a_socket(folder, "unix", **options),
    "tcp": lambda folder, **options: over_a_socket(folder, "tcp", **options),
}


@pytest.fixture(params=list(KINDS))
def opens(request):
    """How to open a broker: every test of the contract runs against every way."""
    return KINDS[request.param]


@pytest.fixture
def broker(opens, tmp_path: Path):
    with opens(tmp_path) as opened:
        opened.open_book("paper", "v", CONFIG)
        yield opened


def story(broker) -> list[tuple[str, str, str, str]]:
    return [(e.kind, e.order_ref, e.leg, e.reason) for e in broker.events("paper")]


def test_a_bracket_from_entry_to_stop(broker) -> None:
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


def test_an_order_ref_is_placed_once_whatever_became_of_it(broker) -> None:
    broker.advance("paper", "v", bars(QUIET))
    broker.place_bracket([side(1), side(-1)])
    broker.advance("paper", "v", bars(UP, (101.0, 101.1, 98.0, 98.5), first=1))
    before = story(broker)
    again = broker.place_bracket([side(1), side(-1)])
    assert [p.status for p in again] == ["filled", "cancelled"] and not again[0].protected
    assert story(broker) == before and broker.positions("paper") == []


def test_a_new_setup_replaces_and_a_position_refuses(broker) -> None:
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


def test_validity_ends_with_the_session(broker) -> None:
    broker.advance("paper", "v", bars(QUIET))
    broker.place_bracket([side(1), side(-1)])
    broker.advance("paper", "v", bars(QUIET, first=1, last=True))
    assert story(broker) == [
        ("expired", "AAA0L", "entry", "validity_over"), ("expired", "AAA0S", "entry", "validity_over")
    ]  # fmt: skip


def test_cancelling(broker) -> None:
    broker.advance("paper", "v", bars(QUIET))
    broker.place_bracket([side(1), side(-1)])
    assert broker.cancel("AAA0S", OPEN) and not broker.cancel("AAA0S", OPEN)
    assert broker.find("AAA0L").status == "cancelled" and broker.find("unheard of") is None
    with pytest.raises(UnknownOrder, match="unheard of"):
        broker.cancel("unheard of", OPEN)
    broker.advance("paper", "v", bars(UP, first=1))
    assert broker.positions("paper") == [] and broker.cancel_all("paper", OPEN) == 0


def test_flattening_closes_positions_and_leaves_orders(broker) -> None:
    broker.advance("paper", "v", pl.concat([bars(QUIET), bars(QUIET, symbol="BBB")]))
    broker.place_bracket([side(1)])
    broker.place_bracket([side(1, symbol="BBB")])
    broker.advance("paper", "v", pl.concat([bars(UP, first=1), bars(QUIET, first=1, symbol="BBB")]))
    noon = OPEN + dt.timedelta(hours=2)
    assert broker.flatten("paper", noon, reason="eod") == 1
    last = broker.executions("paper")[-1]
    assert (last.price, last.at, last.reason) == (101.2, noon, "eod")
    assert [o.order_ref for o in broker.open_orders("paper")] == ["BBB0L"]


def test_the_state_outlives_the_process(tmp_path: Path, broker) -> None:
    broker.advance("paper", "v", bars(QUIET))
    broker.place_bracket([side(1)])
    second = SimulatedBroker(tmp_path / "broker.db")
    assert second.clock("paper", "v") == OPEN
    second.advance("paper", "v", bars(UP, first=1))
    assert [p.order_ref for p in broker.positions("paper")] == ["AAA0L"]  # the first sees what the second did
    broker.advance("paper", "v", bars((101.0, 101.1, 98.0, 98.5), first=2))
    assert second.positions("paper") == [] and second.account_values("paper") == broker.account_values("paper")
    second.close()


def test_a_call_that_fails_changes_nothing(broker) -> None:
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


def test_intents_of_different_setups_are_refused(broker) -> None:
    for group, says in (
        ([], "at least one"), ([side(1), side(-1, oco_id="other")], "oco_id"),
        ([side(1), side(1, order_ref="x")], "side twice"), ([side(1, variant="w")], "not open"),
    ):  # fmt: skip
        with pytest.raises(BrokerError, match=says):
            broker.place_bracket(group)


def test_rules_change_only_while_nothing_is_open(broker) -> None:
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


def test_the_capital_of_a_book_never_changes(broker) -> None:
    with pytest.raises(BrokerError, match="was opened with a capital of"):
        broker.open_book("paper", "v", CONFIG.model_copy(update={"initial_cash": CONFIG.initial_cash * 2}))
    assert broker.account_values("paper")[0].realised == CONFIG.initial_cash


def test_books_are_apart(broker) -> None:
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


def test_a_half_done_call_is_undone(broker, tmp_path: Path) -> None:
    broker.advance("paper", "v", bars(QUIET))
    with sqlite3.connect(tmp_path / "broker.db") as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    db.close()
    broker.place_bracket([side(1)])
    with pytest.raises(BrokerUnavailable, match="disk full"):
        broker.advance("paper", "v", bars(UP, first=1))
    assert broker.positions("paper") == [] and broker.clock("paper", "v") == OPEN


def test_exits_follow_the_filled_quantity(opens, tmp_path: Path) -> None:
    """10 ordered, told as 4, 3 and 3: what rests is what is held, at every moment."""
    with opens(tmp_path, executions_per_fill=3) as broker:
        broker.open_book("paper", "v", CONFIG)
        broker.advance("paper", "v", bars(QUIET))
        (placed, _) = broker.place_bracket([side(1, target=110.0), side(-1)])
        assert (placed.entry, placed.stop, placed.target, placed.stop_qty, placed.protected) == (
            101.0, 99.0, 110.0, 0.0, False,
        )  # fmt: skip
        broker.advance("paper", "v", bars(UP, first=1))
        partial = broker.find("AAA0L")
        assert (partial.status, partial.filled_qty, partial.stop_qty, partial.target_qty) == ("working", 4.0, 4.0, 4.0)
        assert [o.order_ref for o in broker.open_orders("paper")] == ["AAA0L"]
        (position,) = broker.positions("paper")
        assert position.qty == 4.0 and broker.find("AAA0S").status == "cancelled"
        assert not broker.cancel("AAA0L", OPEN)  # too late: the rest was filled on the same bar
        full = broker.find("AAA0L")
        assert (full.status, full.filled_qty, full.stop_qty) == ("filled", 10.0, 10.0)
        broker.advance("paper", "v", bars((101.0, 101.1, 98.0, 98.5), first=2))
        done = broker.find("AAA0L")
        assert (done.status, done.stop, done.stop_qty, done.target_qty) == ("filled", None, 0.0, 0.0)
        told = [(e.leg, e.qty) for e in broker.executions("paper")]
        assert told == [("entry", 4.0), ("entry", 3.0), ("entry", 3.0), ("exit", 4.0), ("exit", 3.0), ("exit", 3.0)]
        fees = {leg: sum(e.fee for e in broker.executions("paper") if e.leg == leg) for leg in ("entry", "exit")}
        assert fees == {"entry": pytest.approx(1.01), "exit": pytest.approx(0.99)}
        assert len({e.execution_id for e in broker.executions("paper")}) == 6


def test_what_cannot_be_paid_for_is_cancelled(broker) -> None:
    """10,000 buy 99 of 200 at 101: the rest of the order is cancelled, the stop is for 99."""
    broker.advance("paper", "v", bars(QUIET))
    broker.place_bracket([side(1, qty=200.0)])
    broker.advance("paper", "v", bars(UP, first=1))
    order = broker.find("AAA0L")
    assert (order.status, order.reason, order.filled_qty, order.stop_qty) == ("cancelled", "buying_power", 99.0, 99.0)
    assert [(e.kind, e.qty) for e in broker.events("paper")] == [("fill", 99.0), ("cancelled", 99.0)]


@pytest.mark.parametrize("direction", [1, -1])
def test_exits_that_are_lost_protect_nothing_until_they_are_attached_again(broker, direction: int) -> None:
    down, through = (100.0, 100.5, 98.0, 98.5), (98.5, 99.0, 96.0, 96.5)
    if direction < 0:  # the mirror image around 100
        down, through = [tuple(200 - bar[i] for i in (0, 2, 1, 3)) for bar in (down, through)]
    broker.advance("paper", "v", bars(QUIET))
    broker.place_bracket([side(direction)])
    entry = UP if direction > 0 else (100.0, 100.0, 98.5, 98.8)
    broker.advance("paper", "v", bars(entry, first=1))
    ref = side(direction).order_ref
    with pytest.raises(DataError, match="tick grid"):
        broker.protect(ref, 99.001, None, OPEN)
    broker.lose_exits(ref)
    assert not broker.find(ref).protected
    broker.advance("paper", "v", bars(down, first=2))
    assert [p.order_ref for p in broker.positions("paper")] == [ref]
    again = broker.protect(ref, 100.0 - 3 * direction, None, OPEN)
    assert (again.stop, again.stop_qty) == (100.0 - 3 * direction, 10.0)
    broker.advance("paper", "v", bars(through, first=3))
    exit_ = broker.executions("paper")[-1]
    assert (exit_.reason, exit_.price) == ("sl", 100.0 - 3 * direction) and broker.positions("paper") == []
    with pytest.raises(BrokerError, match="no open position"):
        broker.protect(ref, 97.0, None, OPEN)
    with pytest.raises(UnknownOrder):
        broker.protect("unheard of", 97.0, None, OPEN)


def test_one_position_can_be_flattened_by_itself(broker) -> None:
    broker.advance("paper", "v", pl.concat([bars(QUIET), bars(QUIET, symbol="BBB")]))
    broker.place_bracket([side(1)])
    broker.place_bracket([side(1, symbol="BBB")])
    broker.advance("paper", "v", pl.concat([bars(UP, first=1), bars(UP, first=1, symbol="BBB")]))
    assert (
        broker.flatten("paper", OPEN, order_ref="BBB0L") == 1 and broker.flatten("paper", OPEN, order_ref="BBB0L") == 0
    )
    assert [p.symbol for p in broker.positions("paper")] == ["AAA"]


def test_a_connection_that_is_gone_is_unavailable_until_somebody_connects(tmp_path: Path) -> None:
    address = BrokerAddress.parse(f"unix:{tmp_path}/b")
    nobody = RemoteBroker(address, seconds=5)
    with pytest.raises(BrokerUnavailable, match="nobody answers"):
        nobody.connect()
    with over_a_socket(tmp_path, "unix") as broker:
        broker.close()
        with pytest.raises(BrokerUnavailable, match="connect comes first"):
            broker.positions("paper")
        broker.connect()
        assert broker.positions("paper") == []


def test_an_answer_that_does_not_come_is_unavailable(tmp_path: Path) -> None:
    hung_up = iter([None, b"", b"half an answ"])
    opened = over_a_socket(
        tmp_path, "unix", exchange=lambda b, line: exchange(b, line) if b"connect" in line else next(hung_up)
    )
    with opened as broker:
        for says in ("hung up", "timed out", "did not answer|hung up"):
            broker._seconds = 0.2
            broker.connect()
            with pytest.raises(BrokerUnavailable, match=says):
                broker.positions("paper")


@pytest.mark.parametrize("wrong", ["tcp://0.0.0.0:7500", "tcp://127.0.0.1:99999", "localhost:1", "unix:relative", ""])
def test_a_broker_listens_on_this_machine_alone(wrong: str) -> None:
    with pytest.raises(ConfigError, match="must be like unix:"):
        BrokerAddress.parse(wrong)


def event(seq: int, **changes) -> BrokerEvent:
    base = BrokerEvent(seq, "fill", "A", "entry", OPEN, DAY, 100.0, 5.0, 0.0, "entry", f"x{seq}")
    return replace(base, **changes)


def test_events_are_put_in_order_and_told_once() -> None:
    first, second, tenth = event(9), event(8, execution_id="x10"), event(11, kind="cancelled", execution_id="")
    assert in_order([tenth, first, second, first, tenth]) == [
        first,
        second,
        tenth,
    ]  # x9 before x10, whatever the numbers
    with pytest.raises(BrokerError, match="x9 came twice"):
        in_order([first, replace(first, qty=6.0)])


def test_a_fill_in_parts_adds_up() -> None:
    assert parts(10.0, 3, Decimal(1)) == [4.0, 3.0, 3.0] and parts(2.0, 5, Decimal(1)) == [1.0, 1.0]
    assert parts(0.3, 2, Decimal("0.1")) == [0.2, 0.1] and parts(0.25, 2, Decimal("0.1")) == [0.25]
    assert sum(shares(1.0, [4.0, 3.0, 3.0])) == 1.0
