"""Contracts and the connection to TWS or IB Gateway over the wire: TWS's protocol on loopback."""

import datetime as dt
import threading
from typing import Any

import pytest
from harness.passing_time import PassingTime
from harness.tws_messages import Instrument
from harness.tws_server import ACCOUNT, Say, Tws, TwsServer

from resources.brokers.ibkr.connection import Connection
from resources.brokers.ibkr.contracts import ContractSpec
from resources.brokers.ibkr.errors import GatewayDown, NoAnswer, NotOnReadOnlyConnection, RequestRefused
from resources.brokers.ibkr.history import ContractRefused, HistoricalBars

NOW = dt.datetime(2024, 1, 4, 12, 0, 30, tzinfo=dt.UTC)
SPY = Instrument(756733, "SPY", primary_exchange="ARCA")


# -- contracts --


def test_an_ambiguous_contract_is_refused_with_its_candidates(tws: Tws, history: HistoricalBars) -> None:
    tws.instruments = [SPY, Instrument(237937002, "SPY", primary_exchange="ASX")]
    with pytest.raises(ContractRefused, match=r"SPY STK ARCA USD con_id 756733; SPY STK ASX USD con_id 237937002"):
        history.contract(ContractSpec(symbol="SPY"))
    for spec in (ContractSpec(symbol="SPY", primary_exchange="ARCA"), ContractSpec(symbol="SPY", con_id=756733)):
        found = history.contract(spec)
        assert (found.con_id, found.exchange, found.primary_exchange) == (756733, "SMART", "ARCA")
    asked = len(tws.looked_up)
    history.contract(ContractSpec(symbol="SPY", primary_exchange="ARCA"))
    assert len(tws.looked_up) == asked


def test_futures_go_by_their_expiry(tws: Tws, history: HistoricalBars) -> None:
    tws.instruments = [
        Instrument(number, "ES", "FUT", "CME", "USD", "", expiry, local, "ES", "50")
        for number, expiry, local in ((1, "20240315", "ESH4"), (2, "20240621", "ESM4"))
    ]
    found = history.contract(ContractSpec(symbol="ES", sec_type="FUT", exchange="CME", expiry="202406"))
    assert (found.con_id, found.expiry, found.local_symbol) == (2, "20240621", "ESM4")
    assert tws.looked_up[-1].include_expired
    with pytest.raises(ValueError, match="a future needs expiry"):
        ContractSpec(symbol="ES", sec_type="FUT", exchange="CME")


# -- the connection --


def test_no_order_can_be_sent_over_a_connection_that_reads(tws: Tws, connection: Connection) -> None:
    from ib_insync import MarketOrder, Stock

    async def order(ib: Any) -> None:
        ib.placeOrder(Stock("SPY", "SMART", "USD"), MarketOrder("BUY", 100))

    async def cancel_all(ib: Any) -> None:
        ib.reqGlobalCancel()

    for forbidden in (order, cancel_all):
        with pytest.raises(NotOnReadOnlyConnection):
            connection.call(forbidden, 5)
    assert set(tws.types) == {71}


def test_a_connection_for_more_than_reading_knows_its_account(tws: Tws, server: TwsServer) -> None:
    async def accounts(ib: Any) -> list[str]:
        return list(ib.managedAccounts())

    connection = Connection("127.0.0.1", server.port, 5, readonly=False, connect_seconds=5)
    try:
        assert connection.call(accounts, 5) == [ACCOUNT]
        assert set(tws.types) == {71}  # what it needs is asked for, with a bound
    finally:
        connection.close()


async def nothing(ib: Any) -> str:
    return "answered"


def test_why_there_is_no_connection(tws: Tws, server: TwsServer) -> None:
    tws.used_ids.add(9)
    with pytest.raises(GatewayDown, match=r"client id 9 is in use at 127\.0\.0\.1:\d+ .*its own client_id"):
        Connection("127.0.0.1", server.port, 9, connect_seconds=5).call(nothing, 5)
    tws.version = 100
    with pytest.raises(GatewayDown, match=r"10\.12 or newer"):
        Connection("127.0.0.1", server.port, 71, connect_seconds=5).call(nothing, 5)
    tws.takes_log_on = False
    with pytest.raises(GatewayDown, match=r"does not let us log on within 0\.3 s"):
        Connection("127.0.0.1", server.port, 71, connect_seconds=0.3).call(nothing, 5)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("ibkr")] == []


def test_nobody_listens(time: PassingTime) -> None:
    import socket

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(GatewayDown, match=rf"no TWS or IB Gateway at 127\.0\.0\.1:{port} .*log in"):
            Connection("127.0.0.1", port, 71, connect_seconds=5).call(nothing, 5)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("ibkr")] == []


def test_an_unused_connection_closes_by_itself_and_opens_again(tws: Tws, server: TwsServer) -> None:
    connection = Connection("127.0.0.1", server.port, 71, connect_seconds=5, idle_seconds=0.1)
    for _ in range(3):
        assert connection.call(nothing, 5) == "answered"
    assert tws.connections == 1
    for _ in range(200):
        if not server.open:
            break
        threading.Event().wait(0.02)
    assert not server.open
    assert connection.call(nothing, 5) == "answered" and tws.connections == 2
    connection.close()


def test_calls_from_many_threads_share_one_connection(tws: Tws, connection: Connection) -> None:
    async def details(ib: Any) -> int:
        from ib_insync import Stock

        return len(await ib.reqContractDetailsAsync(Stock("SPY", "SMART", "USD")))

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(connection.call(details, 5))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [1] * 8 and tws.connections == 1


def test_calls_end_with_their_connection_or_time(tws: Tws, server: TwsServer, connection: Connection) -> None:
    import asyncio

    async def forever(ib: Any) -> None:
        await asyncio.sleep(60)

    with pytest.raises(NoAnswer, match=r"has not answered within 0\.2 s"):
        connection.call(forever, 0.2)
    threading.Timer(0.2, server.hang_up).start()
    with pytest.raises(GatewayDown, match="ended the connection"):
        connection.call(forever, 10)
    threading.Timer(0.2, connection.close).start()
    with pytest.raises(GatewayDown, match=r"ended the connection|closed meanwhile"):
        connection.call(forever, 10)


def test_a_refusal_has_its_code(tws: Tws, history: HistoricalBars) -> None:
    tws.faults.append(Say(321, "Error validating request"))
    contract = history.contract(ContractSpec(symbol="SPY"))
    with pytest.raises(RequestRefused) as caught:
        history.bars(contract, NOW, "1 D", "1 min", "TRADES", regular_hours=False)
    assert caught.value.code == 321
