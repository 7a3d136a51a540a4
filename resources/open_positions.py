"""Open positions of an account, in step with the executions that are recorded."""

from collections.abc import Iterable

from resources.ledger import Fill, OpenPosition
from trading.orders.intents import OrderIntent
from trading.portfolio import Holding, fill
from trading.ports.broker import BrokerEvent
from trading.ticks import exact


class OpenPositions:
    """What is held, by order_ref; :attr:`held` is as the ledger has it."""

    def __init__(self, found: Iterable[OpenPosition]) -> None:
        self.held = {position.order_ref: position for position in found}
        self._holdings = {ref: _holding(position) for ref, position in self.held.items()}

    def takes(self, event: BrokerEvent) -> bool:
        """Whether the execution can be booked now: an exit closes no more than is held."""
        return event.leg == "entry" or (
            event.order_ref in self.held and exact(event.qty) <= self._holdings[event.order_ref].qty
        )

    def book(self, event: BrokerEvent, intent: OrderIntent) -> Fill:
        """The ledger's record of an execution, and what is held after it."""
        ref = event.order_ref
        record = Fill(
            execution_id=event.execution_id,
            account=intent.account,
            variant=intent.variant,
            session=event.session,
            idempotency_key=intent.idempotency_key,
            order_ref=ref,
            symbol=intent.symbol,
            leg=event.leg,
            side=intent.side,
            qty=event.qty,
            price=event.price,
            fee=event.fee,
            realised=0.0,
            reason=event.reason,
            at=event.at,
            broker_seq=event.seq or None,
        )
        holding, realised = fill(self._holdings.get(ref), record)
        if holding is None:
            del self._holdings[ref], self.held[ref]
        else:
            before = self.held.get(ref)
            self._holdings[ref] = holding
            self.held[ref] = OpenPosition(
                intent.account, intent.variant, ref, intent.idempotency_key, intent.symbol, intent.side,
                float(holding.qty), float(holding.entry_price), event.at if before is None else before.at,
            )  # fmt: skip
        return Fill(**{**vars(record), "realised": float(realised)})


def _holding(position: OpenPosition) -> Holding:
    qty = exact(position.qty)
    return Holding(
        position.account, position.variant, position.order_ref, position.symbol, position.side, qty,
        qty * exact(position.price),
    )  # fmt: skip
