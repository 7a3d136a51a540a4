"""Reconciliation: what the broker holds against what the ledger says it should, and what is done about a difference."""

from resources.reconcile.comparison import reconcile, risk_events
from resources.reconcile.reconciler import Reconciler, Reconciliation, reconcile_now
from trading.orders.differences import Difference, DifferenceKind

__all__ = ["Difference", "DifferenceKind", "Reconciler", "Reconciliation", "reconcile", "reconcile_now", "risk_events"]
