"""Brackets at Interactive Brokers, on the wire: what is sent, and how each comes to its end."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.ibkr_gateway import AAA, DAY, Gateway, account, gateway, intent
from harness.tws_order_desk import Refuse

from resources.configurable import BrokerResource
from trading.errors import ConfigError
from trading.ports.broker import BrokerError, UnknownOrder


@pytest.fixture
def tws(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as running:
        yield running


def story(broker) -> list[tuple[str, str, str, str, float]]:
    return [(e.kind, e.order_ref, e.leg, e.reason, e.qty) for e in broker.events("desk")]


def test_what_is_sent(tws: Gateway) -> None:
    broker = tws.broker()
    placed = broker.place_bracket([intent(1), intent(-1)])
    assert [(p.order_ref, p.status, p.entry, p.stop, p.target, p.stop_qty) for p in placed] == [
        ("AAA0L", "working", 101.0, 99.0, 105.0, 0.0), ("AAA0S", "working", 99.0, 101.0, 95.0, 0.0),
    ]  # fmt: skip
    sent = [
        (o.ref, o.action, o.type, o.aux, o.limit, o.tif, o.good_till, o.oca_group, o.oca_type, o.transmit, o.qty)
        for o in tws.desk.orders
    ]
    until = "20240301 21:00:00 UTC"
    assert sent == [
        ("AAA0L", "BUY", "STP", "101.0", "", "GTD", until, "AAA0", 1, False, 10.0),
        ("AAA0L:sl", "SELL", "STP", "99.0", "", "GTC", "", "AAA0L:exits", 3, False, 10.0),
        ("AAA0L:tp", "SELL", "LMT", "", "105.0", "GTC", "", "AAA0L:exits", 3, True, 10.0),
        ("AAA0S", "SELL", "STP", "99.0", "", "GTD", until, "AAA0", 1, False, 10.0),
        ("AAA0S:sl", "BUY", "STP", "101.0", "", "GTC", "", "AAA0S:exits", 3, False, 10.0),
        ("AAA0S:tp", "BUY", "LMT", "", "95.0", "GTC", "", "AAA0S:exits", 3, True, 10.0),
    ]
    parents = {o.ref: o.order_id for o in tws.desk.orders}
    assert all(o.parent_id == parents[o.ref.partition(":")[0]] for o in tws.desk.orders if ":" in o.ref)
    assert {(o.account, o.exchange, o.con_id) for o in tws.desk.orders} == {(tws.desk.account, "SMART", 101)}


def test_without_a_target_the_stop_transmits_and_an_entry_may_have_a_limit(tws: Gateway) -> None:
    broker = tws.broker(account(ibkr={"entry_limit_ticks": 20}))
    broker.place_bracket([intent(1, target=None)])
    assert [(o.ref, o.type, o.aux, o.limit, o.transmit) for o in tws.desk.orders] == [
        ("AAA0L", "STP LMT", "101.0", "101.2", False), ("AAA0L:sl", "STP", "99.0", "", True),
    ]  # fmt: skip


def test_prices_and_quantities_are_on_the_contracts_own_grid(tws: Gateway) -> None:
    tws.tws.rules[26] = [(0.0, 0.01), (100.0, 0.05)]
    broker = tws.broker()
    broker.place_bracket([intent(1, entry=101.01, stop=98.993, target=105.02, qty=10.00019)])
    assert [(o.aux or o.limit, o.qty) for o in tws.desk.orders] == [
        ("101.05", 10.0001), ("98.99", 10.0001), ("105.05", 10.0001),
    ]  # fmt: skip
    tws.desk.fill("AAA0L")
    assert story(broker)[1:] == [("cancelled", "AAA0L", "entry", "size_increment", 10.0001)]


def test_to_the_target_with_the_fees_that_were_charged(tws: Gateway) -> None:
    broker = tws.broker()
    broker.place_bracket([intent(1), intent(-1)])
    tws.desk.fill("AAA0L", price=101.5)
    tws.desk.prices[AAA.con_id] = 103.0
    (position,) = broker.positions("desk")
    assert (position.order_ref, position.variant, position.qty, position.entry_price) == ("AAA0L", "v", 10.0, 101.5)
    (order,) = broker.open_orders("desk")
    assert (order.status, order.stop_qty, order.target_qty, order.protected) == ("filled", 10.0, 10.0, True)
    tws.desk.fill("AAA0L:tp")
    assert broker.positions("desk") == [] and broker.open_orders("desk") == []
    assert story(broker) == [
        ("fill", "AAA0L", "entry", "entry", 10.0), ("cancelled", "AAA0S", "entry", "other_side_filled", 0.0),
        ("fill", "AAA0L", "exit", "tp", 10.0),
    ]  # fmt: skip
    # 0.005 a share, twice 10: 0.10; 10 * (105 - 101.5) = 35
    assert [e.fee for e in broker.executions("desk")] == [0.05, 0.05]
    assert broker.account_values("desk")[0].realised == pytest.approx(10_000 + 35 - 0.10)
    assert not [o for o in tws.desk.orders if o.live]


def test_to_the_stop(tws: Gateway) -> None:
    broker = tws.broker()
    broker.place_bracket([intent(-1)])
    tws.desk.fill("AAA0S")
    tws.desk.fill("AAA0S:sl", price=101.1)
    assert [(e.reason, e.price, e.session) for e in broker.executions("desk")] == [
        ("entry", 99.0, DAY), ("sl", 101.1, DAY),
    ]  # fmt: skip
    assert broker.account_values("desk")[0].realised == pytest.approx(10_000 - 21 - 0.10)


def test_a_partial_fill_has_its_stop_for_what_was_filled(tws: Gateway) -> None:
    broker = tws.broker()
    broker.place_bracket([intent(1)])
    tws.desk.fill("AAA0L", 4.0)
    partial = broker.find("AAA0L")
    assert (partial.status, partial.filled_qty, partial.stop_qty, partial.target_qty) == ("working", 4.0, 4.0, 4.0)
    assert broker.cancel("AAA0L", tws.clock()) and not broker.cancel("AAA0L", tws.clock())
    after = broker.find("AAA0L")
    assert (after.status, after.reason, after.filled_qty, after.stop_qty) == ("cancelled", "cancelled", 4.0, 4.0)
    tws.desk.fill("AAA0L:sl")
    assert tws.desk.positions[AAA.con_id][1] == 0.0 and broker.positions("desk") == []
    assert story(broker)[-1] == ("fill", "AAA0L", "exit", "sl", 4.0)


def test_exits_are_attached_again_and_the_old_ones_go(tws: Gateway) -> None:
    broker = tws.broker()
    broker.place_bracket([intent(1)])
    with pytest.raises(BrokerError, match="no open position"):
        broker.protect("AAA0L", 99.0, None, tws.clock())
    broker.place_bracket([intent(1, 1)])
    tws.desk.fill("AAA1L")
    again = broker.protect("AAA1L", 98.0, 110.0, tws.clock())
    assert (again.stop, again.stop_qty, again.target, again.target_qty) == (98.0, 10.0, 110.0, 10.0)
    live = [o for o in tws.desk.orders if o.live and o.ref.startswith("AAA1L")]
    assert [(o.ref, o.qty, o.oca_type) for o in live] == [("AAA1L:sl", 10.0, 3), ("AAA1L:tp", 10.0, 3)]
    assert live[0].oca_group == live[1].oca_group
    with pytest.raises(UnknownOrder):
        broker.protect("unheard of", 97.0, None, tws.clock())


def test_cancelling_takes_the_other_side_and_leaves_exits(tws: Gateway) -> None:
    broker = tws.broker()
    broker.place_bracket([intent(1), intent(-1)])
    broker.place_bracket([intent(1, 1, symbol="BBB")])
    tws.desk.fill("BBB1L")
    assert broker.cancel("AAA0S", tws.clock(), "kill_switch")
    assert story(broker)[-2:] == [
        ("cancelled", "AAA0L", "entry", "kill_switch", 0.0), ("cancelled", "AAA0S", "entry", "kill_switch", 0.0),
    ]  # fmt: skip
    broker.place_bracket([intent(1, 2)])
    assert broker.cancel_all("desk", tws.clock()) == 1
    assert {o.ref for o in tws.desk.orders if o.live} == {"BBB1L:sl", "BBB1L:tp"}
    with pytest.raises(UnknownOrder, match="unheard of"):
        broker.cancel("unheard of", tws.clock())


def test_flattening_cancels_exits_first_and_sells_what_is_held(tws: Gateway) -> None:
    broker = tws.broker()
    broker.place_bracket([intent(1)])
    broker.place_bracket([intent(1, 1, symbol="BBB")])
    tws.desk.fill("AAA0L")
    tws.desk.fill("BBB1L")
    tws.desk.prices = {101: 102.0, 102: 99.5}
    assert broker.flatten("desk", tws.clock(), order_ref="AAA0L") == 1
    assert [(e.order_ref, e.reason, e.price) for e in broker.executions("desk")][-1] == ("AAA0L", "flatten", 102.0)
    assert broker.flatten("desk", tws.clock(), reason="reconcile") == 1 and broker.positions("desk") == []
    assert not [o for o in tws.desk.orders if o.live]


@pytest.mark.parametrize(
    ("minute", "type_"), [(40, "MOC"), (50, "MOC"), (51, "MKT")]
)  # the guard is ten minutes, the close 21:00 UTC
def test_market_on_close_until_the_venues_cut_off(tws: Gateway, minute: int, type_: str) -> None:
    broker = tws.broker(account(moc_guard_minutes=10))
    broker.place_bracket([intent(1)])
    tws.desk.fill("AAA0L")
    at = tws.clock().replace(hour=20, minute=minute)
    assert broker.flatten("desk", at, reason="eod") == (type_ == "MKT")
    sent = tws.desk.of("AAA0L:eod")
    assert (sent.type, sent.action, sent.qty) == (type_, "SELL", 10.0)
    if type_ == "MOC":  # the stop rests until the auction, and goes with it
        assert broker.find("AAA0L").stop_qty == 10.0
        broker.flatten("desk", at, reason="eod")
        assert len([o for o in tws.desk.orders if o.ref == "AAA0L:eod"]) == 1
        tws.desk.fill("AAA0L:eod", price=103.0)
    assert broker.positions("desk") == [] and not [o for o in tws.desk.orders if o.live]


@pytest.mark.parametrize(
    ("code", "text", "type_"),
    [
        (201, "Order rejected - reason:INSUFFICIENT MARGIN", "STP"),
        (110, "The price does not conform to the minimum price variation for this contract.", "STP"),
        (201, "Order rejected - reason:no trading permission", "LMT"),
    ],
)
def test_a_refused_leg_takes_its_bracket_with_it(tws: Gateway, code: int, text: str, type_: str) -> None:
    broker = tws.broker()
    tws.desk.refusals = [Refuse(code, text, type_)]
    (placed,) = broker.place_bracket([intent(1)])
    assert (placed.status, placed.filled_qty) == ("rejected", 0.0) and f"code {code}" in placed.reason
    assert not [o for o in tws.desk.orders if o.live]
    (event,) = broker.events("desk")
    assert (event.kind, event.order_ref) == ("rejected", "AAA0L") and text in event.reason
    (again,) = broker.place_bracket([intent(1)])
    assert again.status == "rejected" and len(tws.desk.orders) == 3


@pytest.mark.parametrize("code", [399, 2174, 10349])
def test_a_warning_on_a_live_order_is_none_of_its_end(tws: Gateway, code: int) -> None:
    tws.desk.refusals = [Refuse(code, "Order Message: will not be placed at the exchange until ...", live=True)]
    broker = tws.broker()
    assert broker.place_bracket([intent(1)])[0].status == "working"
    assert broker.find("AAA0L").status == "working" and tws.desk.cancels == []


def test_what_cannot_be_a_bracket_is_refused_and_nothing_sent(tws: Gateway) -> None:
    broker = tws.broker()
    for group, says in (
        ([], "at least one"), ([intent(1), intent(-1, oco_id="other")], "oco_id"),
        ([intent(1), intent(1, order_ref="x")], "side twice"), ([intent(1, variant="w")], "not open"),
        ([intent(1, account="other")], "not of other"),
    ):  # fmt: skip
        with pytest.raises(BrokerError, match=says):
            broker.place_bracket(group)
    assert tws.desk.orders == []


def test_ambiguity_is_refused_before_an_order_is_sent(tws: Gateway) -> None:
    from harness.tws_messages import Instrument

    tws.tws.instruments = [AAA, Instrument(999, "AAA", primary_exchange="ASX")]
    broker = tws.broker()
    with pytest.raises(BrokerError, match=r"ambiguous.*con_id 999"):
        broker.place_bracket([intent(1)])
    assert tws.desk.orders == []
    named = tws.broker(
        account(ibkr={"client_id": 52, "contracts": {"AAA": {"symbol": "AAA", "primary_exchange": "ARCA"}}})
    )
    named.place_bracket([intent(1)])
    asked = len(tws.tws.looked_up)
    named.place_bracket([intent(1, 1)])
    assert len(tws.tws.looked_up) == asked


def test_less_than_the_smallest_order_is_rejected_and_not_sent(tws: Gateway) -> None:
    broker = tws.broker()
    (placed,) = broker.place_bracket([intent(1, qty=0.00001)])
    assert (placed.status, placed.reason) == ("rejected", "below_smallest_order") and tws.desk.orders == []
    assert [e.kind for e in broker.events("desk")] == ["rejected"]


def test_no_more_messages_in_a_second_than_the_gateway_takes(tws: Gateway) -> None:
    broker = tws.broker()
    for number in range(20):
        broker.place_bracket([intent(1, number)])
    times = tws.desk.placed_at
    assert len(times) == 60 and len({o.ref for o in tws.desk.orders if o.live}) == 60
    assert max(sum(1 for other in times if at <= other < at + 0.95) for at in times) <= 50


def test_past_sessions_are_not_played_to_the_real_market(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="follows the real market"):
        BrokerResource(state_dir=str(tmp_path)).open_fed(account())
