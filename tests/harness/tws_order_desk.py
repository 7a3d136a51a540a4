"""Orders at the server: staged chains, OCA groups, fills that a test asks for, and what is told of them."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from harness import tws_messages as messages
from harness import tws_order_messages as wire
from harness.tws_messages import framed
from harness.tws_order_messages import ServerFill, ServerOrder

_OUTLIVES = ("Filled", "Cancelled")


@dataclass(frozen=True)
class Refuse:
    """The next order of this type gets an error message instead of an acknowledgement; ``live`` leaves it working."""

    code: int
    text: str
    order_type: str = "STP"
    live: bool = False


Cut = Literal["before_last_leg", "before_ack", "silent"]
"""What happens to the next chain: its last leg never arrives; it is taken and the connection ends; nothing is told."""


@dataclass
class OrderDesk:
    """State that outlives connections and servers.

    Attributes:
        cut, refusals: faults; each strikes once.
        mangle: what becomes of a batch of messages on their way to the client.
        fees_arrive: whether commission reports are sent.
        sends_fills, lists: whether executions are told as they happen; whether the list of open orders ends.
        prices: last price by contract.
    """

    account: str = "DU1234567"
    orders: list[ServerOrder] = field(default_factory=list)
    fills: list[ServerFill] = field(default_factory=list)
    positions: dict[int, tuple[str, float, float]] = field(default_factory=dict)
    prices: dict[int, float] = field(default_factory=dict)
    cut: deque[Cut] = field(default_factory=deque)
    refusals: list[Refuse] = field(default_factory=list)
    mangle: Callable[[list[bytes]], list[bytes]] = list
    fees_arrive: bool = True
    lists: bool = True
    at: str = "20240301 10:15:00 US/Eastern"
    placed_at: list[float] = field(default_factory=list)
    cancels: list[int] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    tell: Callable[[int, bytes], None] = lambda _client, _message: None
    _numbers: int = 0

    # -- requests --

    def place(self, client_id: int, fields: list[str]) -> bool:
        """Whether the connection goes on."""
        with self.lock:
            self._numbers += 1
            order = wire.placed(fields, client_id, 1_000_000 + self._numbers)
            last = order.transmit
            if last and self.cut and self.cut[0] == "before_last_leg":
                self.cut.popleft()
                return False
            self.orders = [o for o in self.orders if (o.client_id, o.order_id) != (client_id, order.order_id)]
            self.orders.append(order)
            if not last:
                return True
            family = order.parent_id or order.order_id
            chain = [
                o for o in self.orders
                if o.client_id == client_id and o.status == "Staged" and family in (o.order_id, o.parent_id)
            ]  # fmt: skip
            cut = self.cut.popleft() if self.cut else None
            told: list[bytes] = []
            for o in chain:
                told += self._accept(o)
            if cut == "before_ack":
                return False
            if cut != "silent":
                self._say(client_id, told)
            for o in chain:
                if o.type == "MKT" and o.live:
                    self._fill(o, o.qty, self.prices.get(o.con_id, 100.0))
            return True

    def _accept(self, o: ServerOrder) -> list[bytes]:
        refusal = next((r for r in self.refusals if r.order_type == o.type), None)
        if refusal is not None:
            self.refusals.remove(refusal)
            if not refusal.live:
                o.status = "Cancelled"
                o.why = refusal.text
                return [messages.error(o.order_id, refusal.code, refusal.text)]
        parent = self._parent(o)
        if parent is not None and parent.status == "Cancelled":
            o.status = "Cancelled"
            return [messages.error(o.order_id, 201, "Order rejected - reason:parent order is cancelled")]
        o.status = "PreSubmitted"
        said = [wire.open_order(o), wire.order_status(o)]
        return [messages.error(o.order_id, refusal.code, refusal.text), *said] if refusal is not None else said

    def cancel(self, client_id: int, order_id: int) -> None:
        with self.lock:
            self.cancels.append(order_id)
            order = next((o for o in self.orders if (o.client_id, o.order_id) == (client_id, order_id)), None)
            if order is None:
                self._say(
                    client_id,
                    [messages.error(order_id, 10147, f"OrderId {order_id} to be cancelled is not found.")],
                )
            elif order.status in _OUTLIVES:
                text = f"OrderId {order_id} that needs to be cancelled can not be cancelled, state: {order.status}."
                self._say(client_id, [messages.error(order_id, 10148, text)])
            else:
                self._cancel(order, "Cancelled by Trader")

    def cancel_everything(self) -> None:
        with self.lock:
            for order in self.orders:
                if order.live:
                    self._cancel(order, "global cancel")

    def listed(self) -> list[bytes]:
        with self.lock:
            live = [o for o in self.orders if o.live]
            told = [message for o in live for message in (wire.open_order(o), wire.order_status(o))]
            return [*told, framed([53, 1])] if self.lists else told

    def completed(self) -> list[bytes]:
        with self.lock:
            done = [o for o in self.orders if o.status in _OUTLIVES]
            return [*(wire.completed_order(o) for o in done), framed([102])]

    def executed(self, req_id: int) -> list[bytes]:
        with self.lock:
            told = [wire.exec_details(req_id, fill) for fill in self.fills]
            fees = [wire.commission_report(fill) for fill in self.fills] if self.fees_arrive else []
            return self.mangle([*told, framed([55, 1, req_id]), *fees])

    def held(self) -> list[bytes]:
        with self.lock:
            rows = [wire.position(self.account, con_id, *row) for con_id, row in self.positions.items()]
            return [*rows, framed([62, 1])]

    def valued(self) -> list[bytes]:
        with self.lock:
            rows = [
                wire.portfolio(self.account, con_id, symbol, qty, self.prices.get(con_id, average), average)
                for con_id, (symbol, qty, average) in self.positions.items()
            ]
            figure = framed([6, 2, "NetLiquidation", "100000.00", "USD", self.account])
            return [figure, *rows, framed([54, 1, self.account])]

    # -- what a test makes happen --

    def of(self, ref: str) -> ServerOrder:
        """The newest order of this orderRef."""
        return [o for o in self.orders if o.ref == ref][-1]

    def fill(self, ref: str, qty: float | None = None, price: float | None = None) -> None:
        """Fill what works under ``ref``."""
        with self.lock:
            order = next(o for o in self.orders if o.ref == ref and o.live)
            level = order.aux if order.type.startswith("STP") else order.limit
            self._fill(order, qty or order.remaining, price or float(level))

    def by_hand(self, con_id: int, symbol: str, qty: float, price: float) -> None:
        """A trade in TWS itself: ``qty`` below 0 sells."""
        with self.lock:
            self._numbers += 1
            action = "BUY" if qty > 0 else "SELL"
            order = ServerOrder(
                0, 0, 1_000_000 + self._numbers, con_id, symbol, "SMART", action, abs(qty), "MKT", "", "", "DAY", "",
                self.account, "", True, 0, "", 0,
            )  # fmt: skip
            self.orders.append(order)
            self._fill(order, abs(qty), price)

    def rest_by_hand(self, con_id: int, symbol: str, limit: float) -> None:
        """An order typed into TWS."""
        with self.lock:
            self._numbers += 1
            self.orders.append(
                ServerOrder(
                    0, 0, 1_000_000 + self._numbers, con_id, symbol, "SMART", "BUY", 5, "LMT", str(limit), "", "DAY", "",
                    self.account, "", True, 0, "", 0, "Submitted",
                )
            )  # fmt: skip

    def correct(self, ref: str, price: float) -> None:
        """The last execution of ``ref`` again, as its correction."""
        with self.lock:
            last = [fill for fill in self.fills if fill.order.ref == ref][-1]
            stem, _, number = last.exec_id.rpartition(".")
            self.fills.append(replace(last, exec_id=f"{stem}.{int(number) + 1:02d}", price=price))

    def new_day(self) -> None:
        """Executions and completed orders are gone, and so are orders for the day."""
        with self.lock:
            self.fills = []
            self.orders = [o for o in self.orders if o.live and o.tif == "GTC"]

    # -- within --

    def _fill(self, o: ServerOrder, qty: float, price: float) -> None:
        o.average = (o.average * o.filled + qty * price) / (o.filled + qty)
        o.filled += qty
        o.status = "Filled" if o.remaining <= 0 else "Submitted"
        fill = ServerFill(
            f"0000e0d5.65e1a3b2.{len(self.fills) + 1:04d}.01", o, self.at, qty, price, round(qty * 0.005, 4)
        )
        self.fills.append(fill)
        signed = qty if o.action == "BUY" else -qty
        _, held, average = self.positions.get(o.con_id, (o.symbol, 0.0, 0.0))
        after = held + signed
        average = (
            price if held * after <= 0 else (held * average + signed * price) / after if held * signed > 0 else average
        )
        self.positions[o.con_id] = (o.symbol, after, average)
        told = [wire.exec_details(-1, fill), wire.order_status(o)]
        self._say(o.client_id, self.mangle([*told, *([wire.commission_report(fill)] if self.fees_arrive else [])]))
        self._children_follow(o)
        for other in self.orders:
            if other is not o and other.live and o.oca_group and other.oca_group == o.oca_group:
                if o.oca_type == 1 or other.remaining <= qty:
                    self._cancel(other, "OCA group filled")
                else:
                    other.qty -= qty
                    self._say(other.client_id, [wire.open_order(other), wire.order_status(other)])

    def _children_follow(self, parent: ServerOrder) -> None:
        for child in self.orders:
            if (
                child.live
                and child.parent_id == parent.order_id
                and child.client_id == parent.client_id
                and parent.parent_id == 0
            ):
                child.status = "Submitted" if child.type == "LMT" else "PreSubmitted"
                if parent.status == "Cancelled":
                    child.qty = parent.filled
                self._say(child.client_id, [wire.open_order(child), wire.order_status(child)])

    def _cancel(self, o: ServerOrder, why: str) -> None:
        o.status, o.why = "Cancelled", why
        self._say(o.client_id, [wire.order_status(o), messages.error(o.order_id, 202, "Order Canceled - reason:")])
        if o.parent_id:
            return
        if o.filled:
            self._children_follow(o)
            return
        for child in self.orders:
            if (
                child.parent_id == o.order_id
                and child.client_id == o.client_id
                and child.status not in _OUTLIVES
                and o.order_id
            ):
                self._cancel(child, why)

    def _parent(self, o: ServerOrder) -> ServerOrder | None:
        found = [p for p in self.orders if p.client_id == o.client_id and p.order_id == o.parent_id and o.parent_id]
        return found[0] if found else None

    def _say(self, client_id: int, said: list[bytes]) -> None:
        for message in said:
            self.tell(client_id, message)
