"""Books out of the journal's executions: what each order holds and has earned. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from resources.brokers.ibkr.journal import Execution, Sent
from resources.brokers.ibkr.said import Held

MANUAL = "manual-"
"""Begins the order_ref of what was not sent by the platform."""


@dataclass(frozen=True)
class Holding:
    """What one order has opened: ``qty`` still held at ``price`` on average; ``realised`` before ``fees``, currency."""

    order_ref: str
    variant: str
    symbol: str
    con_id: int
    side: int
    qty: float
    price: float
    realised: float = 0.0
    fees: float = 0.0


def holdings(sent: Iterable[Sent], executions: Iterable[Execution]) -> list[Holding]:
    """Every order with an execution, whether it still holds something or not."""
    orders = {order.order_ref: order for order in sent}
    found: dict[str, Holding] = {}
    for execution in executions:
        event = execution.event
        order = orders.get(event.order_ref)
        if event.kind != "fill" or order is None:
            continue
        held = found.get(event.order_ref) or Holding(
            event.order_ref, order.variant, order.symbol, order.con_id, order.side, 0.0, 0.0
        )
        if event.leg == "entry":
            qty = held.qty + event.qty
            held = replace(held, qty=qty, price=(held.qty * held.price + event.qty * event.price) / qty)
        else:
            earned = held.side * (event.price - held.price) * event.qty
            held = replace(held, qty=round(held.qty - event.qty, 9), realised=held.realised + earned)
        found[event.order_ref] = replace(held, fees=held.fees + event.fee)
    return list(found.values())


def as_the_broker_holds(found: Sequence[Holding], at_broker: Iterable[Held], names: Mapping[int, str]) -> list[Holding]:
    """Open holdings in the broker's quantities: what was closed by hand there is taken off the oldest, what was opened by
    hand stands by itself.

    Args:
        names: Symbols by contract.
    """
    nets = {held.con_id: held for held in at_broker}
    open_ = [holding for holding in found if holding.qty != 0]
    result: list[Holding] = []
    for con_id in {*nets, *(holding.con_id for holding in open_)}:
        mine = [holding for holding in open_ if holding.con_id == con_id]
        held = nets.get(con_id)
        more = round((held.qty if held else 0.0) - sum(h.side * h.qty for h in mine), 9)
        for holding in mine:
            if more * holding.side * holding.qty < 0:
                taken = min(abs(more), abs(holding.qty))
                more += taken if more < 0 else -taken
                holding = replace(holding, qty=round(holding.qty - taken, 9))
            if holding.qty:
                result.append(holding)
        if more and held is not None:
            symbol = names.get(con_id, held.symbol)
            side = 1 if more > 0 else -1
            result.append(Holding(f"{MANUAL}{con_id}", "", symbol, con_id, side, abs(more), held.average_price))
    return sorted(result, key=lambda holding: holding.order_ref)
