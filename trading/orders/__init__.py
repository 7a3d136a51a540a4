"""Orders before any broker: intents, the batch of an account, the states an order goes through."""

from trading.orders.batch import batch_frame, intents_from_batch, legs_csv, legs_frame
from trading.orders.flatten import FlattenType, flatten_type
from trading.orders.intents import Lineage, OrderIntent, build_intents, idempotency_key
from trading.orders.lifecycle import IllegalTransition, OrderState
from trading.orders.risk_budget import Budgeted, within_budget

__all__ = [
    "Budgeted",
    "FlattenType",
    "IllegalTransition",
    "Lineage",
    "OrderIntent",
    "OrderState",
    "batch_frame",
    "build_intents",
    "flatten_type",
    "idempotency_key",
    "intents_from_batch",
    "legs_csv",
    "legs_frame",
    "within_budget",
]
