"""TWS's API on loopback: log-on, contracts, historical and live bars, orders and accounts, with limits and faults."""

import datetime as dt
import socket
import socketserver
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo

from harness import tws_messages as messages
from harness.tws_messages import HistoricalRequest, Instrument
from harness.tws_order_desk import OrderDesk
from harness.vendor_bars import Bar
from trading.sessions import get_calendar

NEW_YORK = ZoneInfo("America/New_York")
ACCOUNT = "DU1234567"
_SECONDS = {"S": 1, "D": 86_400}


@dataclass(frozen=True)
class Say:
    """This error message in place of an answer, none for code 0; ``about`` the request or the whole connection."""

    code: int
    text: str
    about: Literal["request", "connection"] = "request"
    then: Literal["", "close"] = ""


DROP = Say(0, "", then="close")
SILENT = Say(0, "")
LOST = Say(1100, "Connectivity between IB and Trader Workstation has been lost.", "connection")
RESTORED = Say(1102, "Connectivity between IB and Trader Workstation has been restored.", "connection")
PACING = Say(162, "Historical Market Data Service error message:Historical data request pacing violation")
NO_PERMISSION = Say(162, "Historical Market Data Service error message:No market data permissions for NYSE STK")
HALF = Say(-1, "", then="close")  # half of the answer


@dataclass
class Tws:
    """What it has and does. A test may change it between requests.

    Attributes:
        instruments: that it knows.
        bars: by con_id, ascending; of days where the bars start at midnight UTC.
        faults: the first strikes the next request for bars and is gone; None spares it.
        days_are: whether ``N D`` is that many dates with bars, or hours of the clock.
        now: seconds, for its limits.
        limit: requests for bars in ten minutes; None sees to none of the limits.
        accounts: that the login manages.
        desk: orders, executions and positions.
        rules: price steps by market rule.
        clock: epoch seconds that the server tells.
        streams: running streams of bars by request.
    """

    instruments: Sequence[Instrument]
    bars: Mapping[int, Sequence[Bar]]
    faults: "deque[Say | None]" = field(default_factory=deque)
    days_are: Literal["dates", "hours"] = "dates"
    now: Callable[[], float] = time.monotonic
    limit: int | None = 60
    used_ids: set[int] = field(default_factory=set)
    accounts: str = ACCOUNT
    desk: OrderDesk = field(default_factory=OrderDesk)
    rules: dict[int, list[tuple[float, float]]] = field(default_factory=lambda: {26: [(0.0, 0.01)]})
    clock: Callable[[], float] = time.time
    streams: dict[int, messages.Wanted] = field(default_factory=dict)
    takes_log_on: bool = True
    version: int = messages.VERSION
    # what happened
    asked: list[HistoricalRequest] = field(default_factory=list)
    looked_up: list[messages.Wanted] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    connections: int = 0
    violations: list[str] = field(default_factory=list)
    _times: list[tuple[float, int, object, object]] = field(default_factory=list)

    # -- requests --

    def details(self, req_id: int, contract: messages.Wanted) -> Iterator[bytes]:
        self.looked_up.append(contract)
        found = [instrument for instrument in self.instruments if contract.fits(instrument)]
        if not found:
            yield messages.error(req_id, 200, "No security definition has been found for the request")
            return
        yield from (messages.contract_details(req_id, instrument) for instrument in found)
        yield messages.framed([52, 1, req_id])

    def historical(self, asked: HistoricalRequest) -> bytes:
        self.asked.append(asked)
        violated = self._violation(asked)
        if violated:
            self.violations.append(violated)
            return messages.error(asked.req_id, 162, PACING.text)
        found = [instrument for instrument in self.instruments if asked.contract.fits(instrument)]
        if len(found) != 1:
            return messages.error(asked.req_id, 200, "No security definition has been found for the request")
        end = dt.datetime.strptime(asked.end, "%Y%m%d %H:%M:%S UTC").replace(tzinfo=dt.UTC)
        listed = self._within(asked, self.bars[found[0].con_id], end)
        if not listed:
            symbol = f"{found[0].symbol}@{asked.contract.exchange} {asked.what_to_show.title()}"
            text = f"Historical Market Data Service error message:HMDS query returned no data: {symbol}"
            return messages.error(asked.req_id, 162, text)
        first = f"{listed[0].start:%Y%m%d  %H:%M:%S}"
        return messages.historical_data(asked.req_id, first, asked.end, (_written(bar, asked) for bar in listed))

    def _within(self, asked: HistoricalRequest, bars: Sequence[Bar], end: dt.datetime) -> list[Bar]:
        count, unit = asked.duration.split()
        daily = asked.bar_size == "1 day"
        assert daily or asked.bar_size in ("1 min", "5 secs")
        before = [bar for bar in bars if bar.start < end]
        if asked.use_rth and not daily:
            before = _regular(before)
        if unit == "D" and self.days_are == "dates":
            dates = sorted({_date(bar, daily) for bar in before})[-int(count) :]
            return [bar for bar in before if _date(bar, daily) in dates]
        start = end - dt.timedelta(seconds=int(count) * _SECONDS[unit])
        return [bar for bar in before if bar.start >= start]

    def _violation(self, asked: HistoricalRequest) -> str:
        if self.limit is None:
            return ""
        now, weight = self.now(), 2 if asked.what_to_show == "BID_ASK" else 1
        series = (asked.contract.con_id, asked.contract.exchange, asked.what_to_show)
        same = (*series, asked.end, asked.duration, asked.bar_size, asked.use_rth)
        past = self._times
        past.append((now, weight, series, same))
        if any(now - at < 15 for at, _, _, other in past[:-1] if other == same):
            return f"identical within 15 s: {same}"
        if sum(1 for at, _, other, _ in past if other == series and now - at < 2) >= 6:
            return f"six within 2 s: {series}"
        if sum(counted for at, counted, _, _ in past if now - at < 600) > self.limit:
            return "too many within 10 min"
        return ""


