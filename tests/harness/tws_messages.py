"""TWS's messages on the wire: a length, then fields of text, each ended by a zero byte."""

import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

VERSION = 176


@dataclass(frozen=True)
class Instrument:
    """A contract as TWS lists it; ``expiry`` is its last trading day (``YYYYMMDD``)."""

    con_id: int
    symbol: str
    sec_type: str = "STK"
    exchange: str = "SMART"
    currency: str = "USD"
    primary_exchange: str = ""
    expiry: str = ""
    local_symbol: str = ""
    trading_class: str = ""
    multiplier: str = ""


@dataclass(frozen=True)
class Wanted:
    """The contract in a request; what is empty was not given."""

    con_id: int
    symbol: str
    sec_type: str
    expiry: str
    multiplier: str
    exchange: str
    primary_exchange: str
    currency: str
    local_symbol: str
    trading_class: str
    include_expired: bool

    def fits(self, instrument: Instrument) -> bool:
        if self.con_id:
            return instrument.con_id == self.con_id
        given = {
            "symbol": self.symbol,
            "sec_type": self.sec_type,
            "multiplier": self.multiplier,
            "primary_exchange": self.primary_exchange,
            "currency": self.currency,
            "local_symbol": self.local_symbol,
            "trading_class": self.trading_class,
        }
        return (
            all(not value or getattr(instrument, name) == value for name, value in given.items())
            and instrument.expiry.startswith(self.expiry)
            and self.exchange in ("SMART", "", instrument.exchange, instrument.primary_exchange)
        )


@dataclass(frozen=True)
class HistoricalRequest:
    """Message 20; ``end`` as sent, e.g. ``20240103 05:00:00 UTC``."""

    req_id: int
    contract: Wanted
    end: str
    bar_size: str
    duration: str
    use_rth: bool
    what_to_show: str
    format_date: int
    keep_up_to_date: bool


def wanted(fields: Iterator[str]) -> Wanted:
    """Twelve fields of a contract, and whether expired ones are meant as well."""
    given = [next(fields) for _ in range(12)]
    con_id, symbol, sec_type, expiry, _strike, _right, multiplier = given[:7]
    exchange, primary_exchange, currency, local_symbol, trading_class = given[7:]
    return Wanted(
        int(con_id or 0),
        symbol,
        sec_type,
        expiry,
        multiplier,
        exchange,
        primary_exchange,
        currency,
        local_symbol,
        trading_class,
        next(fields) == "1",
    )


def historical_request(fields: Iterator[str]) -> HistoricalRequest:
    req_id, contract = int(next(fields)), wanted(fields)
    end, bar_size, duration, use_rth, what, format_date, keep, _options = fields
    return HistoricalRequest(
        req_id, contract, end, bar_size, duration, use_rth == "1", what, int(format_date), keep == "1"
    )


def framed(fields: Iterable[object]) -> bytes:
    body = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


def received(connection: socket.socket) -> Iterator[list[str]]:
    """Messages until the client goes."""
    while (head := _exactly(connection, 4)) is not None:
        body = _exactly(connection, struct.unpack(">I", head)[0])
        if body is None:
            return
        yield body.decode().split("\0")[:-1]


def greeted(connection: socket.socket) -> tuple[int, int] | None:
    """The client's range of versions, once it has said API; None where it went."""
    head = _exactly(connection, 8)
    if head is None:
        return None
    assert head[:4] == b"API\0", head
    said = _exactly(connection, struct.unpack(">I", head[4:])[0])
    assert said is not None
    lowest, _, highest = said.decode().removeprefix("v").partition("..")
    return int(lowest), int(highest.split()[0])


def contract_details(req_id: int, of: Instrument) -> bytes:
    """Message 10, for servers from version 164 on; figures that nobody here reads are as TWS often has them."""
    expiry = f"{of.expiry} 08:30:00 US/Central" if of.expiry else ""
    identity = [of.symbol, of.sec_type, expiry, "0", "", of.exchange, of.currency, of.local_symbol or of.symbol]
    market = [of.trading_class or "NMS", of.trading_class or "NMS", of.con_id, "0.01", of.multiplier]
    abilities = ["ACTIVETIM,LMT,MKT", "SMART,AMEX,NYSE", "1", "0", f"{of.symbol} long name", of.primary_exchange]
    hours = ["20240102:0400-20240102:2000", "20240102:0930-20240102:1600"]
    described = [of.expiry[:6], "", "", "", "US/Eastern", *hours, "", "0"]
    identifiers = ["1", "ISIN", "US0000000000"]
    sizes = ["1", "", "", "26,26", of.expiry, "ETF", "0.0001", "0.0001", "100"]
    return framed([10, req_id, *identity, *market, *abilities, *described, *identifiers, *sizes])


def historical_data(req_id: int, first: str, last: str, bars: Iterable[Iterable[object]]) -> bytes:
    """Message 17: date, open, high, low, close, volume, average, count of each bar."""
    listed = [list(bar) for bar in bars]
    return framed([17, req_id, first, last, len(listed), *(field for bar in listed for field in bar)])


def error(req_id: int, code: int, text: str, version: int = VERSION) -> bytes:
    """Message 4; ``req_id`` -1 is about the connection."""
    return framed([4, 2, req_id, code, text, *([""] if version >= 166 else [])])


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    got = b""
    while len(got) < count:
        piece = connection.recv(count - len(got))
        if not piece:
            return None
        got += piece
    return got
