"""Which recorded decisions count: those that their own evidence bears out, in their order."""

import datetime as dt

import pytest

from trading.promotion import Decision, decide, decide_all, decide_by_person, examine, stage_before

NEXT, LATER = dt.date(2024, 3, 18), dt.date(2024, 3, 19)


def forged(decision: Decision, **changes: object) -> Decision:
    """A record that somebody wrote: well-formed, under an id that fits its content."""
    return Decision.model_validate({**decision.model_dump(), **changes})


def test_what_was_decided_counts(green, strict, approved):
    evidence = approved(green)
    decisions = decide_all(evidence, strict, "experiment")
    record = examine(decisions, [evidence.approval])
    assert record.decisions == decisions and record.doubts == ()


@pytest.mark.parametrize("target", ["paper", "live"])
def test_a_stage_written_by_hand_lifts_nothing(green, strict, spoil, target):
    poor = spoil(green, horizons__3__metrics__sharpe=0.0)
    (to_lab, stay) = decide_all(poor, strict, "experiment")
    start = "lab" if target == "paper" else "paper"
    hand_made = forged(stay, to_stage=target, from_stage=start, reason="all gates pass", gates=())
    record = examine([to_lab, hand_made], [])
    assert record.decisions == (to_lab,)
    (doubt,) = record.doubts
    assert hand_made.decision_id in doubt and "differs" in doubt
    assert stage_before(record.decisions, poor.model_copy(update={"session": NEXT})) == "lab"


def test_a_true_decision_out_of_its_place_lifts_nothing(green, strict, approved):
    evidence = approved(green)
    live = decide(evidence, strict, "paper")
    assert live.to_stage == "live"
    record = examine([live], [evidence.approval])
    assert record.decisions == () and "begins on paper, the version stood on experiment" in record.doubts[0]


def test_an_approval_that_is_not_on_record_lifts_nothing(green, strict, approved):
    evidence = approved(green)
    decisions = decide_all(evidence, strict, "experiment")
    record = examine(decisions, [approved(green, by="Bob").approval])
    assert [d.to_stage for d in record.decisions] == ["lab", "paper"]
    assert "the approval in it is not on record" in record.doubts[0]


def test_a_doubtful_step_down_is_taken(green, strict):
    decisions = decide_all(green, strict, "experiment")
    hand_made = forged(decisions[-1], to_stage="suspended", reason="whoever wrote this")
    record = examine([*decisions, hand_made], [])
    assert record.decisions[-1].to_stage == "suspended" and len(record.doubts) == 1


def test_a_session_decided_again_starts_where_it_started(green, strict, spoil):
    first = decide_all(green, strict, "experiment")
    again = decide_all(spoil(green, code_version="2"), strict, "experiment")
    assert examine([*first, *again], []).doubts == ()


def test_a_person_s_move_holds_against_the_session_decided_again(green, strict, spoil):
    first = decide_all(green, strict, "experiment")
    stop = decide_by_person(green, strict, "paper", "suspended", by="Ada", reason="looks wrong")
    known = [*first, stop]
    anew = spoil(green, code_version="2")
    assert stage_before(known, anew) == "suspended"
    assert stage_before(first, anew) == "experiment"
    late = decide_all(anew, strict, "experiment")
    record = examine([*known, *late], [])
    assert record.decisions == tuple(known) and len(record.doubts) == len(late)


def test_other_versions_start_anew_and_the_suspended_stays(green, strict, spoil):
    first = decide_all(green, strict, "experiment")
    stop = decide_by_person(green, strict, "paper", "suspended", by="Ada", reason="looks wrong")
    other = spoil(green, strategy_version="bbbb", session=NEXT)
    back = spoil(green, session=LATER)
    climbed = decide_all(other, strict, stage_before([*first, stop], other))
    assert climbed[0].from_stage == "experiment"
    again = decide_all(back, strict, stage_before([*first, stop, *climbed], back))
    assert [d.to_stage for d in again] == ["suspended"]
    assert examine([*first, stop, *climbed, *again], []).doubts == ()


@pytest.mark.parametrize("field", ["missed", "extra"])
def test_broken_parity_suspends(green, strict, spoil, field):
    decision = decide(spoil(green, **{f"execution__{field}": 1}), strict, "paper")
    assert decision.to_stage == "suspended" and f"{field}_trades" in decision.reason
    assert decide(green, strict, "paper").to_stage == "paper"
