"""Promotion: from evidence to a stage, by gates that anyone can compute again."""

from trading.promotion.decisions import (
    Decision,
    decide,
    decide_all,
    decide_by_person,
    green_history,
    is_by_person,
    replay_decision,
    same_version,
    stage_before,
)
from trading.promotion.evidence import (
    Approval,
    DataQuality,
    EngineParity,
    Evidence,
    Execution,
    HorizonEvidence,
    Robustness,
    SymbolEvidence,
)
from trading.promotion.gates import GateResult, evaluate_gates
from trading.promotion.horizons import HORIZONS, Horizon, HorizonWindow, horizon_window, horizon_windows
from trading.promotion.policy import PromotionPolicy
from trading.promotion.record import Record, examine
from trading.promotion.stages import LADDER, Stage, Transition

__all__ = [
    "HORIZONS",
    "LADDER",
    "Approval",
    "DataQuality",
    "Decision",
    "EngineParity",
    "Evidence",
    "Execution",
    "GateResult",
    "Horizon",
    "HorizonEvidence",
    "HorizonWindow",
    "PromotionPolicy",
    "Record",
    "Robustness",
    "Stage",
    "SymbolEvidence",
    "Transition",
    "decide",
    "decide_all",
    "decide_by_person",
    "evaluate_gates",
    "examine",
    "green_history",
    "horizon_window",
    "horizon_windows",
    "is_by_person",
    "replay_decision",
    "same_version",
    "stage_before",
]
