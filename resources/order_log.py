"""What every log line about an order carries, see :data:`resources.logs.FIELDS`."""

from typing import Any

from trading.orders.intents import OrderIntent


def order_fields(intent: OrderIntent, reason: str = "", **figures: float) -> dict[str, Any]:
    """For ``extra=``; ``figures`` stand among the prices."""
    prices = {"entry": intent.entry, "stop": intent.stop, "target": intent.target, **figures}
    return {
        "account": intent.account,
        "variant": intent.variant,
        "oco_id": intent.oco_id,
        "order_ref": intent.order_ref,
        "symbol": intent.symbol,
        "side": "long" if intent.side > 0 else "short",
        "prices": {name: price for name, price in prices.items() if price is not None},
        "reason": reason or None,
    }
