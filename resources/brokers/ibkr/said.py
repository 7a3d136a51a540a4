"""What TWS says of orders, executions and fees, word by word.

The library's own picture of a trade is not used: it takes some errors on live orders for their end, and keeps the first
status of an order through later listings. What counts here is what TWS said last, and above all what it lists when asked.
"""

import asyncio
import datetime as dt
import logging
from dataclasses import dataclass, field, replace
from typing import Any

from resources.brokers.ibkr.library import library

_log = logging.getLogger(__name__)

Key = tuple[int, int] | int
"""(client id, order id), or the permanent id of an order that no API client placed."""

_ENDED = frozenset({"Filled", "Cancelled", "ApiCancelled"})
_FEE_SECONDS = 3.0
_NO_REFUSAL = frozenset({202, 399, 404, 434, 492, 10148, 10147, 10167, 10349, 135, 161})
_UNSET = 1e300  # the library's largest number stands for none


@dataclass(frozen=True)
class OrderSaid:
    """One order at the broker; ``filled`` as TWS counts it, levels None where the order has none."""

    key: Key
    ref: str
    con_id: int
    symbol: str
    side: int
    order_type: str
    qty: float
    limit: float | None
    stop: float | None
    status: str
    filled: float = 0.0
    why: str = ""

    @property
    def ended(self) -> bool:
        return self.status in _ENDED

    @property
    def remaining(self) -> float:
        return max(0.0, self.qty - self.filled)


@dataclass(frozen=True)
class FillSaid:
    """One execution, by the stem of its id: a correction has the same stem."""

    execution_id: str
    ref: str
    perm_id: int
    con_id: int
    symbol: str
    side: int
    qty: float
    price: float
    at: dt.datetime
    fee: float


@dataclass(frozen=True)
class Held:
    """What the account holds of one contract; ``qty`` below 0 is short."""

    con_id: int
    symbol: str
    qty: float
    average_price: float


