"""Interactive Brokers as a broker of the platform."""

import asyncio
import datetime as dt
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from resources.brokers.ibkr.access import Access
from resources.brokers.ibkr.books import MANUAL, Holding, holdings
from resources.brokers.ibkr.brackets import STOP, closing_order, exit_levels, exit_orders, leg_ref, ref_and_leg
from resources.brokers.ibkr.intake import end_of, executions_of
from resources.brokers.ibkr.journal import Journal, Sent
from resources.brokers.ibkr.library import library
from resources.brokers.ibkr.market_rules import Tradable, qualify
from resources.brokers.ibkr.said import OrderSaid, Said
from resources.brokers.ibkr.sending import Outgoing, outgoing, prepare, send_brackets
from resources.brokers.ibkr.session import Address
from resources.brokers.ibkr.standing import Standing
from resources.brokers.ibkr.trading_link import TradingLink
from trading.accounts import AccountConfig
from trading.ibkr_contracts import ContractSpec
from trading.orders.flatten import flatten_type
from trading.orders.intents import OrderIntent
from trading.ports.broker import (
    AccountValues,
    BrokerError,
    BrokerEvent,
    BrokerPosition,
    BrokerUnavailable,
    PlacedOrder,
    UnknownOrder,
)
from trading.sessions import SessionCalendar


