"""Strategies: pure functions from bars to signals, found by name."""

from trading.strategies.api import Instruments, Strategy
from trading.strategies.causality import CausalityBreach, CausalityReport, check_causality
from trading.strategies.contracts import LEVELS, SIGNAL_COLUMNS, check_signals
from trading.strategies.identity import strategy_version
from trading.strategies.levels import with_targets
from trading.strategies.params import Params
from trading.strategies.registry import get_strategy, registered_strategies

__all__ = [
    "LEVELS",
    "SIGNAL_COLUMNS",
    "CausalityBreach",
    "CausalityReport",
    "Instruments",
    "Params",
    "Strategy",
    "check_causality",
    "check_signals",
    "get_strategy",
    "registered_strategies",
    "strategy_version",
    "with_targets",
]
