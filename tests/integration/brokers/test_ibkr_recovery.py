"""What goes wrong between the platform and Interactive Brokers, on the wire: at most one order, and nothing is believed."""

import datetime as dt
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.ibkr_gateway import AAA, BBB, Gateway, account, gateway, intent
from harness.tws_server import LOST, RESTORED, Say
from harness.tws_server import tws_server as serving

from resources.brokers.ibkr.access import Access, AccountRefused
from resources.brokers.ibkr.broker import IbkrBroker
from trading.ports.broker import BrokerError, BrokerUnavailable, in_order


@pytest.fixture
def tws(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as running:
        yield running


def live(tws: Gateway, ref: str) -> list[str]:
    return [o.ref for o in tws.desk.orders if o.live and o.ref == ref]


def told(broker: IbkrBroker) -> list[tuple[str, str, str, float]]:
    return [(e.kind, e.order_ref, e.reason, e.qty) for e in in_order(broker.events("desk"))]


def connect_until_it_stands(broker: IbkrBroker) -> None:
    until = time.monotonic() + 5
    while True:
        try:
            return broker.connect()
        except BrokerUnavailable:
            assert time.monotonic() < until
            time.sleep(0.05)


# -- the outcome of sending is not known --


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("cut", ["before_ack", "before_last_leg", "silent"])
def test_lost_after_sending_and_before_any_word(tws: Gateway, cut: str, restarted: bool) -> None:
    broker = tws.broker()
    tws.desk.cut.append(cut)
    if cut == "silent":  # taken, and the broker's list says so at once
        assert broker.place_bracket([intent(1)])[0].status == "working"
    else:
        with pytest.raises(BrokerUnavailable):
            broker.place_bracket([intent(1)])
        with pytest.raises(BrokerUnavailable, match="connect comes first"):
            broker.place_bracket([intent(1)])
    if restarted:
        broker.close()
        broker = tws.broker()
    broker.connect()
    found = broker.find("AAA0L")
    assert (found is None) == (cut == "before_last_leg")
    (placed,) = broker.place_bracket([intent(1)])
    assert placed.status == "working" and len(live(tws, "AAA0L")) == 1
    staged = [o for o in tws.desk.orders if o.status == "Staged"]
    assert staged == []  # half of a chain was cancelled by its ids
    tws.desk.fill("AAA0L")
    tws.desk.fill("AAA0L:sl")
    assert [t[0] for t in told(broker)] == ["fill", "fill"] and tws.desk.positions[AAA.con_id][1] == 0


def test_an_order_that_was_filled_while_nobody_listened(tws: Gateway) -> None:
    broker = tws.broker()
    tws.desk.cut.append("before_ack")
    with pytest.raises(BrokerUnavailable):
        broker.place_bracket([intent(1)])
    tws.desk.fill("AAA0L")
    broker.connect()
    assert broker.place_bracket([intent(1)])[0].status == "filled" and len(tws.desk.orders) == 3
    assert broker.find("AAA0L").protected


def test_restart_of_the_server_with_its_state(tws: Gateway) -> None:
    broker = tws.broker()
    broker.place_bracket([intent(1)])
    port = tws.server.port
    tws.server.hang_up()
    tws.server.shutdown()
    tws.server.server_close()
    with pytest.raises(BrokerUnavailable):
        broker.find("AAA0L")
    with pytest.raises(BrokerUnavailable, match=r"no TWS or IB Gateway|does not let us"):
        broker.connect()
    tws.desk.fill("AAA0L", 3.0)
    with serving(tws.tws, port):
        broker.connect()
        found = broker.find("AAA0L")
        assert (found.status, found.filled_qty, found.stop_qty) == ("working", 3.0, 3.0)
        assert broker.place_bracket([intent(1)]) == [found] and len(live(tws, "AAA0L")) == 1
        broker.close()


def test_a_lost_journal_sends_nothing_twice_and_loses_no_fill(tws: Gateway) -> None:
    broker = tws.broker()
    broker.place_bracket([intent(1)])
    tws.desk.fill("AAA0L")
    cursor = broker.events("desk")[-1].seq
    broker.close()
    for file in tws.folder.glob("desk.db*"):
        file.unlink()
    broker = tws.broker()
    (fill,) = broker.executions("desk")
    assert (fill.order_ref, fill.leg, fill.seq >= cursor) == ("AAA0L", "entry", True)
    broker.place_bracket([intent(1, 1)])
    broker.close()
    for file in tws.folder.glob("desk.db*"):
        file.unlink()
    broker = tws.broker()
    assert broker.place_bracket([intent(1)])[0].status == "filled"  # asked for again by what was lost
    assert [(p.order_ref, p.variant) for p in broker.positions("desk")] == [("AAA0L", "v")]
    assert broker.find("AAA1L").reason == "not sent by the platform"
    (again,) = broker.place_bracket([intent(1, 1)])
    assert (again.status, again.variant, len(live(tws, "AAA1L"))) == ("working", "v", 1)


# -- news that repeats itself, comes late, or mixed up --


@pytest.mark.parametrize("seed", range(4))
def test_duplicate_late_and_reordered_news(tws: Gateway, seed: int) -> None:
    mixed, held_back = random.Random(seed), []

    def mangle(batch: list[bytes]) -> list[bytes]:
        out = [*held_back, *batch, *mixed.choices(batch, k=2)]
        held_back[:] = [m for m in batch if mixed.random() < 0.5]  # once more, late
        if batch[0].find(b"11\0-1\0") >= 0:  # told by itself, not an answer
            mixed.shuffle(out)
        return out

    broker = tws.broker()
    broker.place_bracket([intent(1), intent(-1)])
    tws.desk.mangle = mangle
    for qty in (4.0, 3.0, 3.0):
        tws.desk.fill("AAA0L", qty)
    tws.desk.fill("AAA0L:sl", 6.0)
    held_back.clear()
    tws.desk.mangle = list
    assert told(broker) == [
        ("fill", "AAA0L", "entry", 4.0), ("fill", "AAA0L", "entry", 3.0), ("fill", "AAA0L", "entry", 3.0),
        ("fill", "AAA0L", "sl", 6.0), ("cancelled", "AAA0S", "other_side_filled", 0.0),
    ]  # fmt: skip
    assert told(broker) == told(broker) and broker.find("AAA0L").stop_qty == 4.0


def test_a_gateway_without_market_rules_leaves_the_contracts_own_tick(tws: Gateway) -> None:
    tws.tws.rules = {}
    broker = tws.broker(account(ibkr={"answer_seconds": 4}))
    assert broker.place_bracket([intent(1, entry=101.003)])[0].status == "working"
    assert tws.desk.of("AAA0L").aux == "101.01"


def test_a_correction_is_no_second_fill(tws: Gateway) -> None:
    broker = tws.broker()
    broker.place_bracket([intent(1)])
    tws.desk.fill("AAA0L", price=101.5)
    tws.desk.correct("AAA0L", 101.4)
    assert [(e.qty, e.price) for e in broker.executions("desk")] == [(10.0, 101.5)]
    tws.desk.correct("AAA0L", 101.3)
    assert len(broker.executions("desk")) == 1 and broker.positions("desk")[0].qty == 10.0


def test_a_fee_that_never_comes_does_not_hold_up_the_fill(tws: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.brokers.ibkr.said._FEE_SECONDS", 0.2)
    broker = tws.broker()
    broker.place_bracket([intent(1)])
    tws.desk.fees_arrive = False
    tws.desk.fill("AAA0L")
    assert [(e.qty, e.fee) for e in broker.executions("desk")] == [(10.0, 0.0)]


def test_a_list_of_open_orders_that_does_not_end_is_no_answer(tws: Gateway) -> None:
    tws.desk.lists = False
    broker = tws.broker(account(ibkr={"answer_seconds": 0.3}), connect=False)
    with pytest.raises(BrokerUnavailable):
        broker.connect()
    with pytest.raises(BrokerUnavailable, match="connect comes first"):
        broker.place_bracket([intent(1)])
    assert tws.desk.orders == []
    tws.desk.lists = True
    broker.connect()
    assert broker.place_bracket([intent(1)])[0].status == "working"


# -- between TWS and Interactive Brokers --


@pytest.mark.parametrize("restored", [RESTORED, Say(1101, "Connectivity restored, data lost.", "connection")])
def test_an_outage_pauses_until_everything_was_asked_again(tws: Gateway, restored: Say) -> None:
    broker = tws.broker()
    broker.place_bracket([intent(1)])
    tws.server.announce(LOST)
    with pytest.raises(BrokerUnavailable, match="lost its own connection"):
        broker.find("AAA0L")
    tws.desk.fill("AAA0L")
    tws.server.announce(restored)
    with pytest.raises(BrokerUnavailable, match="connect comes first"):
        broker.place_bracket([intent(1, 1)])
    connect_until_it_stands(broker)
    assert told(broker) == [("fill", "AAA0L", "entry", 10.0)]
    assert broker.place_bracket([intent(1, 1)])[0].status == "working"


def test_too_many_messages_is_an_outcome_that_is_not_known(tws: Gateway) -> None:
    broker = tws.broker()
    tws.desk.cut.append("before_last_leg")
    tws.server.announce(Say(100, "Max rate of messages per second has been exceeded", "connection"))
    with pytest.raises(BrokerUnavailable):
        broker.place_bracket([intent(1)])
    broker.connect()
    assert broker.find("AAA0L") is None


def test_the_nightly_restart(tws: Gateway) -> None:
    window = {"start": "23:45", "end": "00:15", "timezone": "America/New_York"}
    broker = tws.broker(account(ibkr={"restart": window}))
    broker.place_bracket([intent(1, valid_to=dt.datetime(2024, 3, 4, 21, tzinfo=dt.UTC))])
    tws.clock.at = dt.datetime(2024, 3, 2, 4, 45, tzinfo=dt.UTC)  # 23:45 in New York
    for call in (lambda: broker.place_bracket([intent(1, 1)]), broker.connect):
        with pytest.raises(BrokerUnavailable, match="restarts between 23:45 and 00:15"):
            call()
    tws.server.hang_up()
    tws.desk.fill("AAA0L")
    tws.clock.at = dt.datetime(2024, 3, 2, 5, 15, tzinfo=dt.UTC)
    with pytest.raises(BrokerUnavailable, match=r"connect comes first|ended the connection"):
        broker.place_bracket([intent(1, 1)])
    broker.connect()
    assert [e.order_ref for e in broker.executions("desk")] == ["AAA0L"] and broker.find("AAA0L").protected


def test_after_the_day_rolls_the_journal_remembers(tws: Gateway) -> None:
    broker = tws.broker()
    broker.place_bracket([intent(1), intent(-1)])
    broker.place_bracket([intent(1, 1, symbol="BBB")])
    tws.desk.fill("AAA0L")
    before = broker.events("desk")
    broker.close()
    tws.desk.new_day()
    tws.clock.at += dt.timedelta(days=1)
    broker = tws.broker()
    assert broker.events("desk")[: len(before)] == before
    assert [(p.order_ref, p.qty) for p in broker.positions("desk")] == [("AAA0L", 10.0)]
    assert (broker.find("BBB1L").status, broker.find("AAA0S").status) == ("expired", "cancelled")
    assert broker.find("AAA0L").protected  # its exits are good till cancelled


# -- by hand --


def test_orders_and_positions_by_hand_are_seen_as_such(tws: Gateway) -> None:
    broker = tws.broker()
    broker.place_bracket([intent(1)])
    tws.desk.fill("AAA0L")
    tws.desk.by_hand(AAA.con_id, "AAA", -4.0, 102.0)
    assert [(p.order_ref, p.qty) for p in broker.positions("desk")] == [("AAA0L", 6.0)]
    tws.desk.by_hand(BBB.con_id, "BBB", 7.0, 50.0)
    tws.desk.rest_by_hand(BBB.con_id, "BBB", 40.0)
    mine, orphan = broker.positions("desk")
    assert (orphan.order_ref, orphan.variant, orphan.symbol, orphan.qty) == ("manual-102", "", "BBB", 7.0)
    strangers = [o for o in broker.open_orders("desk") if o.order_ref.startswith("manual-") and o.status == "working"]
    assert [(o.symbol, o.qty, o.entry, o.reason) for o in strangers] == [("BBB", 5.0, 40.0, "not sent by the platform")]
    with pytest.raises(BrokerError, match="cancel it in TWS"):
        broker.cancel(strangers[0].order_ref, tws.clock())
    stranger = [e for e in broker.events("desk") if e.order_ref.startswith("manual-")]
    assert [(e.kind, e.qty) for e in stranger] == [("fill", 4.0), ("fill", 7.0)]
    assert broker.find("manual-102").stop is None
    protected = broker.protect("manual-102", 48.0, None, tws.clock())
    assert (protected.stop, protected.stop_qty) == (48.0, 7.0) and tws.desk.of("manual-102:sl").exchange == "SMART"
    tws.desk.fill("manual-102:sl")
    assert [p.order_ref for p in broker.positions("desk")] == [mine.order_ref]


# -- which login --


def test_a_client_id_in_use(tws: Gateway) -> None:
    tws.tws.used_ids = {51}
    with pytest.raises(BrokerUnavailable, match="API client id 51 is in use"):
        tws.broker()


@pytest.mark.parametrize(
    ("accounts", "says"), [("DU7654321", "not among the 1"), ("DU1234567,U1234567", "logged in to a live account")]
)
def test_a_login_to_another_account_gets_nothing(tws: Gateway, accounts: str, says: str) -> None:
    tws.tws.accounts = accounts
    broker = tws.broker(connect=False)
    with pytest.raises(AccountRefused, match=says) as refused:
        broker.connect()
    assert set(tws.tws.types) == {71} and "1234567" not in str(refused.value)
    with pytest.raises(BrokerUnavailable):
        broker.place_bracket([intent(1)])


@pytest.mark.parametrize(
    ("mode", "env", "says"),
    [
        ("paper", {"IBKR_ACCOUNT": "U1234567", "IBKR_PORT": "4002"}, "is a live account"),
        ("paper", {"IBKR_ACCOUNT": "DU1234567", "IBKR_PORT": "4001"}, "port 4001 is a live one"),
        ("paper", {"IBKR_ACCOUNT": "DU1234567", "IBKR_PORT": "7496"}, "port 7496 is a live one"),
        ("live", {"IBKR_ACCOUNT": "DU1234567", "IBKR_PORT": "4001"}, "is a paper account"),
        ("live", {"IBKR_ACCOUNT": "U1234567", "IBKR_PORT": "4002"}, "port 4002 is a paper one"),
        ("live", {"IBKR_ACCOUNT": "U1234567", "IBKR_PORT": "4001"}, "TRADING_ALLOW_LIVE"),
        ("paper", {"IBKR_PORT": "4002"}, "set IBKR_ACCOUNT"),
        ("paper", {"IBKR_ACCOUNT": "DU1234567", "IBKR_PORT": "gateway"}, "must be a port"),
        ("paper", {"IBKR_ACCOUNT": "my account", "IBKR_PORT": "4002"}, "is no account number"),
        ("paper", {"IBKR_ACCOUNT_FILE": "/nowhere/at/all", "IBKR_PORT": "4002"}, "cannot be read"),
    ],
)
def test_live_and_paper_are_told_apart_before_anything_is_sent(mode: str, env: dict[str, str], says: str) -> None:
    config = account(mode=mode)
    with pytest.raises(AccountRefused, match=says) as refused:
        Access.of(config, config.ibkr_settings, env)
    assert "1234567" not in str(refused.value)


def test_the_number_comes_from_a_mounted_file_and_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("U1234567\n")
    env = {"IBKR_ACCOUNT_FILE": str(tmp_path / "number"), "IBKR_PORT": "4001", "TRADING_ALLOW_LIVE": "desk"}
    config = account(mode="live")
    access = Access.of(config, config.ibkr_settings, env)
    assert (access.number, access.port) == ("U1234567", 4001) and "U1234567" not in repr(access)


def test_it_works_from_any_thread_and_within_a_running_loop(tws: Gateway) -> None:
    import asyncio

    broker = tws.broker()

    async def within() -> str:
        return broker.place_bracket([intent(1)])[0].status

    assert asyncio.run(within()) == "working"
    found: list[str] = []
    worker = threading.Thread(target=lambda: found.append(broker.place_bracket([intent(1, 1)])[0].status))
    worker.start()
    worker.join(10)
    assert found == ["working"]