def _regular(bars: Sequence[Bar]) -> list[Bar]:
    calendar = get_calendar("XNYS")
    dates = {bar.start.astimezone(NEW_YORK).date() for bar in bars}
    hours = {date: (calendar.open(date), calendar.close(date)) for date in dates if calendar.is_session(date)}
    found = ((bar, hours.get(bar.start.astimezone(NEW_YORK).date())) for bar in bars)
    return [bar for bar, of in found if of is not None and of[0] <= bar.start < of[1]]


def _date(bar: Bar, daily: bool) -> dt.date:
    return bar.start.date() if daily else bar.start.astimezone(NEW_YORK).date()


def _written(bar: Bar, asked: HistoricalRequest) -> Iterable[object]:
    assert asked.format_date == 2 and not asked.keep_up_to_date
    daily = asked.bar_size == "1 day"
    date = f"{bar.start:%Y%m%d}" if daily else str(int(bar.start.timestamp()))
    if bar.open is None:  # nothing was traded: the last price again
        return [date, "1.0", "1.0", "1.0", "1.0", "0", "1.0", "0"]
    quoted = asked.what_to_show not in ("TRADES", "AGGTRADES")
    volume = "-1" if quoted else f"{bar.volume:g}"
    return [
        date,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        volume,
        "-1" if quoted else bar.close,
        "-1" if quoted else "9",
    ]


_TRADING = frozenset({3, 4, 5, 6, 7, 16, 49, 50, 51, 58, 61, 62, 63, 64, 91, 99})


