"""Decisions: one step at a time, demotion first, and the same again from the same evidence."""

import datetime as dt
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.errors import DataError
from trading.promotion import (
    Decision,
    decide,
    decide_all,
    decide_by_person,
    green_history,
    replay_decision,
    stage_before,
)

RED = {"horizons__1__metrics__sharpe": -1.0}


def test_one_step_at_a_time(green, strict):
    moves = [(d.from_stage, d.to_stage) for d in decide_all(green, strict, "experiment")]
    assert moves == [("experiment", "lab"), ("lab", "paper"), ("paper", "paper")]
    last = decide_all(green, strict, "experiment")[-1]
    assert [gate.name for gate in last.missing] == ["approval"]
    assert last.reason.startswith("stays in paper: 1 of 11 gates do not pass: approval: insufficient")
    assert last.live_symbols == ("SPY",)


def test_live_needs_the_person(green, strict, approved, spoil):
    decision = decide(approved(green, by="Ada"), strict, "paper")
    assert (decision.to_stage, decision.decided_by) == ("live", "Ada")
    # no approval makes up for a gate
    red = approved(spoil(green, **RED))
    assert decide(red, strict, "paper").to_stage == "paper"


@pytest.mark.parametrize("stage", ["experiment", "lab", "paper"])
def test_nothing_is_green_by_silence(green, strict, spoil, stage):
    bare = spoil(green, contract_ok=None, causality_ok=None, horizons=(), robustness={}, execution=None)
    assert decide(bare, strict, stage).to_stage == stage


def test_demo_reaches_paper_and_never_live(green, demo, approved):
    decisions = decide_all(approved(green), demo, "experiment")
    assert [d.to_stage for d in decisions] == ["lab", "paper", "paper"]
    assert "nothing about its merit" in decisions[-1].policy.warning


@pytest.mark.parametrize("field", ["breakers", "parity_breaks", "superseded"])
@pytest.mark.parametrize("stage", ["paper", "live"])
def test_suspended_at_once(green, strict, spoil, approved, field, stage):
    evidence = approved(spoil(green, **{field: ("it broke",)}))
    (decision,) = decide_all(evidence, strict, stage)
    assert (decision.to_stage, decision.decided_by) == ("suspended", "auto")
    assert "it broke" in decision.reason


def test_superseded_data_sends_the_lab_back(green, strict, spoil):
    (decision,) = decide_all(spoil(green, superseded=("m5_bars 2024-03-01",)), strict, "lab")
    assert decision.to_stage == "experiment"


@pytest.mark.parametrize(("stage", "below"), [("live", "paper"), ("paper", "lab")])
@pytest.mark.parametrize(
    ("earlier", "demoted"),
    [
        ((False, False, False, False), True),
        ((True, False, False, False, False), True),
        ((False, False, False), False),
        ((False, False, False, True), False),
        ((False, False, True, False, False), False),
        ((), False),
    ],
)
def test_red_sessions_in_a_row_lead_one_stage_down(green, strict, spoil, stage, below, earlier, demoted):
    # red_sessions is 5, this session is red too
    decisions = decide_all(spoil(green, earlier_green=earlier, **RED), strict, stage)
    assert [d.to_stage for d in decisions] == [below if demoted else stage]
    assert not decisions[0].green
    # a green session ends the row, however long it was
    assert decide(spoil(green, earlier_green=earlier), strict, stage).to_stage == stage


def test_a_lab_version_that_looks_ahead_goes_back(green, strict, spoil):
    cheat = spoil(green, causality_ok=False, earlier_green=(False,) * 4)
    assert decide(cheat, strict, "lab").to_stage == "experiment"
    assert decide(spoil(green, causality_ok=False), strict, "lab").to_stage == "lab"


@pytest.mark.parametrize("stage", ["suspended", "retired"])
def test_only_a_person_resumes(green, strict, approved, stage):
    (decision,) = decide_all(approved(green), strict, stage)
    assert decision.to_stage == stage


class TestByPerson:
    def test_moves(self, green, strict):
        decision = decide_by_person(green, strict, "suspended", "lab", by="Ada", reason="cause found and fixed")
        assert (decision.to_stage, decision.decided_by) == ("lab", "Ada")
        assert replay_decision(decision) == ()

    @pytest.mark.parametrize(
        ("start", "end"),
        [("paper", "live"), ("experiment", "paper"), ("suspended", "live"), ("retired", "lab"), ("lab", "lab")],
    )
    def test_the_way_up_leads_through_the_gates(self, green, strict, start, end):
        with pytest.raises(DataError, match="no step that a person can order"):
            decide_by_person(green, strict, start, end, by="Ada", reason="because")

    @pytest.mark.parametrize(("by", "reason"), [("auto", "x"), ("", "x"), ("Ada", " ")])
    def test_needs_name_and_reason(self, green, strict, by, reason):
        with pytest.raises(DataError):
            decide_by_person(green, strict, "paper", "suspended", by=by, reason=reason)


