"""Where a version stands and what it lacks, in a line that a person takes in at a glance."""

from trading.promotion.decisions import Decision
from trading.promotion.gates import GateResult
from trading.promotion.stages import NEXT

_SHOWN = 6


def standing_line(decision: Decision, since: str) -> str:
    """Stage, since when, and each gate in the way, its figure against its threshold.

    Args:
        since: session as of which the version came there.
    """
    stage = decision.to_stage
    head = f"{decision.variant}: {stage.upper()} since {since}"
    missing = decision.missing
    if stage in NEXT:
        target = NEXT[stage][1]
        lacks = ", ".join(map(gate_figure, missing[:_SHOWN])) or "nothing"
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        return f"{head}; missing for {target}: {lacks}{more}"
    if missing:
        return f"{head}; red: {', '.join(map(gate_figure, missing[:_SHOWN]))}"
    return f"{head}; {decision.reason}" if stage in ("suspended", "retired") else f"{head}; all gates green"


def gate_figure(gate: GateResult) -> str:
    """``1y.sharpe 0.82 (asked: 1)``; ``pbo not known (asked: 0.2)``."""
    if gate.threshold is None:
        return f"{gate.name} ({gate.status})"
    if gate.value is None:
        return f"{gate.name} not known (asked: {gate.threshold:g})"
    return f"{gate.name} {gate.value:.4g} (asked: {gate.threshold:g})"
