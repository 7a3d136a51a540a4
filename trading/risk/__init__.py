"""Risk before and during trading: gates, circuit breakers and their statistics."""

from trading.risk.breakers import BookWorth, Breach, losing_streak, money_breaches
from trading.risk.gates import GATES, GateContext, GateResult, evaluate, refusal

__all__ = [
    "GATES",
    "BookWorth",
    "Breach",
    "GateContext",
    "GateResult",
    "evaluate",
    "losing_streak",
    "money_breaches",
    "refusal",
]