class IbkrBroker:
    """Implements :class:`trading.ports.broker.Broker` for one account.

    Orders are known by ``orderRef``: the order_ref on the entry, with a suffix on its other legs. What is asked is answered
    from what TWS lists now (open orders of all clients, completed orders, executions, positions), not from memory; what
    TWS forgets overnight is in the journal.

    Args:
        account: with its books and ``ibkr`` settings.
        access: number, port and mode, already checked.
        journal: durable; the account's own.
        clock: the time, UTC.
        settle_seconds: how long an order in doubt may still be on its way after a new connection stands.
    """

    def __init__(
        self,
        account: AccountConfig,
        access: Access,
        journal: Journal,
        calendar: SessionCalendar,
        clock: Callable[[], dt.datetime],
        *,
        settle_seconds: float = 0.5,
    ) -> None:
        self._account, self._access, self._journal = account, access, journal
        self._calendar, self._clock, self._settle = calendar, clock, settle_seconds
        self._settings = account.ibkr_settings
        self._seconds = self._settings.answer_seconds
        self._link = TradingLink(
            Address(self._settings.host, access.port, self._settings.client_id), access, self._seconds
        )
        self._tradables: dict[ContractSpec, Tradable] = {}
        self._standing = Standing(account.name, journal)
        self._lock = threading.RLock()

    # -- the connection --

    def connect(self) -> None:
        """See :class:`trading.ports.broker.Broker`. Orders are taken only after all that TWS knows has been read.

        Raises:
            AccountRefused: the login does not manage the account, or is a live one in mode paper.
        """
        with self._lock:
            self._refuse_restart()
            self._link.connect()
            self._sync()
            self._link.trust()

    def close(self) -> None:
        """Log off; orders stay as they are."""
        with self._lock:
            self._link.close()

    # -- orders --

    def place_bracket(self, intents: Sequence[OrderIntent]) -> list[PlacedOrder]:
        with self._lock:
            out = outgoing(intents, self._account)
            self._refuse_restart()
            if not self._link.is_trusted:
                raise BrokerUnavailable(
                    "the connection is new or was lost since it was last looked over; connect comes first"
                )
            new = [intent for intent in out if not self._is_there(intent)]
            if new:
                self._send(new)
            return [self._standing.placed(ref) for ref in [intent.order_ref for intent in out]]

    def find(self, order_ref: str) -> PlacedOrder | None:
        with self._lock:
            self._sync()
            sent = self._journal.sent(order_ref)
            if sent is not None and (sent.acknowledged or sent.ended):
                return self._standing.placed(order_ref)
            return next(
                (o for o in self._standing.strangers() if o.order_ref == order_ref), None
            ) or self._standing.orphan(order_ref)

    def protect(self, order_ref: str, stop: float, target: float | None, at: dt.datetime) -> PlacedOrder:
        """See :class:`trading.ports.broker.Broker`. Levels go to the contract's grid, away from the trader; what is left of
        the entry is cancelled first, since its own exits would rest besides.
        """
        with self._lock:
            self._sync()
            if self._journal.sent(order_ref) is None and self._standing.orphan(order_ref) is None:
                raise UnknownOrder(f"there is no order {order_ref}")
            self._cancel([o for o in self._standing.live(order_ref) if ref_and_leg(o.ref)[1] == ""])
            self._cancel(self._standing.exits(order_ref))
            self._sync()
            held = self._standing.holding(order_ref)
            if held is None:
                raise BrokerError(f"order {order_ref} has no open position to protect")
            tradable = self._tradable(held.symbol, held.con_id)
            stop, target = exit_levels(held.side, stop, target, tradable.grid)
            group = leg_ref(order_ref, f"exits@{at.timestamp():.0f}")
            orders = exit_orders(order_ref, held.side, held.qty, stop, target, account=self._access.number, group=group)
            self._submit(tradable, orders)
            found = self.find(order_ref)
            assert found is not None
            return found

    def cancel(self, order_ref: str, at: dt.datetime, reason: str = "cancelled") -> bool:  # noqa: ARG002 - the broker has its own time
        with self._lock:
            self._sync()
            sent = self._journal.sent(order_ref)
            if sent is None:
                stranger = self._standing.stranger(order_ref)
                if stranger is None:
                    raise UnknownOrder(f"there is no order {order_ref}")
                raise BrokerError(
                    f"order {order_ref} was not sent by this client, which cannot cancel it: cancel it in TWS"
                )
            setup = [s for s in self._journal.all_sent(self._account.name) if s.oco_id == sent.oco_id]
            working = [order for s in setup for order in self._standing.entries(s.order_ref)]
            mine = any(ref_and_leg(order.ref)[0] == order_ref for order in working)
            for s in setup:
                self._journal.note_reason(s.order_ref, reason)
            self._cancel(working)
            self._sync()
            for s in setup:
                self._fit_exits(s)
            return mine and self._standing.placed(order_ref).status == "cancelled"

    def cancel_all(self, account: str, at: dt.datetime, variant: str | None = None, reason: str = "cancelled") -> int:  # noqa: ARG002 - as above
        with self._lock:
            self._check(account)
            self._sync()
            sent = [s for s in self._journal.all_sent(account) if variant in (None, s.variant)]
            working = {s.order_ref: self._standing.entries(s.order_ref) for s in sent}
            for ref, orders in working.items():
                if orders:
                    self._journal.note_reason(ref, reason)
            self._cancel([order for orders in working.values() for order in orders])
            self._sync()
            for s in sent:
                if working[s.order_ref]:
                    self._fit_exits(s)
            return sum(1 for orders in working.values() if orders)

    def flatten(
        self,
        account: str,
        at: dt.datetime,
        variant: str | None = None,
        reason: str = "flatten",
        order_ref: str | None = None,
    ) -> int:
        """See :class:`trading.ports.broker.Broker`. For reason ``eod`` ahead of the venue's cut-off it is a market-on-close
        order, whose position keeps its exits until then; past the cut-off, and for every other reason, a market order.
        """
        with self._lock:
            self._check(account)
            self._sync()
            at_close = reason == "eod" and self._flatten_type(at) == "MOC"
            before = len(self._journal.executions(account))
            for found in self._standing.holdings():
                if variant not in (None, found.variant) or order_ref not in (None, found.order_ref):
                    continue
                if any(o.ref == leg_ref(found.order_ref, reason) for o in self._standing.live(found.order_ref)):
                    continue  # on its way already
                held: Holding | None = found
                if not at_close:
                    self._cancel([*self._standing.entries(found.order_ref), *self._standing.exits(found.order_ref)])
                    self._sync()
                    held = self._standing.holding(found.order_ref)
                if held is None:
                    continue  # an exit was faster
                order = closing_order(
                    held.order_ref, held.side, held.qty, reason, account=self._access.number, at_close=at_close
                )
                self._submit(self._tradable(held.symbol, held.con_id), [order], to_its_end=not at_close)
            self._sync()
            return sum(1 for e in self._journal.executions(account)[before:] if e.event.kind == "fill")

    # -- what there is --

    def open_orders(self, account: str) -> list[PlacedOrder]:
        with self._lock:
            self._check(account)
            self._sync()
            held = {holding.order_ref for holding in self._standing.holdings()}
            mine = [
                self._standing.placed(sent.order_ref)
                for sent in self._journal.all_sent(account)
                if sent.order_ref in held or self._standing.entries(sent.order_ref)
            ]
            orphans = [self._standing.orphan(ref) for ref in sorted(held) if ref.startswith(MANUAL)]
            return [*mine, *self._standing.strangers(), *(order for order in orphans if order is not None)]

    def positions(self, account: str) -> list[BrokerPosition]:
        with self._lock:
            self._check(account)
            self._sync()
            marks = self._marks()
            return [
                BrokerPosition(
                    account, h.variant, h.order_ref, h.symbol, h.side, h.qty, h.price, marks.get(h.con_id, h.price),
                    h.side * h.qty * (marks.get(h.con_id, h.price) - h.price),
                )
                for h in self._standing.holdings()
            ]  # fmt: skip

    def executions(self, account: str, since: int = 0) -> list[BrokerEvent]:
        return [event for event in self.events(account, since) if event.kind == "fill"]

    def events(self, account: str, since: int = 0) -> list[BrokerEvent]:
        with self._lock:
            self._check(account)
            self._sync()
            return [execution.event for execution in self._journal.executions(account, since)]

    def account_values(self, account: str) -> list[AccountValues]:
        """See :class:`trading.ports.broker.Broker`. Realised is after the fees that the broker has charged."""
        with self._lock:
            self._check(account)
            self._sync()
            found = holdings(self._journal.all_sent(account), self._journal.executions(account))
            marks = self._marks()
            values = []
            for name, book in sorted(self._account.variants.items()):
                mine = [h for h in found if h.variant == name]
                realised = book.capital + sum(h.realised - h.fees for h in mine)
                unrealised = sum(h.side * h.qty * (marks.get(h.con_id, h.price) - h.price) for h in mine)
                values.append(AccountValues(account, name, realised, unrealised))
            return values

    # -- within --

    def _sync(self, refused: Mapping[str, str] = MappingProxyType({})) -> None:
        """Ask TWS for everything; what is new goes into the journal.

        Args:
            refused: brackets that were refused and cancelled, with the reason.
        """

        async def ask(_: Any, said: Said) -> Any:
            await said.list_orders()
            fills = await said.list_fills()
            return fills, await said.list_positions(), dict(said.orders)

        fills, self._standing.at_broker, self._standing.orders = self._link.call(ask, self._seconds + 5)
        name = self._account.name
        sent = self._journal.all_sent(name)
        seen = {ref_and_leg(order.ref)[0] for order in self._standing.orders.values()} | {
            ref_and_leg(f.ref)[0] for f in fills
        }
        self._journal.acknowledge([s.order_ref for s in sent if not s.acknowledged and s.order_ref in seen])
        known = {s.order_ref for s in sent}
        self._journal.record_fills(name, executions_of(fills, known, self._calendar))
        filled = self._standing.filled()
        for order in self._journal.all_sent(name):
            end = end_of(order, self._standing.orders.values(), filled, sent, refused, self._clock())
            if end is not None:
                now = self._clock()
                self._journal.end(order, *end, now, _date(now, self._calendar), filled.get(order.order_ref, 0.0))

    def _is_there(self, intent: OrderIntent) -> bool:
        """Whether the broker has or had it. One in doubt is asked for, twice; staged legs of it are cleaned away; one that
        only a journal that was lost knew is written down again.
        """
        order_ref = intent.order_ref
        sent = self._journal.sent(order_ref)
        if sent is None:
            told = {execution.event.order_ref for execution in self._journal.executions(self._account.name)}
            if order_ref not in told and all(order.ref != order_ref for order in self._standing.orders.values()):
                return False
            again = prepare(intent, self._tradable(intent.symbol), [0] * _legs(intent), self._access.number, None)
            self._journal.record_sent([replace(again.sent, acknowledged=1)])
            return True
        if sent.acknowledged or sent.ended:
            return True
        self._sync()
        if self._journal.sent(order_ref) != sent:
            return True
        if not self._arrives_late(sent):
            return False
        self._sync()
        return True

    def _arrives_late(self, sent: Sent) -> bool:
        """Cancel what may be left of a chain whose last leg never came: it stays behind, silent and unlisted, until it is
        cancelled by its ids. Whether the whole chain was on its way after all.
        """

        async def cancel(ib: Any, said: Said) -> bool:
            for order_id in sent.order_ids.split(","):
                ib.client.cancelOrder(int(order_id))
            await asyncio.sleep(self._settle)
            await said.list_orders()
            live = any(order.ref == sent.order_ref and not order.ended for order in said.orders.values())
            return live or any(ref_and_leg(fill.ref)[0] == sent.order_ref for fill in await said.list_fills())

        return self._link.call(cancel, self._settle + self._seconds + 5)

    def _send(self, intents: Sequence[OrderIntent]) -> None:
        ready: list[Outgoing] = []
        for intent in intents:
            tradable = self._tradable(intent.symbol)
            ids = self._order_ids(_legs(intent))
            ready.append(prepare(intent, tradable, ids, self._access.number, self._settings.entry_limit_ticks))
        self._journal.record_sent([out.sent for out in ready])
        for out in ready:
            if not out.sent.qty:
                self._journal.end(out.sent, "rejected", "below_smallest_order", self._clock(), out.intent.session, 0.0)
        going = [out for out in ready if out.sent.qty]
        outcome = self._link.call(lambda ib, said: send_brackets(ib, said, going, self._seconds), 3 * self._seconds + 5)
        self._standing.orders = outcome.orders
        self._journal.acknowledge(list(outcome.acknowledged))
        if outcome.refused:
            self._sync(outcome.refused)
        if outcome.missing:
            raise BrokerUnavailable(
                f"TWS does not say what became of {', '.join(outcome.missing)}; it is asked for again"
            )

    def _order_ids(self, count: int) -> list[int]:
        async def reserve(ib: Any, _: Said) -> list[int]:
            return [ib.client.getReqId() for _ in range(count)]

        return self._link.call(reserve)

    def _tradable(self, symbol: str, con_id: int = 0) -> Tradable:
        """Asked for once; of what the account's settings do not name, by its number."""
        spec = self._settings.spec(symbol)
        if con_id and symbol not in self._standing.names().values():
            spec = ContractSpec(con_id=con_id, exchange="SMART")
        if spec not in self._tradables:
            self._tradables[spec] = self._link.call(lambda ib, _: qualify(ib, spec))
        return self._tradables[spec]

    def _submit(self, tradable: Tradable, orders: list[dict[str, Any]], *, to_its_end: bool = False) -> None:
        """Place orders that need no parent, and see them acknowledged, or filled.

        Raises:
            BrokerError: TWS refuses one.
            BrokerUnavailable: it says nothing.
        """
        ids = self._order_ids(len(orders))

        async def submit(ib: Any, said: Said) -> tuple[bool, dict[int, tuple[int, str]]]:
            for order_id, fields in zip(ids, orders, strict=True):
                ib.client.placeOrder(order_id, tradable.for_order(), library().Order(orderId=order_id, **fields))
            answered = await said.answers(ids, self._seconds)
            if to_its_end and answered:
                await said.ends([(ib.wrapper.clientId, order_id) for order_id in ids], self._seconds)
            return answered, {i: said.refused[i] for i in ids if i in said.refused}

        answered, refused = self._link.call(submit, 2 * self._seconds + 2)
        self._sync()
        live = {order.key for order in self._standing.orders.values() if not order.ended}
        for order_id, (code, text) in refused.items():
            if (self._settings.client_id, order_id) not in live:
                raise BrokerError(f"Interactive Brokers refuses the order: {text} (message code {code})")
        if not answered:
            raise BrokerUnavailable("TWS does not acknowledge the order; see what became of it before it is sent again")

    def _cancel(self, orders: Sequence[OrderSaid]) -> None:
        """Cancel and see them end; BrokerUnavailable where one does not."""
        keys = [order.key for order in orders]
        foreign = [o for o in orders if not isinstance(o.key, tuple) or o.key[0] != self._settings.client_id]
        if foreign:
            raise BrokerError(
                f"order {foreign[0].ref} belongs to another API client, which alone can cancel it: use its client_id"
            )
        if not keys:
            return

        async def cancel(ib: Any, said: Said) -> bool:
            for key in keys:
                ib.client.cancelOrder(key[1] if isinstance(key, tuple) else key)
            if await said.ends(keys, self._seconds / 2):
                return True
            await said.list_orders()
            return await said.ends(keys, 0)

        if not self._link.call(cancel, 2 * self._seconds):
            raise BrokerUnavailable(f"cancelling {', '.join(order.ref for order in orders)} was not confirmed")

    def _fit_exits(self, sent: Sent) -> None:
        """After the rest of a partly filled entry was cancelled: exits for what is held, no more and no less."""
        held = self._standing.holding(sent.order_ref)
        if held is None:
            return
        stops = [order for order in self._standing.exits(sent.order_ref) if ref_and_leg(order.ref)[1] == STOP]
        if sum(order.remaining for order in stops) != held.qty:
            self.protect(sent.order_ref, sent.stop, sent.target, self._clock())

    def _marks(self) -> dict[int, float]:
        """TWS's own prices of what is held, by contract."""

        async def ask(ib: Any, _: Said) -> dict[int, float]:
            number = self._access.number
            if not ib.wrapper.accountValues:  # once a connection: it is a subscription
                await ib.reqAccountUpdatesAsync(number)
            return {con_id: item.marketPrice for con_id, item in ib.wrapper.portfolio[number].items()}

        return self._link.call(ask)

    def _flatten_type(self, at: dt.datetime) -> str:
        day = _date(at, self._calendar)
        if not self._calendar.is_session(day):
            return "MKT"
        return flatten_type(at, self._calendar.close(day), self._account.moc_guard_minutes)

    def _refuse_restart(self) -> None:
        window = self._settings.restart
        if window is not None and window.holds(self._clock()):
            raise BrokerUnavailable(
                f"the gateway restarts between {window.start} and {window.end} {window.timezone}: nothing is sent until then"
            )

    def _check(self, account: str) -> None:
        if account != self._account.name:
            raise BrokerError(f"this is the broker of account {self._account.name}, not of {account}")


def _legs(intent: OrderIntent) -> int:
    return 2 if intent.target is None else 3


def _date(at: dt.datetime, calendar: SessionCalendar) -> dt.date:
    return at.astimezone(calendar.timezone).date()
