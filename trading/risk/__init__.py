"""Risk before and during trading: gates, circuit breakers, pauses, the trailing stop and their statistics."""

from trading.risk.breakers import BookWorth, Breach, losing_streak, money_breaches
from trading.risk.gates import GATES, GateContext, GateResult, evaluate, refusal
from trading.risk.overheat import MarketHeat, heat_steps, size_factor
from trading.risk.pauses import Health, Pause
from trading.risk.trailing_stop import TrailingStop
from trading.risk.win_rate import WinRateReference

__all__ = [
    "GATES",
    "BookWorth",
    "Breach",
    "GateContext",
    "GateResult",
    "Health",
    "MarketHeat",
    "Pause",
    "TrailingStop",
    "WinRateReference",
    "evaluate",
    "heat_steps",
    "losing_streak",
    "money_breaches",
    "refusal",
    "size_factor",
]
