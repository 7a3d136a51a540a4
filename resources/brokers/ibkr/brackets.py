"""A bracket as the orders that travel: fields of the library's Order, leg by leg. Pure."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from resources.brokers.ibkr.market_rules import Grid
from trading.orders.intents import OrderIntent

STOP, TARGET = "sl", "tp"
_CANCEL_OTHERS = 1
_REDUCE_OTHERS = 3
_MARK = ":"


def leg_ref(order_ref: str, leg: str) -> str:
    """``orderRef`` of a leg; the entry's is the order_ref itself."""
    return f"{order_ref}{_MARK}{leg}" if leg else order_ref


def ref_and_leg(ref: str) -> tuple[str, str]:
    """Inverse of :func:`leg_ref`; the leg is empty for an entry, else why it closes: ``sl``, ``tp``, ``eod``, ..."""
    order_ref, _, leg = ref.partition(_MARK)
    return order_ref, leg


def utc(at: dt.datetime) -> str:
    """As TWS reads a time with its zone."""
    return f"{at.astimezone(dt.UTC):%Y%m%d %H:%M:%S} UTC"


@dataclass(frozen=True)
class Levels:
    """What is sent of an intent: on the contract's own grid, rounded away from the trader; never more than was asked for."""

    qty: float
    entry: float
    stop: float
    target: float | None

    @classmethod
    def of(cls, intent: OrderIntent, grid: Grid) -> "Levels":
        entry = grid.price(intent.entry, "up" if intent.side > 0 else "down")
        stop, target = exit_levels(intent.side, intent.stop, intent.target, grid)
        return cls(grid.quantity(intent.qty), entry, stop, target)


def exit_levels(side: int, stop: float, target: float | None, grid: Grid) -> tuple[float, float | None]:
    """Exits of a position of ``side`` on the contract's grid."""
    away = grid.price(stop, "down" if side > 0 else "up")
    return away, None if target is None else grid.price(target, "up" if side > 0 else "down")


def bracket(
    intent: OrderIntent, levels: Levels, ids: Sequence[int], grid: Grid, *, account: str, limit_ticks: int | None
) -> list[dict[str, Any]]:
    """Entry stop, stop-loss and target; TWS holds them back until the last of them comes.

    Args:
        ids: order ids of the legs.
        limit_ticks: worst price of the entry beyond its stop, in ticks; None = a plain stop.
    """
    entry: dict[str, Any] = {
        "orderId": ids[0], "action": _action(intent.side), "totalQuantity": _number(levels.qty), "orderType": "STP",
        "auxPrice": levels.entry, "tif": "GTD", "goodTillDate": utc(intent.valid_to), "ocaGroup": intent.oco_id,
        "ocaType": _CANCEL_OTHERS, "account": account, "orderRef": intent.order_ref, "transmit": False,
    }  # fmt: skip
    if limit_ticks is not None:
        worst = Decimal(repr(levels.entry)) + intent.side * limit_ticks * grid.tick(levels.entry)
        entry |= {"orderType": "STP LMT", "lmtPrice": float(worst)}
    exits = exit_orders(intent.order_ref, intent.side, levels.qty, levels.stop, levels.target, account=account)
    children = [
        {**order, "orderId": order_id, "parentId": ids[0], "transmit": False}
        for order, order_id in zip(exits, ids[1:], strict=True)
    ]
    legs = [entry, *children]
    legs[-1]["transmit"] = True
    return legs


def exit_orders(
    order_ref: str, side: int, qty: float, stop: float, target: float | None, *, account: str, group: str = ""
) -> list[dict[str, Any]]:
    """Stop-loss and target of a position of ``side``; a fill of one reduces the other. Good till cancelled: they must live
    for as long as the position.
    """
    common = {
        "action": _action(-side), "totalQuantity": _number(qty), "tif": "GTC", "account": account,
        "ocaGroup": group or leg_ref(order_ref, "exits"), "ocaType": _REDUCE_OTHERS,
    }  # fmt: skip
    orders = [{**common, "orderType": "STP", "auxPrice": stop, "orderRef": leg_ref(order_ref, STOP)}]
    if target is not None:
        orders.append({**common, "orderType": "LMT", "lmtPrice": target, "orderRef": leg_ref(order_ref, TARGET)})
    return orders


def closing_order(
    order_ref: str, side: int, qty: float, reason: str, *, account: str, at_close: bool
) -> dict[str, Any]:
    """Closes a position of ``side`` at the market; ``at_close`` in the closing auction, where its exits rest until then."""
    order = {
        "action": _action(-side), "totalQuantity": _number(qty), "orderType": "MOC" if at_close else "MKT", "tif": "DAY",
        "account": account, "orderRef": leg_ref(order_ref, reason), "transmit": True,
    }  # fmt: skip
    return {**order, "ocaGroup": leg_ref(order_ref, "exits"), "ocaType": _REDUCE_OTHERS} if at_close else order


def _action(side: int) -> str:
    return "BUY" if side > 0 else "SELL"


def _number(qty: float) -> float | int:
    return int(qty) if qty == int(qty) else qty
