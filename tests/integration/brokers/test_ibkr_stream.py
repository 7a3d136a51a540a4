"""Five-second bars as they happen: each once, in order, and none missing."""

import datetime as dt
import threading
import time
from collections.abc import Callable

import pytest
from harness.passing_time import PassingTime
from harness.tws_messages import Instrument
from harness.tws_server import Say, Tws, TwsServer
from harness.vendor_bars import Bar

from resources.brokers.ibkr.connection import Connection
from resources.brokers.ibkr.contracts import ContractSpec
from resources.brokers.ibkr.history import HistoricalBars
from resources.brokers.ibkr.pace import HistoricalPace
from resources.brokers.ibkr.stream import LiveBar, LiveStream

SPY = Instrument(756733, "SPY", primary_exchange="ARCA")
START = dt.datetime(2024, 1, 2, 15, tzinfo=dt.UTC)


def at(number: int) -> dt.datetime:
    return START + dt.timedelta(seconds=5 * number)


def streamed(server: TwsServer, steps: list[Callable[[], None] | int], count: int, **options) -> list[LiveBar]:
    """What ``count`` bars of the stream are while ``steps`` happen: numbers are bars, the rest is done."""
    history = HistoricalBars(
        connection := Connection("127.0.0.1", server.port, 71, connect_seconds=5),
        HistoricalPace(sleep=PassingTime(0.0).sleep, monotonic=PassingTime(0.0)),
        seconds=5,
    )
    contract = history.contract(ContractSpec(symbol="SPY"))
    got: list[LiveBar] = []

    def play() -> None:
        for step in steps:
            bound = time.monotonic() + 5
            while not server.tws.streams and time.monotonic() < bound:
                time.sleep(0.01)
            if callable(step):
                step()
                time.sleep(0.05)
            else:
                server.stream("SPY", int(at(step).timestamp()), 470.0 + step)

    player = threading.Thread(target=play)
    player.start()
    try:
        stream = LiveStream(connection, history, [contract])
        for bar in stream.bars(until=lambda: len(got) >= count, **options):
            got.append(bar)
            if len(got) >= count:
                break
    finally:
        player.join(10)
        connection.close()
    return got


@pytest.fixture
def tws() -> Tws:
    listed = [Bar(at(number), 1.0 + number, 2.0 + number, 0.5, 1.5, 10) for number in range(40)]
    return Tws([SPY], {SPY.con_id: listed}, limit=None)


def test_bars_come_once_and_in_order(server: TwsServer) -> None:
    got = streamed(server, [0, 1, 1, 0, 2], 3)
    assert [(b.start, b.close, b.backfilled) for b in got] == [(at(n), 470.0 + n, False) for n in range(3)]


def test_a_gap_is_filled_from_history_before_what_comes_after_it(server: TwsServer) -> None:
    got = streamed(server, [0, 4], 5)
    assert [b.start for b in got] == [at(n) for n in range(5)]
    assert [b.backfilled for b in got] == [False, True, True, True, False] and got[2].open == 3.0


def test_what_was_missed_before_the_start_comes_first(server: TwsServer) -> None:
    got = streamed(server, [3], 4, since={SPY.con_id: at(-1)})
    assert [(b.start, b.backfilled) for b in got] == [(at(0), True), (at(1), True), (at(2), True), (at(3), False)]


@pytest.mark.parametrize("fault", ["connection", "data"])
def test_a_loss_is_subscribed_to_anew_and_caught_up(server: TwsServer, tws: Tws, fault: str) -> None:
    def lose() -> None:
        tws.streams.clear()
        server.hang_up() if fault == "connection" else server.announce(Say(1101, "restored, data lost", "connection"))

    got = streamed(server, [0, lose, 3], 4)
    assert [(b.start, b.backfilled) for b in got] == [(at(0), False), (at(1), True), (at(2), True), (at(3), False)]


def test_silence_is_subscribed_to_anew(server: TwsServer, tws: Tws) -> None:
    got = streamed(server, [0, tws.streams.clear, 2], 3, idle_seconds=0.3)
    assert [b.start for b in got] == [at(0), at(1), at(2)]
