"""Gates: each compares one figure of the evidence with one threshold. What is not known is never green."""

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat

from trading.promotion.evidence import Evidence, HorizonEvidence
from trading.promotion.policy import HorizonThresholds, LabToPaper, PaperToLive, PromotionPolicy
from trading.promotion.stages import Transition
from trading.promotion.statistics import wilson_lower_bound

Status = Literal["pass", "fail", "insufficient"]


class GateResult(BaseModel):
    """What one gate said.

    Args:
        transition: which gates it belongs to.
        name: stable, e.g. ``3m.profit_factor``.
        value, threshold: the figures; None where there is none.
        status: ``insufficient`` where the evidence is absent or too little.
        detail: for a person.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    transition: Transition
    name: str
    value: FiniteFloat | None
    threshold: FiniteFloat | None
    status: Status
    detail: str

    @property
    def passed(self) -> bool:
        return self.status == "pass"

    def __str__(self) -> str:
        return f"{self.name}: {self.status}, {self.detail}"


def evaluate_gates(
    transition: Transition, evidence: Evidence, policy: PromotionPolicy, *, with_approval: bool = True
) -> tuple[GateResult, ...]:
    """Every gate of ``transition``, in a fixed order; the move is open when, and only when, all pass.

    Args:
        with_approval: False leaves the human's approval out, to judge whether a live version still stands.
    """
    gates = _Gates(transition)
    if transition == "experiment_to_lab":
        _to_lab(gates, evidence, policy)
    elif transition == "lab_to_paper":
        _to_paper(gates, evidence, policy.lab_to_paper)
    else:
        _to_live(gates, evidence, policy, with_approval=with_approval)
    return tuple(gates.results)


def all_pass(results: tuple[GateResult, ...]) -> bool:
    """True when there is a gate and every one passes."""
    return bool(results) and all(result.passed for result in results)


_PARITY = ("missed_trades", "extra_trades", "price_difference_bps")


def broken_parity(evidence: Evidence, policy: PromotionPolicy) -> tuple[str, ...]:
    """Gates of parity between account and replay that fail: no matter of more sessions, but of something that is wrong."""
    if policy.paper_to_live is None or evidence.execution is None:
        return ()
    gates = _Gates("paper_to_live")
    _execution(gates, evidence, policy.paper_to_live)
    return tuple(str(gate) for gate in gates.results if gate.name in _PARITY and gate.status == "fail")


def eligible_symbols(evidence: Evidence, policy: PromotionPolicy) -> tuple[str, ...]:
    """Symbols that may trade live: their own trades over the policy's horizon pass its thresholds;
    ascending.
    """
    wanted = policy.live_symbols
    if wanted is None:
        return ()
    return tuple(
        sorted(
            item.symbol
            for item in evidence.symbols
            if item.horizon == wanted.horizon
            and item.num_trades >= wanted.min_trades
            and item.expectancy is not None
            and item.expectancy > wanted.min_expectancy
        )
    )


class _Gates:
    """Collects results of one transition."""

    def __init__(self, transition: Transition) -> None:
        self.transition = transition
        self.results: list[GateResult] = []

    def add(self, name: str, value: float | None, threshold: float | None, status: Status, detail: str) -> None:
        self.results.append(
            GateResult(
                transition=self.transition,
                name=name,
                value=value,
                threshold=threshold,
                status=status,
                detail=detail,
            )
        )

    def compare(
        self,
        name: str,
        value: float | None,
        kind: Literal["at least", "above", "at most"],
        threshold: float | None,
        *,
        absent: str = "no such evidence yet",
        note: str = "",
    ) -> None:
        """A gate that is off (threshold None) leaves no result."""
        if threshold is None:
            return
        if value is None:
            self.add(name, None, threshold, "insufficient", f"{absent}; it must be {kind} {threshold:g}")
            return
        holds: dict[str, Callable[[float, float], bool]] = {
            "at least": lambda a, b: a >= b,
            "above": lambda a, b: a > b,
            "at most": lambda a, b: a <= b,
        }
        status: Status = "pass" if holds[kind](value, threshold) else "fail"
        self.add(name, value, threshold, status, f"{value:.6g}, it must be {kind} {threshold:g}{note}")

    def check(self, name: str, result: bool | None, says: str) -> None:
        if result is None:
            self.add(name, None, None, "insufficient", f"not known: {says}")
        else:
            self.add(name, None, None, "pass" if result else "fail", says if result else f"not so: {says}")


def _to_lab(gates: _Gates, evidence: Evidence, policy: PromotionPolicy) -> None:
    gates.check("contract", evidence.contract_ok, "the signal frames keep their contract")
    gates.check("causality", evidence.causality_ok, "no signal depends on what came after it")
    replays = sum(item.replayed for item in evidence.horizons)
    errors = [f"{item.horizon}: {item.error}" for item in evidence.horizons if item.error is not None]
    note = f" ({'; '.join(errors)})" if errors else ""
    gates.compare("replays_without_error", float(replays), "at least", policy.experiment_to_lab.min_replays, note=note)


def _to_paper(gates: _Gates, evidence: Evidence, policy: LabToPaper) -> None:
    for name, thresholds in sorted(policy.horizons.items()):
        _horizon(gates, name, evidence.horizon(name), thresholds, policy)
    found = evidence.robustness
    tried = "" if found.trials is None else f" ({found.trials} variants tried)"
    deflated = found.deflated_sharpe if found.trials is not None else None
    gates.compare("deflated_sharpe", deflated, "at least", policy.min_deflated_sharpe, note=tried)
    folds = found.walk_forward_folds or 0
    gates.compare(
        "walk_forward",
        found.walk_forward_expectancy if folds else None,
        "above",
        policy.min_walk_forward_expectancy,
        note=f" ({folds} folds)",
    )
    gates.compare("pbo", found.pbo, "at most", policy.max_pbo)
    gates.compare("neighbourhood", found.neighbourhood, "at least", policy.min_neighbourhood)
    gates.compare("fill_order", found.fill_order_expectancy, "above", policy.min_fill_order_expectancy)
    parity = evidence.engine_parity
    if policy.max_engine_pnl_difference is not None:
        compared = parity is not None and parity.trades > 0
        gates.compare(
            "engine_unmatched_trades", float(parity.unmatched) if parity and compared else None, "at most", 0.0
        )
        gates.compare(
            "engine_pnl_difference",
            parity.max_pnl_difference if parity and compared else None,
            "at most",
            policy.max_engine_pnl_difference,
        )
    if policy.data_quality:
        quality = evidence.data_quality
        known = quality is not None and quality.partitions > 0
        note = f" ({', '.join(quality.failed[:5])})" if quality and quality.failed else ""
        failed = float(len(quality.failed)) if quality and known else None
        gates.compare("data_quality", failed, "at most", 0.0, note=note)


def _horizon(
    gates: _Gates,
    name: str,
    found: HorizonEvidence | None,
    thresholds: HorizonThresholds,
    policy: LabToPaper,
) -> None:
    absent, note = "", ""
    if found is None or not found.replayed:
        reason = "no replay" if found is None or found.error is None else f"the replay failed: {found.error}"
        absent = f"{reason} over {name}"
    else:
        short = f"{found.available} of {found.expected} sessions from {found.first} to {found.last}"
        complete = found.reaches_back and found.available >= policy.min_session_coverage * found.expected
        if not complete and name not in policy.allow_partial_horizons:
            absent = f"not enough data: {short}"
        elif not complete:
            note = f" (partial: {short})"
    metrics = (found.metrics or {}) if found is not None and not absent else {}
    trades = metrics.get("num_trades")
    absent = absent or "no such figure"
    gates.compare(f"{name}.trades", trades, "at least", thresholds.min_trades, absent=absent, note=note)
    _profit_factor(gates, f"{name}.profit_factor", metrics, thresholds.min_profit_factor, absent, note)
    expectancy = metrics.get("expectancy")
    gates.compare(f"{name}.expectancy", expectancy, "above", thresholds.min_expectancy, absent=absent, note=note)
    drawdown = metrics.get("max_drawdown")
    gates.compare(f"{name}.drawdown", drawdown, "at most", thresholds.max_drawdown, absent=absent, note=note)
    sharpe = metrics.get("sharpe")
    gates.compare(f"{name}.sharpe", sharpe, "at least", thresholds.min_sharpe, absent=absent, note=note)
    bound = None
    rate = metrics.get("win_rate")
    if trades and rate is not None:
        bound = wilson_lower_bound(round(rate * trades), round(trades))
    wanted = thresholds.min_win_rate_bound
    gates.compare(f"{name}.win_rate_bound", bound, "at least", wanted, absent=absent, note=note)


def _profit_factor(
    gates: _Gates,
    name: str,
    metrics: dict[str, float | None],
    threshold: float | None,
    absent: str,
    note: str,
) -> None:
    value = metrics.get("profit_factor")
    if threshold is not None and value is None and metrics.get("win_rate") == 1.0:
        gates.add(name, None, threshold, "pass", f"no trade lost, it must be at least {threshold:g}{note}")
    else:
        gates.compare(name, value, "at least", threshold, absent=absent, note=note)


def _to_live(gates: _Gates, evidence: Evidence, policy: PromotionPolicy, *, with_approval: bool) -> None:
    wanted = policy.paper_to_live
    gates.check("policy", wanted is not None, f"policy {policy.name} permits live trading")
    if wanted is not None:
        _execution(gates, evidence, wanted)
        symbols = eligible_symbols(evidence, policy)
        gates.compare("live_symbols", float(len(symbols)), "at least", 1.0, note=f" ({' '.join(symbols)})")
    if with_approval:
        _approval(gates, evidence)


def _execution(gates: _Gates, evidence: Evidence, wanted: PaperToLive) -> None:
    found = evidence.execution
    limits: list[tuple[str, str, Literal["at least", "at most"], int]] = [
        ("paper_sessions", "sessions", "at least", wanted.min_sessions),
        ("paper_trades", "trades", "at least", wanted.min_trades),
        ("missed_trades", "missed", "at most", wanted.max_missed_trades),
        ("extra_trades", "extra", "at most", wanted.max_extra_trades),
        ("reconciliation", "unresolved_differences", "at most", 0),
        ("risk_events", "error_events", "at most", 0),
    ]
    for name, field, kind, threshold in limits:
        count = None if found is None else float(getattr(found, field))
        gates.compare(name, count, kind, float(threshold))
    difference = None if found is None else found.max_price_difference_bps
    gates.compare("price_difference_bps", difference, "at most", wanted.max_price_difference_bps)
    excess = None
    if found is not None and found.slippage_bps is not None:
        excess = found.slippage_bps - found.assumed_slippage_bps
    gates.compare("slippage_excess_bps", excess, "at most", wanted.max_slippage_excess_bps)


def _approval(gates: _Gates, evidence: Evidence) -> None:
    given = evidence.approval
    if given is None:
        detail = f"no approval by a named person for evidence {evidence.content_hash[:12]}"
        gates.add("approval", None, None, "insufficient", detail)
    elif given.strategy_version != evidence.strategy_version:
        detail = f"{given.by} approved version {given.strategy_version}, this is {evidence.strategy_version}"
        gates.add("approval", None, None, "fail", detail)
    elif given.evidence_hash != evidence.content_hash:
        approved, now = given.evidence_hash[:12], evidence.content_hash[:12]
        detail = f"{given.by} approved evidence {approved}, this is {now}"
        gates.add("approval", None, None, "fail", detail)
    else:
        gates.add("approval", None, None, "pass", f"approved by {given.by} at {given.at.isoformat()}")
