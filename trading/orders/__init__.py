"""Orders before any broker: intents, the batch of an account, the states an order goes through."""

from trading.orders.batch import batch_frame, intents_from_batch, legs_csv, legs_frame
from trading.orders.intents import Lineage, OrderIntent, build_intents, idempotency_key
from trading.orders.lifecycle import IllegalTransition, OrderState

__all__ = [
    "IllegalTransition",
    "Lineage",
    "OrderIntent",
    "OrderState",
    "batch_frame",
    "build_intents",
    "idempotency_key",
    "intents_from_batch",
    "legs_csv",
    "legs_frame",
]
