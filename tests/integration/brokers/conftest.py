"""A TWS on loopback with two stocks, and a connection to it."""

import datetime as dt
import threading
from collections.abc import Iterator

import pytest
from harness.passing_time import PassingTime
from harness.tws_messages import Instrument
from harness.tws_server import Tws, TwsServer
from harness.tws_server import tws_server as serving
from harness.vendor_bars import minute_bars

from resources.brokers.ibkr.connection import Connection
from resources.brokers.ibkr.history import HistoricalBars
from resources.brokers.ibkr.pace import HistoricalPace

SESSIONS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
SPY = Instrument(756733, "SPY", primary_exchange="ARCA")
AAPL = Instrument(265598, "AAPL", primary_exchange="NASDAQ")


@pytest.fixture
def time() -> PassingTime:
    return PassingTime(1_000.0)


@pytest.fixture
def tws(time: PassingTime) -> Tws:
    bars = {SPY.con_id: minute_bars(SESSIONS, 470), AAPL.con_id: minute_bars(SESSIONS, 185)}
    return Tws([SPY, AAPL], bars, now=time)


@pytest.fixture
def server(tws: Tws) -> Iterator[TwsServer]:
    with serving(tws) as running:
        yield running


@pytest.fixture
def connection(server: TwsServer) -> Iterator[Connection]:
    before = threading.active_count()
    made = Connection("127.0.0.1", server.port, 71, connect_seconds=5)
    yield made
    made.close()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("ibkr")] == []
    assert threading.active_count() <= before + 1  # the server's, for this connection


@pytest.fixture
def history(connection: Connection, time: PassingTime) -> HistoricalBars:
    pace = HistoricalPace(sleep=time.sleep, monotonic=time)
    return HistoricalBars(connection, pace, seconds=5, sleep=time.sleep)