class _Handler(socketserver.BaseRequestHandler):
    server: "TwsServer"

    client_id = -1

    def handle(self) -> None:
        self.server.open.add(self.request)
        try:
            with suppress(OSError):
                self._serve()
        finally:
            self.server.open.discard(self.request)
            if self.server.clients.get(self.client_id) is self.request:
                del self.server.clients[self.client_id]

    def _serve(self) -> None:
        tws = self.server.tws
        versions = messages.greeted(self.request)
        if versions is None:
            return
        tws.connections += 1
        if not tws.takes_log_on:
            self.server.stopping.wait(30)
            return
        self.request.sendall(messages.framed([min(tws.version, versions[1]), "20240105 12:00:00 UTC"]))
        for message in messages.received(self.request):
            tws.types.append(int(message[0]))
            kind = int(message[0])
            if not (self._trade(kind, message[1:]) if kind in _TRADING else self._answer(kind, iter(message[1:]))):
                return

    def _answer(self, kind: int, fields: Iterator[str]) -> bool:
        tws, send = self.server.tws, self.request.sendall
        match kind:
            case 71:
                _, client_id, _ = fields
                if int(client_id) in tws.used_ids:
                    send(messages.error(-1, 326, "Unable to connect as the client id is already in use."))
                    return False
                self.client_id = int(client_id)
                self.server.clients[self.client_id] = self.request
                following = max([0, *(o.order_id for o in tws.desk.orders if o.client_id == self.client_id)]) + 1
                send(messages.framed([15, 1, tws.accounts]) + messages.framed([9, 1, following]))
                send(messages.error(-1, 2106, "HMDS data farm connection is OK:ushmds"))
            case 9:
                next(fields)
                req_id = int(next(fields))
                send(b"".join(tws.details(req_id, messages.wanted(fields))))
            case 20:
                return self._bars(messages.historical_request(fields))
            case 76:
                send(messages.framed([74, 1, list(fields)[1]]))
        return True

    def _trade(self, kind: int, fields: list[str]) -> bool:
        tws, desk = self.server.tws, self.server.tws.desk
        answers: list[bytes] = []
        match kind:
            case 3:
                desk.placed_at.append(time.perf_counter())
                return desk.place(self.client_id, fields)
            case 4:
                desk.cancel(self.client_id, int(fields[1]))
            case 5 | 16:
                answers = desk.listed()
            case 6:
                answers = desk.valued()
            case 7:
                answers = desk.executed(int(fields[1]))
            case 49:
                answers = [messages.framed([49, 1, int(tws.clock())])]
            case 50:
                tws.streams[int(fields[1])] = messages.wanted(iter([*fields[2:14], "0"]))
            case 51:
                tws.streams.pop(int(fields[1]), None)
            case 58:
                desk.cancel_everything()
            case 61:
                answers = desk.held()
            case 62:
                value = ["NetLiquidation", "100000.00", "USD"]
                answers = [
                    messages.framed([63, 1, fields[1], desk.account, *value]),
                    messages.framed([64, 1, fields[1]]),
                ]
            case 91:
                steps = tws.rules.get(int(fields[0]))
                if steps is not None:
                    answers = [
                        messages.framed([93, fields[0], len(steps), *(number for step in steps for number in step)])
                    ]
            case 99:
                answers = desk.completed()
        self.server.send(self.request, b"".join(answers))
        return True

    def _bars(self, asked: HistoricalRequest) -> bool:
        tws = self.server.tws
        fault = tws.faults.popleft() if tws.faults else None
        if fault is None:
            self.request.sendall(tws.historical(asked))
            return True
        if fault is HALF:
            whole = tws.historical(asked)
            self.request.sendall(whole[: len(whole) // 2])
            return False
        tws.asked.append(asked)
        if fault.code:
            about = asked.req_id if fault.about == "request" else -1
            self.request.sendall(messages.error(about, fault.code, fault.text))
        return fault.then != "close"


class TwsServer(socketserver.ThreadingTCPServer):
    daemon_threads = False
    allow_reuse_address = True

    def __init__(self, tws: Tws, port: int = 0) -> None:
        self.tws = tws
        self.stopping = threading.Event()
        self.open: set[socket.socket] = set()
        self.clients: dict[int, socket.socket] = {}
        tws.desk.tell = self.tell
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def tell(self, client_id: int, message: bytes) -> None:
        """To one client, where it is connected."""
        connection = self.clients.get(client_id)
        if connection is not None:
            self.send(connection, message)

    def send(self, connection: socket.socket, message: bytes) -> None:
        with self.tws.desk.lock, suppress(OSError):
            connection.sendall(message)

    def stream(self, symbol: str, start: int, price: float) -> None:
        """A five-second bar to whoever streams ``symbol``."""
        for req_id, contract in list(self.tws.streams.items()):
            known = next(i for i in self.tws.instruments if contract.fits(i))
            if known.symbol == symbol:
                for connection in list(self.open):
                    self.send(connection, messages.framed([50, 3, req_id, start, *[price] * 4, 10, price, 1]))

    def announce(self, said: Say) -> None:
        """To all that are connected, as part of no answer."""
        for connection in list(self.open):
            connection.sendall(messages.error(-1, said.code, said.text))

    def hang_up(self) -> None:
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def tws_server(tws: Tws, port: int = 0) -> Iterator[TwsServer]:
    """It listens until the block ends; then no thread of it is left."""
    server = TwsServer(tws, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.hang_up()
        server.server_close()
        thread.join(10)