class TestRecord:
    def test_round_trip_through_json(self, green, strict, approved):
        for decision in decide_all(approved(green), strict, "experiment"):
            again = Decision.from_dict(json.loads(json.dumps(decision.to_dict())))
            assert again == decision
            assert again.decision_id == decision.decision_id
            assert again.to_dict() == decision.to_dict()
            assert replay_decision(again) == ()

    def test_the_same_evidence_gives_the_same_id_and_any_other_another(self, green, strict, demo, spoil):
        base = decide(green, strict, "lab")
        assert decide(green.model_copy(deep=True), strict, "lab").decision_id == base.decision_id
        others = [
            decide(green, strict, "experiment"),
            decide(green, demo, "lab"),
            decide(spoil(green, commits__m5_bars="ff"), strict, "lab"),
            decide(spoil(green, code_version="0.1.0+2"), strict, "lab"),
            decide(spoil(green, session=dt.date(2024, 3, 18)), strict, "lab"),
            decide(spoil(green, horizons__0__metrics__sharpe=1.6), strict, "lab"),
        ]
        assert len({base.decision_id, *(d.decision_id for d in others)}) == 7

    def test_a_changed_record_is_refused(self, green, strict):
        record = decide(green, strict, "lab").to_dict()
        with pytest.raises(DataError, match=r"decision_id is .* its content says"):
            Decision.from_dict({**record, "reason": "better"})
        with pytest.raises(DataError, match="session"):
            Decision.from_dict({**record, "session": "2024-03-14"})
        with pytest.raises(DataError, match="cannot be read"):
            Decision.from_dict({**record, "to_stage": "moon"})

    def test_replaying_on_other_evidence_shows_what_differs(self, green, strict, spoil):
        decision = decide(green, strict, "lab")
        other = spoil(green, horizons__1__metrics__sharpe=0.4)
        found = replay_decision(decision, other)
        assert "to_stage: recorded 'paper', now 'lab'" in found
        assert "evidence.horizons[1].metrics.sharpe: recorded 1.5, now 0.4" in found
        assert replay_decision(decision, green) == ()

    def test_the_approval_is_part_of_the_record_not_of_the_recomputed_evidence(self, green, strict, approved):
        decision = decide(approved(green), strict, "paper")
        assert replay_decision(decision, green) == ()


