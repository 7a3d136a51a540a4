"""What of a recorded history counts: a decision whose own evidence bears it out, that follows the one before it.

A record that somebody wrote by hand, or an approval that nobody gave, lifts nothing: a doubtful decision counts only where it
takes a stage away.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from trading.promotion.decisions import Decision, is_by_person, replay_decision, same_version
from trading.promotion.evidence import Approval, Evidence
from trading.promotion.stages import LADDER, Stage


@dataclass(frozen=True)
class Record:
    """Decisions of one variant.

    Attributes:
        decisions: those that count, in their order.
        doubts: one line each on those that do not lift the variant.
    """

    decisions: tuple[Decision, ...] = ()
    doubts: tuple[str, ...] = ()


def examine(
    decisions: Iterable[Decision],
    approvals: Collection[Approval],
    differences: Callable[[Decision], Collection[str]] = replay_decision,
) -> Record:
    """The decisions of one variant, in order of (session, recording), held against their own evidence.

    Args:
        approvals: that are on record for the variant.
        differences: of a decision taken again on its own evidence; see :func:`replay_decision`.
    """
    walk = _Walk()
    doubts = []
    for decision in decisions:
        doubt = walk.break_before(decision)
        again = differences(decision)
        if again:
            doubt = f"taken again on its own evidence it differs: {next(iter(again))}"
        elif decision.to_stage == "live" and decision.moves and decision.evidence.approval not in approvals:
            doubt = "the approval in it is not on record"
        if doubt is not None:
            doubts.append(f"decision {decision.decision_id} to {decision.to_stage} as of {decision.session}: {doubt}")
        if doubt is None or _rank(decision.to_stage) < _rank(walk.stage_of(decision.evidence)):
            walk.take(decision)
    return Record(tuple(walk.taken), tuple(doubts))


@dataclass
class _Walk:
    """Where each version of a variant stands after the decisions taken so far.

    Attributes:
        at_start: where the version of the last decision stood when that decision's session began.
    """

    taken: list[Decision] = field(default_factory=list)
    stages: dict[tuple[str, str], Stage] = field(default_factory=dict)
    at_start: Stage = "experiment"

    def stage_of(self, evidence: Evidence) -> Stage:
        """What is taken up again after another version starts anew, unless it was stopped."""
        stage = self.stages.get(_version(evidence), "experiment")
        in_turn = not self.taken or same_version(self.taken[-1], evidence)
        return stage if in_turn or stage in ("suspended", "retired") else "experiment"

    def break_before(self, decision: Decision) -> str | None:
        """Why ``decision`` cannot follow what was taken; None where it can."""
        starts = {self.stage_of(decision.evidence)}
        if self._is_again(decision):
            starts.add(self.at_start)
        if decision.from_stage in starts:
            return None
        return f"it begins on {decision.from_stage}, the version stood on {' or '.join(sorted(starts))}"

    def take(self, decision: Decision) -> None:
        if not self._is_again(decision):
            self.at_start = self.stage_of(decision.evidence)
        if is_by_person(decision):
            self.at_start = decision.to_stage
        self.stages[_version(decision.evidence)] = decision.to_stage
        self.taken.append(decision)

    def _is_again(self, decision: Decision) -> bool:
        """A further step of the last decision's session, or that session decided again."""
        last = self.taken[-1] if self.taken else None
        return last is not None and last.session == decision.session and same_version(last, decision.evidence)


def _version(evidence: Evidence) -> tuple[str, str]:
    return evidence.strategy_version, evidence.config_hash


def _rank(stage: Stage) -> int:
    """Higher = more is allowed."""
    return LADDER.index(stage) if stage in LADDER else -1
