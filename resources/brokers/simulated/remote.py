"""The simulated broker in another process, from here."""

import datetime as dt
import socket
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import polars as pl

from resources.brokers.simulated.address import BrokerAddress
from resources.brokers.simulated.wire import read_answer, request
from trading.instruments import Instrument
from trading.orders.intents import OrderIntent
from trading.ports.broker import (
    AccountValues,
    BrokerEvent,
    BrokerPosition,
    BrokerUnavailable,
    PlacedOrder,
)
from trading.replay import ReplayConfig


class RemoteBroker:
    """Every call of :class:`resources.brokers.simulated.SimulatedBroker`, over one connection.

    A connection that broke, or an answer that did not come in time, raises BrokerUnavailable: whether the call was carried
    out is not known. It is never repeated by itself, and no other call goes out before :meth:`connect`.

    Args:
        seconds: within which each answer must come.
    """

    def __init__(self, address: BrokerAddress, *, seconds: float = 30.0) -> None:
        self.address = address
        self._seconds = seconds
        self._socket: socket.socket | None = None
        self._file: BinaryIO | None = None

    def connect(self) -> None:
        """Connect anew."""
        self.close()
        try:
            self._socket = self.address.connect(self._seconds)
            self._file = self._socket.makefile("rb")
        except OSError as error:
            self.close()
            raise BrokerUnavailable(
                f"nobody answers at {self.address} ({error}); is it running? trading broker simulate ACCOUNT"
            ) from error
        self._call("connect")

    def close(self) -> None:
        """Hang up; what was asked for and not answered may have been done."""
        if self._file is not None:
            self._file.close()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._file = None

    def place_bracket(self, intents: Sequence[OrderIntent]) -> list[PlacedOrder]:
        placed: list[PlacedOrder] = self._call("place_bracket", intents=list(intents))
        return placed

    def find(self, order_ref: str) -> PlacedOrder | None:
        found: PlacedOrder | None = self._call("find", order_ref=order_ref)
        return found

    def protect(self, order_ref: str, stop: float, target: float | None, at: dt.datetime) -> PlacedOrder:
        order: PlacedOrder = self._call("protect", order_ref=order_ref, stop=stop, target=target, at=at)
        return order

    def lose_exits(self, order_ref: str) -> None:
        self._call("lose_exits", order_ref=order_ref)

    def cancel(self, order_ref: str, at: dt.datetime, reason: str = "cancelled") -> bool:
        return bool(self._call("cancel", order_ref=order_ref, at=at, reason=reason))

    def cancel_all(self, account: str, at: dt.datetime, variant: str | None = None, reason: str = "cancelled") -> int:
        return int(self._call("cancel_all", account=account, at=at, variant=variant, reason=reason))

    def flatten(
        self,
        account: str,
        at: dt.datetime,
        variant: str | None = None,
        reason: str = "flatten",
        order_ref: str | None = None,
    ) -> int:
        which = {"variant": variant, "reason": reason, "order_ref": order_ref}
        return int(self._call("flatten", account=account, at=at, **which))

    def open_orders(self, account: str) -> list[PlacedOrder]:
        orders: list[PlacedOrder] = self._call("open_orders", account=account)
        return orders

    def positions(self, account: str) -> list[BrokerPosition]:
        positions: list[BrokerPosition] = self._call("positions", account=account)
        return positions

    def executions(self, account: str, since: int = 0) -> list[BrokerEvent]:
        executions: list[BrokerEvent] = self._call("executions", account=account, since=since)
        return executions

    def account_values(self, account: str) -> list[AccountValues]:
        values: list[AccountValues] = self._call("account_values", account=account)
        return values

    def events(self, account: str, since: int = 0) -> list[BrokerEvent]:
        events: list[BrokerEvent] = self._call("events", account=account, since=since)
        return events

    def open_book(
        self, account: str, variant: str, config: ReplayConfig, instruments: Mapping[str, Instrument] | None = None
    ) -> None:
        self._call("open_book", account=account, variant=variant, config=config, instruments=instruments)

    def clock(self, account: str, variant: str) -> dt.datetime | None:
        clock: dt.datetime | None = self._call("clock", account=account, variant=variant)
        return clock

    def advance(self, account: str, variant: str, bars: pl.DataFrame) -> int:
        return int(self._call("advance", account=account, variant=variant, bars=bars))

    def _call(self, call: str, **arguments: Any) -> Any:
        if self._socket is None or self._file is None:
            raise BrokerUnavailable(f"not connected to the broker at {self.address}; connect comes first")
        line = request(call, arguments)
        try:
            self._socket.sendall(line)
            reply = self._file.readline()
        except OSError as error:
            self.close()
            raise BrokerUnavailable(f"the broker at {self.address} did not answer to {call}: {error}") from error
        if not reply.endswith(b"\n"):
            self.close()
            raise BrokerUnavailable(f"the broker at {self.address} hung up before it answered to {call}")
        return read_answer(call, reply)