class TestHistory:
    """Stage and row of green sessions, from the decisions of earlier sessions."""

    days = (dt.date(2024, 3, 12), dt.date(2024, 3, 13), dt.date(2024, 3, 14), dt.date(2024, 3, 15))

    def _run(self, strict, evidences):
        """Sessions one after the other, as the platform decides them."""
        made = []
        for evidence in evidences:
            now = evidence.model_copy(update={"earlier_green": green_history(made, evidence)})
            made += decide_all(now, strict, stage_before(made, now))
        return made

    def test_a_life(self, green, strict, spoil):
        sessions = [dt.date(2024, 3, 4) + dt.timedelta(days=i) for i in range(9)]
        evidences = [spoil(green, session=sessions[0])]
        evidences += [spoil(green, session=day, **RED) for day in sessions[1:7]]
        made = self._run(strict, evidences)
        stages = {d.session: d.to_stage for d in made}
        assert [stages[day] for day in sessions[:7]] == ["paper"] * 5 + ["lab"] * 2
        today = spoil(green, session=sessions[8])
        assert stage_before(made, today) == "lab"
        # its lab gates were green on the one session since it came back
        assert green_history(made, today) == (True,)

    def test_deciding_a_session_again_changes_nothing(self, green, strict, spoil):
        evidences = [spoil(green, session=day) for day in self.days]
        made = self._run(strict, evidences)
        again = evidences[2].model_copy(update={"earlier_green": green_history(made, evidences[2])})
        ids = [d.decision_id for d in decide_all(again, strict, stage_before(made, again))]
        assert ids == [d.decision_id for d in made if d.session == self.days[2]]

    @pytest.mark.parametrize("change", [{"strategy_version": "bbbb"}, {"config_hash": "dddd"}])
    def test_another_version_starts_at_the_first_stage(self, green, strict, spoil, change):
        made = self._run(strict, [spoil(green, session=self.days[0])])
        changed = spoil(green, session=self.days[1], **change)
        assert stage_before(made, changed) == "experiment"
        assert green_history(made, changed) == ()
        # and so does the first one, taken up again
        made += self._run(strict, [changed])
        assert stage_before(made, spoil(green, session=self.days[2])) == "experiment"

    def test_suspension_sticks_to_its_version(self, green, strict, spoil):
        tripped = spoil(green, session=self.days[0], breakers=("daily loss",))
        made = list(decide_all(tripped, strict, "paper"))
        made += self._run(strict, [spoil(green, session=self.days[1], strategy_version="bbbb")])
        assert stage_before(made, spoil(green, session=self.days[2])) == "suspended"

    def test_other_variants_do_not_count(self, green, strict, spoil):
        made = self._run(strict, [spoil(green, session=self.days[0], variant="fixed1")])
        assert stage_before(made, green) == "experiment"


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_invariants(data):
    """Whatever the evidence: one step at most, up only when all gates pass, live only by a person."""
    from pydantic import TypeAdapter

    from trading.promotion import HORIZONS, Evidence, HorizonEvidence, PromotionPolicy
    from trading.promotion.stages import LADDER

    figure = st.one_of(st.none(), st.floats(-5, 5))
    metrics = st.fixed_dictionaries(
        {
            "num_trades": st.one_of(st.none(), st.integers(0, 100).map(float)),
            "profit_factor": figure,
            "expectancy": figure,
            "sharpe": figure,
            "win_rate": st.one_of(st.none(), st.floats(0, 1)),
            "max_drawdown": st.one_of(st.none(), st.floats(0, 1)),
        }
    )
    day = dt.date(2024, 3, 15)
    horizons = tuple(
        HorizonEvidence(
            horizon=name,
            first=day,
            last=day,
            expected=20,
            available=data.draw(st.integers(0, 20)),
            reaches_back=data.draw(st.booleans()),
            metrics=data.draw(st.one_of(st.none(), metrics)),
        )
        for name in HORIZONS
        if data.draw(st.booleans())
    )
    maybe = TypeAdapter(bool | None)
    evidence = Evidence(
        variant="v",
        strategy_version="a",
        config_hash="c",
        session=day,
        commits={},
        code_version="1",
        calendar_version="1",
        contract_ok=maybe.validate_python(data.draw(st.sampled_from([None, True, False]))),
        causality_ok=data.draw(st.sampled_from([None, True, True])),
        horizons=horizons,
        breakers=data.draw(st.sampled_from([(), (), ("b",)])),
        earlier_green=tuple(data.draw(st.lists(st.booleans(), max_size=6))),
    )
    loose = {
        "min_trades": 1,
        "min_profit_factor": None,
        "min_expectancy": None,
        "max_drawdown": 0.9,
        "min_sharpe": None,
        "min_win_rate_bound": None,
    }
    off = ("min_deflated_sharpe", "min_walk_forward_expectancy", "max_pbo", "min_neighbourhood")
    policy = PromotionPolicy.model_validate(
        {
            "name": "p",
            "warning": None,
            "experiment_to_lab": {"min_replays": 1},
            "lab_to_paper": {
                "horizons": {"1m": loose},
                "allow_partial_horizons": [],
                "min_session_coverage": 0.5,
                **dict.fromkeys((*off, "min_fill_order_expectancy", "max_engine_pnl_difference")),
                "data_quality": False,
            },
            "paper_to_live": None,
            "live_symbols": None,
            "demotion": {"red_sessions": 3},
        }
    )
    stage = data.draw(st.sampled_from(LADDER))
    decisions = decide_all(evidence, policy, stage)
    assert decisions[0].from_stage == stage
    for one, following in pairwise(decisions):
        assert one.to_stage == following.from_stage
    for decision in decisions:
        assert replay_decision(decision) == ()
        assert decision.to_stage != "live" or decision.from_stage == "live"
        if decision.to_stage in LADDER and decision.moves:
            step = LADDER.index(decision.to_stage) - LADDER.index(decision.from_stage)
            assert step in (1, -1)
            assert step == -1 or not decision.missing
        if evidence.breakers:
            assert decision.to_stage not in ("paper", "live") or decision.from_stage == "lab"