@dataclass
class Said:
    """Listens to one connection, for one account.

    Attributes:
        account: number of the account; others of the login are left out.
        orders: by key, as last said.
        refused: by order id, code and text of what TWS says against an order.
        answered: order ids that TWS has acknowledged or refused.
        corrected: stems of executions that TWS has corrected.
    """

    ib: Any
    account: str
    orders: dict[Key, OrderSaid] = field(default_factory=dict)
    refused: dict[int, tuple[int, str]] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    corrected: set[str] = field(default_factory=set)
    fees: dict[str, float] = field(default_factory=dict)
    _waited: set[str] = field(default_factory=set)
    _listing: dict[Key, OrderSaid] | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        wrapper = self.ib.wrapper
        for name, listen in (
            ("openOrder", self._open_order),
            ("orderStatus", self._order_status),
            ("completedOrder", self._completed_order),
            ("commissionReport", self._commission_report),
        ):
            setattr(wrapper, name, _before(listen, getattr(wrapper, name)))
        self.ib.errorEvent += self._error

    # -- asking --

    async def list_orders(self) -> None:
        """Bring :attr:`orders` up to what the broker lists now, of every client; what it does not list any more has ended or
        is gone.
        """
        async with self._turn:
            self._listing = {}
            try:
                await self.ib.reqAllOpenOrdersAsync()
                listed = self._listing
            finally:
                self._listing = None
            self.orders = {key: order for key, order in self.orders.items() if order.ended} | listed
            await self.ib.reqCompletedOrdersAsync(False)

    async def list_fills(self) -> list[FillSaid]:
        """Executions of the broker's day, each once, with their fees."""
        async with self._turn:
            asked = library().ExecutionFilter(acctCode=self.account)
            fills = await self.ib.reqExecutionsAsync(asked)
            mine = [fill for fill in fills if fill.execution.acctNumber == self.account]
            ids = {fill.execution.execId for fill in mine} - self._waited  # for each of them once
            self._waited |= ids
            if not await self._until(lambda: ids <= self.fees.keys(), _FEE_SECONDS):
                for execution_id in sorted(ids - self.fees.keys()):
                    _log.warning("ibkr: execution %s has no commission report; its fee is booked as 0", execution_id)
        found: dict[str, FillSaid] = {}
        for fill in mine:
            said = self._fill(fill)
            if said.execution_id in found and said.execution_id not in self.corrected:
                self.corrected.add(said.execution_id)
                _log.error(
                    "ibkr: execution %s was corrected to %g at %g; what was booked stays, see the account statement",
                    said.execution_id, said.qty, said.price,
                )  # fmt: skip
            found.setdefault(said.execution_id, said)
        return list(found.values())

    async def list_positions(self) -> list[Held]:
        async with self._turn:
            positions = await self.ib.reqPositionsAsync()
        return [
            Held(
                p.contract.conId, p.contract.localSymbol or p.contract.symbol, p.position,
                p.avgCost / float(p.contract.multiplier or 1),
            )
            for p in positions
            if p.account == self.account and p.position
        ]  # fmt: skip

    async def answers(self, order_ids: list[int], seconds: float) -> bool:
        """Whether TWS has said something of each within ``seconds``."""
        return await self._until(lambda: self.answered.issuperset(order_ids), seconds)

    async def ends(self, keys: list[Key], seconds: float) -> bool:
        """Whether each order has ended, or is not known, within ``seconds``."""
        return await self._until(lambda: all(k not in self.orders or self.orders[k].ended for k in keys), seconds)

    async def _until(self, met: Any, seconds: float) -> bool:
        until = asyncio.get_running_loop().time() + seconds
        while not met():
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except TimeoutError:
                return bool(met())
        return True

    # -- listening --

    def _open_order(self, order_id: int, contract: Any, order: Any, state: Any) -> None:
        if order.whatIf or order.account not in ("", self.account):
            return
        key: Key = order.permId if order.orderId <= 0 else (order.clientId, order.orderId)
        said = _order(key, contract, order, state.status)
        known = self.orders.get(key)
        if self._listing is not None:
            self._listing[key] = replace(said, filled=known.filled if known is not None else 0.0)
        elif known is None or not known.ended:
            self.orders[key] = replace(said, filled=known.filled if known is not None else 0.0)
        if order.clientId == self.ib.wrapper.clientId:
            self.answered.add(order_id)
        self._news.set()

    def _order_status(self, order_id: int, status: str, filled: float, *rest: Any) -> None:
        _, _, perm_id, _, _, client_id = rest[:6]
        key: Key = perm_id if order_id <= 0 else (client_id, order_id)
        for known in (self._listing, self.orders):
            if known is not None and key in known and not known[key].ended:
                known[key] = replace(known[key], status=status, filled=max(known[key].filled, filled))
        if client_id == self.ib.wrapper.clientId:
            self.answered.add(order_id)
        self._news.set()

    def _completed_order(self, contract: Any, order: Any, state: Any) -> None:
        if order.account not in ("", self.account):
            return
        status = state.status if state.status in _ENDED else "Cancelled"  # whatever it was called, it is over
        said = _order(order.permId, contract, order, status, state.completedStatus)
        filled = 0.0 if order.filledQuantity > _UNSET else order.filledQuantity
        self.orders[order.permId] = replace(said, filled=filled, qty=max(said.qty, filled))
        self._news.set()

    def _commission_report(self, report: Any) -> None:
        self.fees[report.execId] = report.commission
        self._news.set()

    def _error(self, request: int, code: int, text: str, _contract: Any) -> None:
        if request > 0 and code not in _NO_REFUSAL and not 2100 <= code < 2200:
            self.refused[request] = (code, text)
            self.answered.add(request)
        self._news.set()

    def _fill(self, fill: Any) -> FillSaid:
        said, contract = fill.execution, fill.contract
        return FillSaid(
            execution_id=said.execId.rpartition(".")[0] or said.execId, ref=said.orderRef, perm_id=said.permId,
            con_id=contract.conId, symbol=contract.localSymbol or contract.symbol,
            side=1 if said.side == "BOT" else -1, qty=said.shares, price=said.price, at=said.time,
            fee=self.fees.get(said.execId, 0.0),
        )  # fmt: skip


def _order(key: Key, contract: Any, order: Any, status: str, why: str = "") -> OrderSaid:
    return OrderSaid(
        key=key, ref=order.orderRef, con_id=contract.conId, symbol=contract.localSymbol or contract.symbol,
        side=1 if order.action == "BUY" else -1, order_type=order.orderType, qty=order.totalQuantity,
        limit=_level(order.lmtPrice, order.orderType in ("LMT", "STP LMT")),
        stop=_level(order.auxPrice, order.orderType in ("STP", "STP LMT")), status=status, why=why,
    )  # fmt: skip


def _level(price: float, used: bool) -> float | None:
    return price if used and price < _UNSET else None


def _before(listen: Any, then: Any) -> Any:
    def both(*args: Any) -> None:
        listen(*args)
        then(*args)

    return both
