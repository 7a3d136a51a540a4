"""What TWS says, as the journal's executions and ends. Pure."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from resources.brokers.ibkr.books import MANUAL
from resources.brokers.ibkr.brackets import ref_and_leg
from resources.brokers.ibkr.journal import Execution, Sent
from resources.brokers.ibkr.said import FillSaid, OrderSaid
from trading.ports.broker import BrokerEvent, EventKind
from trading.sessions import SessionCalendar


def executions_of(fills: Iterable[FillSaid], known: AbstractSet[str], calendar: SessionCalendar) -> list[Execution]:
    """Fills with the order that they belong to, oldest first; without an ``orderRef`` they were made by hand.

    Args:
        known: order_refs that were sent.
    """
    found = []
    for fill in sorted(fills, key=lambda fill: (fill.at, fill.execution_id)):
        order_ref, leg = ref_and_leg(fill.ref)
        if not order_ref:
            order_ref, leg = f"{MANUAL}{fill.perm_id}", ""
        elif order_ref not in known and order_ref.startswith(MANUAL):
            leg = leg or "entry"
        event = BrokerEvent(
            0, "fill", order_ref, "exit" if leg else "entry", fill.at, fill.at.astimezone(calendar.timezone).date(),
            fill.price, fill.qty, fill.fee, leg or "entry", fill.execution_id,
        )  # fmt: skip
        found.append(Execution(event, fill.side, fill.con_id, fill.symbol))
    return found


def end_of(
    order: Sent,
    orders: Iterable[OrderSaid],
    filled: Mapping[str, float],
    sent: Sequence[Sent],
    refused: Mapping[str, str],
    now: dt.datetime,
) -> tuple[EventKind, str] | None:
    """How an entry ended other than by its complete fill; None while it works, while executions of it are still to come,
    or where the broker does not say.

    Args:
        refused: by order_ref, what TWS said against it.
    """
    if order.ended or not order.acknowledged:
        return None
    done = filled.get(order.order_ref, 0.0)
    if done >= order.qty:
        return ("cancelled", "size_increment") if order.wished > order.qty else None
    mine = [said for said in orders if said.ref == order.order_ref]
    if any(not said.ended for said in mine) or any(said.filled > done or said.status == "Filled" for said in mine):
        return None
    over = now >= dt.datetime.fromisoformat(order.valid_to)
    if order.order_ref in refused:
        return "rejected", refused[order.order_ref]
    if not mine:
        return ("expired", "validity_over") if over else None
    if order.reason:
        return "cancelled", order.reason
    others = [s.order_ref for s in sent if s.oco_id == order.oco_id and s.order_ref != order.order_ref]
    if any(filled.get(ref) for ref in others):
        return "cancelled", "other_side_filled"
    if over:
        return "expired", "validity_over"
    return "cancelled", next((said.why for said in mine if said.why), "cancelled_at_broker")
