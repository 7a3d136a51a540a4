"""Decisions: one step on the ladder at most, a pure function of evidence, policy and stage."""

import datetime as dt
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trading.errors import DataError
from trading.promotion.evidence import Evidence, person
from trading.promotion.gates import GateResult, all_pass, broken_parity, eligible_symbols, evaluate_gates
from trading.promotion.policy import PromotionPolicy
from trading.promotion.stages import BELOW, LADDER, NEXT, Stage
from trading.strategies.identity import content_hash

_ID_DIGITS = 24
_SHOWN = 6

_BY_PERSON: dict[Stage, tuple[Stage, ...]] = {
    "experiment": ("suspended", "retired"),
    "lab": ("experiment", "suspended", "retired"),
    "paper": ("lab", "experiment", "suspended", "retired"),
    "live": ("paper", "lab", "experiment", "suspended", "retired"),
    "suspended": ("experiment", "lab", "retired"),
    "retired": (),
}
"""Where a person may move a version. Never up, except that a suspended one may start again at the lab."""


class Decision(BaseModel):
    """One decision, complete: everything it stands on is in it, and ``decision_id`` is a hash of all of it.

    Args:
        from_stage, to_stage: equal where the version stays.
        gates: every gate that was looked at; those that let the version stand at its stage, then those ahead.
        green: whether the version's standing gates are all green; True at the experiment stage, which has
            none.
        live_symbols: Symbols that may trade live.
        decided_by: ``auto``, or the person.
        reason: for a person.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    evidence: Evidence
    policy: PromotionPolicy
    from_stage: Stage
    to_stage: Stage
    gates: tuple[GateResult, ...]
    green: bool
    live_symbols: tuple[str, ...] = ()
    decided_by: str = Field(min_length=1)
    reason: str = Field(min_length=1)

    @property
    def variant(self) -> str:
        return self.evidence.variant

    @property
    def strategy_version(self) -> str:
        return self.evidence.strategy_version

    @property
    def session(self) -> dt.date:
        """The as-of session."""
        return self.evidence.session

    @property
    def moves(self) -> bool:
        return self.from_stage != self.to_stage

    @property
    def missing(self) -> tuple[GateResult, ...]:
        """Gates that did not pass."""
        return tuple(gate for gate in self.gates if not gate.passed)

    @cached_property
    def decision_id(self) -> str:
        return content_hash(self.model_dump(mode="json"))[:_ID_DIGITS]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, with ``decision_id``, ``variant``, ``strategy_version`` and ``session`` at the top."""
        head = {
            "decision_id": self.decision_id,
            "variant": self.variant,
            "strategy_version": self.strategy_version,
            "session": self.session.isoformat(),
        }
        return {**head, **self.model_dump(mode="json")}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`; DataError where the content does not fit its ``decision_id``."""
        body = dict(content)
        head = {key: body.pop(key, None) for key in ("decision_id", "variant", "strategy_version", "session")}
        try:
            decision = cls.model_validate(body)
        except ValidationError as error:
            raise DataError(f"decision {head['decision_id']} cannot be read: {error}") from None
        again = decision.to_dict()
        for key, value in head.items():
            if again[key] != value:
                raise DataError(f"decision {head['decision_id']}: {key} is {value!r}, its content says {again[key]!r}")
        return decision


def decide(evidence: Evidence, policy: PromotionPolicy, current_stage: Stage) -> Decision:
    """The decision of this session; the same arguments give the same decision.

    In this order: a suspended or retired version stays; demotion; promotion by one stage where every gate
    ahead passes; else it stays. A tripped breaker, broken parity or superseded data suspends a version on paper
    or live (superseded data sends one in the lab back to experiment); ``red_sessions`` without green standing
    gates in a row lead one stage down. The step to live is the approving person's decision and carries their
    name.
    """
    standing = _standing(evidence, policy, current_stage)
    green = not standing or all_pass(standing)
    if current_stage in ("suspended", "retired"):
        by_whom = "until a person resumes it" if current_stage == "suspended" else "for good"
        return _decision(evidence, policy, current_stage, current_stage, standing, f"stays {current_stage} {by_whom}")
    demoted = _demotion(evidence, policy, current_stage, standing)
    if demoted is not None:
        return _decision(evidence, policy, current_stage, demoted[0], standing, demoted[1])
    if current_stage not in NEXT:
        reason = f"stays live: {_state(standing)}"
        return _decision(evidence, policy, current_stage, current_stage, standing, reason)
    transition, target = NEXT[current_stage]
    ahead = evaluate_gates(transition, evidence, policy)
    if not all_pass(ahead) or not green:
        reason = f"stays in {current_stage}: {_state(ahead if green else standing)}"
        return _decision(evidence, policy, current_stage, current_stage, (*standing, *ahead), reason)
    by = "auto"
    if target == "live":
        if evidence.approval is None:
            raise AssertionError("the approval gate passed without an approval")
        by = evidence.approval.by
    reason = f"{current_stage} to {target}: {_state(ahead)}"
    return _decision(evidence, policy, current_stage, target, (*standing, *ahead), reason, by)


def decide_all(evidence: Evidence, policy: PromotionPolicy, current_stage: Stage) -> tuple[Decision, ...]:
    """The decisions of one session, one step each, until the version stays; the last one is the staying.

    A demotion ends the session's decisions: what was just taken back is not given again on the same
    evidence. Steps that follow a promotion know no earlier sessions of their stage.
    """
    decisions: list[Decision] = []
    stage = current_stage
    while True:
        known = evidence if not decisions else evidence.model_copy(update={"earlier_green": ()})
        decision = decide(known, policy, stage)
        decisions.append(decision)
        climbed = decision.moves and (stage, decision.to_stage) in {(a, b) for a, (_, b) in NEXT.items()}
        if not climbed:
            return tuple(decisions)
        stage = decision.to_stage


def decide_by_person(
    evidence: Evidence, policy: PromotionPolicy, current_stage: Stage, to_stage: Stage, *, by: str, reason: str
) -> Decision:
    """A person's decision: down the ladder, suspended, retired, or from suspended back to the lab.

    The way up leads through the gates alone; to live through :class:`trading.promotion.evidence.Approval`.

    Raises:
        DataError: a move that is not a person's to make, no person's name, or no reason.
    """
    allowed = _BY_PERSON[current_stage]
    if to_stage not in allowed:
        raise DataError(
            f"{current_stage} to {to_stage} is no step that a person can order; "
            f"from {current_stage} there are: {', '.join(allowed) or 'none'}"
        )
    if not reason.strip():
        raise DataError("a person's decision needs a reason")
    try:
        name = person(by)
    except ValueError as error:
        raise DataError(str(error)) from None
    standing = _standing(evidence, policy, current_stage)
    return _decision(evidence, policy, current_stage, to_stage, standing, reason.strip(), name)


def replay_decision(decision: Decision, evidence: Evidence | None = None) -> tuple[str, ...]:
    """What differs when ``decision`` is taken again, one line each; empty where nothing does.

    Args:
        evidence: computed anew from the pinned commits; None takes the recorded one, which checks the rules
            alone.
    """
    again = evidence or decision.evidence
    if again.approval is None and decision.evidence.approval is not None:
        again = again.model_copy(update={"approval": decision.evidence.approval})
    if is_by_person(decision):
        taken = decide_by_person(
            again,
            decision.policy,
            decision.from_stage,
            decision.to_stage,
            by=decision.decided_by,
            reason=decision.reason,
        )
    else:
        taken = decide(again, decision.policy, decision.from_stage)
    return tuple(_differences("", decision.model_dump(mode="json"), taken.model_dump(mode="json")))


def is_by_person(decision: Decision) -> bool:
    """Whether a person ordered this move; a step to live is the gates' own, though it carries a name."""
    return decision.decided_by != "auto" and decision.to_stage in _BY_PERSON[decision.from_stage]


def stage_before(decisions: Iterable[Decision], evidence: Evidence) -> Stage:
    """Stage of a version when a session begins, from the decisions of earlier sessions in the order they were made.

    Decisions of the session itself do not count, so that deciding it again gives the same; but a person's move holds from
    then on, also against what is decided again. Other code,
    parameters or settings (strategy_version, config_hash) make another version, which starts at experiment; so
    does one that is taken up again after another. Suspended and retired stick to their version through that.
    """
    stage: Stage = "experiment"
    for decision in decisions:
        earlier = decision.session < evidence.session
        ordered = decision.session == evidence.session and is_by_person(decision)
        if decision.variant != evidence.variant or not (earlier or ordered):
            continue
        if same_version(decision, evidence):
            stage = decision.to_stage
        elif stage not in ("suspended", "retired"):
            stage = "experiment"
    return stage


def green_history(decisions: Iterable[Decision], evidence: Evidence) -> tuple[bool, ...]:
    """``Evidence.earlier_green``: per session since the version entered its stage, from decisions in their
    order.
    """
    green: dict[dt.date, bool] = {}
    for decision in decisions:
        if decision.variant != evidence.variant or decision.session >= evidence.session:
            continue
        if decision.moves or not same_version(decision, evidence):
            green.clear()
        else:
            green[decision.session] = decision.green
    return tuple(green.values())


def same_version(decision: Decision, evidence: Evidence) -> bool:
    """Whether ``decision`` is on the version of ``evidence``: code, parameters and settings."""
    return (decision.strategy_version, decision.evidence.config_hash) == (
        evidence.strategy_version,
        evidence.config_hash,
    )


def _standing(evidence: Evidence, policy: PromotionPolicy, stage: Stage) -> tuple[GateResult, ...]:
    """The gates that a version at ``stage`` has to keep passing."""
    if stage == "lab":
        return evaluate_gates("experiment_to_lab", evidence, policy)
    if stage in ("paper", "live"):
        kept = (
            *evaluate_gates("experiment_to_lab", evidence, policy),
            *evaluate_gates("lab_to_paper", evidence, policy),
        )
        if stage == "live":
            return (*kept, *evaluate_gates("paper_to_live", evidence, policy, with_approval=False))
        return kept
    return ()


def _demotion(
    evidence: Evidence, policy: PromotionPolicy, stage: Stage, standing: tuple[GateResult, ...]
) -> tuple[Stage, str] | None:
    causes = [
        f"{what}: {', '.join(found)}"
        for what, found in (
            ("breaker tripped", evidence.breakers),
            ("parity broken", (*evidence.parity_breaks, *broken_parity(evidence, policy))),
            ("data superseded", evidence.superseded),
        )
        if found
    ]
    if stage in ("paper", "live") and causes:
        return "suspended", f"{stage} to suspended: {'; '.join(causes)}"
    if stage == "lab" and evidence.superseded:
        return "experiment", f"lab to experiment: data superseded: {', '.join(evidence.superseded)}"
    if stage not in BELOW or all_pass(standing):
        return None
    red = 1
    for green in reversed(evidence.earlier_green):
        if green:
            break
        red += 1
    if red < policy.demotion.red_sessions:
        return None
    below = BELOW[stage]
    return below, f"{stage} to {below}: not green for {red} sessions in a row: {_state(standing)}"


def _state(gates: tuple[GateResult, ...]) -> str:
    open_ones = [str(gate) for gate in gates if not gate.passed]
    if not open_ones:
        return f"all {len(gates)} gates pass"
    more = f"; and {len(open_ones) - _SHOWN} more" if len(open_ones) > _SHOWN else ""
    return f"{len(open_ones)} of {len(gates)} gates do not pass: {'; '.join(open_ones[:_SHOWN])}{more}"


def _decision(
    evidence: Evidence,
    policy: PromotionPolicy,
    from_stage: Stage,
    to_stage: Stage,
    gates: tuple[GateResult, ...],
    reason: str,
    by: str = "auto",
) -> Decision:
    standing = _standing(evidence, policy, from_stage)
    return Decision(
        evidence=evidence,
        policy=policy,
        from_stage=from_stage,
        to_stage=to_stage,
        gates=gates,
        green=not standing or all_pass(standing),
        live_symbols=eligible_symbols(evidence, policy) if to_stage in LADDER[2:] else (),
        decided_by=by,
        reason=reason,
    )


def _differences(path: str, one: Any, other: Any) -> Iterable[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            inner = f"{path}.{key}" if path else key
            yield from _differences(inner, one.get(key, "absent"), other.get(key, "absent"))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from _differences(f"{path}[{i}]", a, b)
    elif one != other:
        yield f"{path}: recorded {one!r}, now {other!r}"
