"""Where each order and position stands: what TWS listed last, with what the journal remembers. Asks nobody."""

from collections.abc import Mapping, Sequence
from typing import Any

from resources.brokers.ibkr.books import MANUAL, Holding, as_the_broker_holds, holdings
from resources.brokers.ibkr.brackets import STOP, TARGET, ref_and_leg
from resources.brokers.ibkr.journal import Journal
from resources.brokers.ibkr.said import Held, Key, OrderSaid
from trading.ports.broker import OrderStatus, PlacedOrder, UnknownOrder

_STATUS: Mapping[str, OrderStatus] = {"cancelled": "cancelled", "rejected": "rejected", "expired": "expired"}


class Standing:
    """Of one account.

    Attributes:
        orders: as TWS said last.
        at_broker: net positions as TWS listed them last.
    """

    def __init__(self, account: str, journal: Journal) -> None:
        self._account, self._journal = account, journal
        self.orders: Mapping[Key, OrderSaid] = {}
        self.at_broker: Sequence[Held] = ()

    def filled(self) -> dict[str, float]:
        """Filled quantity of each entry."""
        filled: dict[str, float] = {}
        for execution in self._journal.executions(self._account):
            if execution.event.kind == "fill" and execution.event.leg == "entry":
                ref = execution.event.order_ref
                filled[ref] = filled.get(ref, 0.0) + execution.event.qty
        return filled

    def live(self, order_ref: str) -> list[OrderSaid]:
        """Working orders of the bracket, entry and exits."""
        return [o for o in self.orders.values() if not o.ended and ref_and_leg(o.ref)[0] == order_ref]

    def entries(self, order_ref: str) -> list[OrderSaid]:
        """The working entry; more than one only where something went wrong."""
        return [order for order in self.live(order_ref) if order.ref == order_ref]

    def exits(self, order_ref: str) -> list[OrderSaid]:
        """Working orders that close its position."""
        return [order for order in self.live(order_ref) if order.ref != order_ref]

    def names(self) -> dict[int, str]:
        """Symbols by contract, as far as they were ordered."""
        return {sent.con_id: sent.symbol for sent in self._journal.all_sent(self._account)}

    def holdings(self) -> list[Holding]:
        """Open positions by the order that opened them, in the quantities that the broker holds."""
        name = self._account
        found = holdings(self._journal.all_sent(name), self._journal.executions(name))
        return as_the_broker_holds(found, self.at_broker, self.names())

    def holding(self, order_ref: str) -> Holding | None:
        """The open position of one order."""
        return next((holding for holding in self.holdings() if holding.order_ref == order_ref), None)

    def placed(self, order_ref: str) -> PlacedOrder:
        """An order that was sent, or one of unknown origin. UnknownOrder where there is neither."""
        sent = self._journal.sent(order_ref)
        if sent is None:
            found = self.stranger(order_ref)
            if found is None:
                raise UnknownOrder(f"there is no order {order_ref}")
            return found
        filled = self.filled().get(order_ref, 0.0)
        status: OrderStatus = "working"
        reason = sent.reason if sent.ended else ""
        if sent.ended in _STATUS:
            status = _STATUS[sent.ended]
        elif filled >= sent.qty:
            status = "filled"
        elif not self.entries(order_ref):
            status, reason = "cancelled", "not_at_broker"
        return PlacedOrder(
            order_ref, sent.account, sent.variant, sent.symbol, sent.side, sent.wished, status, filled, reason,
            entry=sent.entry if status == "working" else None, **self._exit_fields(order_ref),
        )  # fmt: skip

    def _exit_fields(self, order_ref: str) -> dict[str, Any]:
        held = self.holding(order_ref)
        most = held.qty if held is not None else 0.0
        resting = self.exits(order_ref)
        stops = [order for order in resting if ref_and_leg(order.ref)[1] == STOP]
        targets = [order for order in resting if ref_and_leg(order.ref)[1] == TARGET]
        return {
            "stop": stops[0].stop if stops else None,
            "stop_qty": min(most, sum(order.remaining for order in stops)),
            "target": targets[0].limit if targets else None,
            "target_qty": min(most, sum(order.remaining for order in targets)),
        }

    def stranger(self, order_ref: str) -> PlacedOrder | None:
        """One of :meth:`strangers`."""
        return next((order for order in self.strangers() if order.order_ref == order_ref), None)

    def strangers(self) -> list[PlacedOrder]:
        """Working orders that the journal does not know: by hand, of another program, or of a journal that was lost."""
        known = {sent.order_ref for sent in self._journal.all_sent(self._account)}
        names = self.names()
        held = {holding.order_ref for holding in self.holdings()}
        return [
            PlacedOrder(
                order.ref or f"{MANUAL}{order.key if isinstance(order.key, int) else '-'.join(map(str, order.key))}",
                self._account, "", names.get(order.con_id, order.symbol), order.side, order.qty, "working",
                order.filled, "not sent by the platform", entry=order.stop if order.stop is not None else order.limit,
            )
            for order in self.orders.values()
            if not order.ended and ref_and_leg(order.ref)[0] not in known | held
        ]  # fmt: skip

    def orphan(self, order_ref: str) -> PlacedOrder | None:
        """A position of unknown origin, as the order that would have opened it."""
        held = self.holding(order_ref) if order_ref.startswith(MANUAL) else None
        if held is None:
            return None
        return PlacedOrder(
            order_ref, self._account, "", held.symbol, held.side, held.qty, "filled", held.qty,
            "not sent by the platform", **self._exit_fields(order_ref),
        )  # fmt: skip
