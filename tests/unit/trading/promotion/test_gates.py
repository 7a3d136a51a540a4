"""Each gate turns red on its own figure, and is insufficient, never green, without it."""

import datetime as dt

import pytest
from pydantic import ValidationError

from trading.promotion import Approval, PromotionPolicy, evaluate_gates
from trading.promotion.gates import eligible_symbols


def _failing(transition, evidence, policy):
    return {g.name: g.status for g in evaluate_gates(transition, evidence, policy) if not g.passed}


def test_all_gates_pass_on_good_evidence(green, strict):
    assert _failing("experiment_to_lab", green, strict) == {}
    assert _failing("lab_to_paper", green, strict) == {}
    assert _failing("paper_to_live", green, strict) == {"approval": "insufficient"}


@pytest.mark.parametrize(
    ("transition", "change", "expected"),
    [
        ("experiment_to_lab", {"contract_ok": False}, {"contract": "fail"}),
        ("experiment_to_lab", {"contract_ok": None}, {"contract": "insufficient"}),
        ("experiment_to_lab", {"causality_ok": False}, {"causality": "fail"}),
        ("experiment_to_lab", {"causality_ok": None}, {"causality": "insufficient"}),
        ("experiment_to_lab", {"horizons": ()}, {"replays_without_error": "fail"}),
        ("lab_to_paper", {"horizons__1__metrics__num_trades": 19}, {"3m.trades": "fail"}),
        ("lab_to_paper", {"horizons__1__metrics__profit_factor": 1.09}, {"3m.profit_factor": "fail"}),
        ("lab_to_paper", {"horizons__1__metrics__profit_factor": None}, {"3m.profit_factor": "insufficient"}),
        ("lab_to_paper", {"horizons__1__metrics__expectancy": 0.0}, {"3m.expectancy": "fail"}),
        ("lab_to_paper", {"horizons__1__metrics__max_drawdown": 0.121}, {"3m.drawdown": "fail"}),
        ("lab_to_paper", {"horizons__1__metrics__sharpe": None}, {"3m.sharpe": "insufficient"}),
        ("lab_to_paper", {"horizons__3__metrics__win_rate": 0.38}, {"1y.win_rate_bound": "fail"}),
        ("lab_to_paper", {"robustness__deflated_sharpe": 0.94}, {"deflated_sharpe": "fail"}),
        ("lab_to_paper", {"robustness__deflated_sharpe": None}, {"deflated_sharpe": "insufficient"}),
        ("lab_to_paper", {"robustness__trials": None}, {"deflated_sharpe": "insufficient"}),
        ("lab_to_paper", {"robustness__walk_forward_expectancy": 0.0}, {"walk_forward": "fail"}),
        ("lab_to_paper", {"robustness__walk_forward_folds": 0}, {"walk_forward": "insufficient"}),
        ("lab_to_paper", {"robustness__pbo": 0.21}, {"pbo": "fail"}),
        ("lab_to_paper", {"robustness__pbo": None}, {"pbo": "insufficient"}),
        ("lab_to_paper", {"robustness__neighbourhood": 0.69}, {"neighbourhood": "fail"}),
        ("lab_to_paper", {"robustness__fill_order_expectancy": 0.0}, {"fill_order": "fail"}),
        ("lab_to_paper", {"robustness__fill_order_expectancy": None}, {"fill_order": "insufficient"}),
        ("lab_to_paper", {"engine_parity__unmatched": 1}, {"engine_unmatched_trades": "fail"}),
        ("lab_to_paper", {"engine_parity__max_pnl_difference": 0.02}, {"engine_pnl_difference": "fail"}),
        (
            "lab_to_paper",
            {"engine_parity": None},
            {"engine_unmatched_trades": "insufficient", "engine_pnl_difference": "insufficient"},
        ),
        (
            "lab_to_paper",
            {"engine_parity__trades": 0},
            {"engine_unmatched_trades": "insufficient", "engine_pnl_difference": "insufficient"},
        ),
        ("lab_to_paper", {"data_quality__failed": ("m5_bars 2024-03-01",)}, {"data_quality": "fail"}),
        ("lab_to_paper", {"data_quality__partitions": 0}, {"data_quality": "insufficient"}),
        ("lab_to_paper", {"data_quality": None}, {"data_quality": "insufficient"}),
        ("paper_to_live", {"execution__sessions": 39}, {"paper_sessions": "fail"}),
        ("paper_to_live", {"execution__trades": 19}, {"paper_trades": "fail"}),
        ("paper_to_live", {"execution__missed": 1}, {"missed_trades": "fail"}),
        ("paper_to_live", {"execution__extra": 1}, {"extra_trades": "fail"}),
        ("paper_to_live", {"execution__unresolved_differences": 1}, {"reconciliation": "fail"}),
        ("paper_to_live", {"execution__error_events": 1}, {"risk_events": "fail"}),
        ("paper_to_live", {"execution__max_price_difference_bps": 2.1}, {"price_difference_bps": "fail"}),
        (
            "paper_to_live",
            {"execution__max_price_difference_bps": None},
            {"price_difference_bps": "insufficient"},
        ),
        ("paper_to_live", {"execution__slippage_bps": 1.01}, {"slippage_excess_bps": "fail"}),
        ("paper_to_live", {"execution__slippage_bps": None}, {"slippage_excess_bps": "insufficient"}),
        ("paper_to_live", {"symbols": ()}, {"live_symbols": "fail"}),
    ],
)
def test_one_figure_turns_one_gate(green, strict, spoil, approved, transition, change, expected):
    spoiled = approved(spoil(green, **change))
    assert _failing(transition, spoiled, strict) == expected


def test_without_evidence_no_gate_is_green(green, strict, spoil):
    bare = spoil(
        green,
        contract_ok=None,
        causality_ok=None,
        horizons=(),
        symbols=(),
        data_quality=None,
        robustness={},
        engine_parity=None,
        execution=None,
    )
    for transition in ("experiment_to_lab", "lab_to_paper", "paper_to_live"):
        passed = [g.name for g in evaluate_gates(transition, bare, strict) if g.passed]
        assert passed == (["policy"] if transition == "paper_to_live" else [])


@pytest.mark.parametrize(
    "change",
    [
        {"horizons__1__reaches_back": False},
        {"horizons__1__available": 239},
        {"horizons__1__available": 0},
        {"horizons__1__metrics": None},
        {"horizons__1__error": "bars of SPY break their contract"},
    ],
)
def test_a_horizon_without_enough_data_is_insufficient_whatever_its_figures(green, strict, spoil, change):
    found = _failing("lab_to_paper", spoil(green, **change), strict)
    names = ("trades", "profit_factor", "expectancy", "drawdown", "sharpe")
    assert found == {f"3m.{name}": "insufficient" for name in names}


def test_a_replay_that_lost_nothing_passes_the_profit_factor(green, strict, spoil):
    won = spoil(green, horizons__1__metrics__profit_factor=None, horizons__1__metrics__win_rate=1.0)
    assert _failing("lab_to_paper", won, strict) == {}


def test_results_carry_their_figures(green, strict, spoil):
    spoiled = spoil(green, horizons__1__metrics__num_trades=19)
    gate = next(g for g in evaluate_gates("lab_to_paper", spoiled, strict) if g.name == "3m.trades")
    assert (gate.value, gate.threshold, gate.status) == (19.0, 20.0, "fail")
    assert gate.detail == "19, it must be at least 20"


def test_symbols_are_judged_on_their_own_trades(green, strict, demo):
    assert eligible_symbols(green, strict) == ("SPY",)
    assert eligible_symbols(green, demo) == ()


class TestDemoPolicy:
    """Shows the chain on little data, and cannot lead to live."""

    def test_says_what_it_is(self, demo):
        assert demo.name == "demo"
        assert "nothing about its merit" in demo.warning
        assert demo.paper_to_live is None

    def test_three_sessions_and_one_trade_are_enough_for_paper(self, green, demo, spoil):
        little = spoil(
            green,
            horizons__0__reaches_back=False,
            horizons__0__available=3,
            horizons__0__metrics__num_trades=1,
            horizons__0__metrics__expectancy=-5.0,
            horizons__0__metrics__sharpe=None,
            robustness={},
            engine_parity=None,
            data_quality=None,
        )
        assert _failing("lab_to_paper", little, demo) == {}
        details = [g.detail for g in evaluate_gates("lab_to_paper", little, demo)]
        assert all("partial: 3 of 252 sessions" in detail for detail in details)

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"horizons__0__metrics__num_trades": 0}, {"1m.trades": "fail"}),
            ({"horizons__0__metrics__max_drawdown": 0.26}, {"1m.drawdown": "fail"}),
            ({"horizons__0__metrics": None}, {"1m.trades": "insufficient", "1m.drawdown": "insufficient"}),
        ],
    )
    def test_still_asks_for_something(self, green, demo, spoil, change, expected):
        assert _failing("lab_to_paper", spoil(green, **change), demo) == expected

    def test_live_is_closed_even_with_an_approval(self, green, demo, approved):
        assert _failing("paper_to_live", approved(green), demo) == {"policy": "fail"}


class TestPolicyFile:
    """A policy that was typed wrong must not be a weaker policy."""

    @pytest.mark.parametrize(
        "section", ["experiment_to_lab", "lab_to_paper", "paper_to_live", "live_symbols", "demotion"]
    )
    def test_every_line_is_needed(self, strict, section):
        content = strict.model_dump()
        for line in content[section]:
            shortened = {**content, section: {k: v for k, v in content[section].items() if k != line}}
            with pytest.raises(ValidationError, match=line):
                PromotionPolicy.model_validate(shortened)

    def test_every_threshold_of_a_horizon_is_needed(self, strict):
        content = strict.model_dump()
        for line in list(content["lab_to_paper"]["horizons"]["1y"]):
            value = content["lab_to_paper"]["horizons"]["1y"].pop(line)
            with pytest.raises(ValidationError, match=line):
                PromotionPolicy.model_validate(content)
            content["lab_to_paper"]["horizons"]["1y"][line] = value

    def test_partial_horizons_never_lead_to_live(self, strict):
        content = strict.model_dump()
        content["lab_to_paper"]["allow_partial_horizons"] = ["1m"]
        with pytest.raises(ValidationError, match="allow_partial_horizons must be empty"):
            PromotionPolicy.model_validate(content)

    def test_a_horizon_is_required(self, strict):
        content = strict.model_dump()
        content["lab_to_paper"]["horizons"] = {}
        with pytest.raises(ValidationError, match="at least 1"):
            PromotionPolicy.model_validate(content)


class TestApproval:
    @pytest.mark.parametrize("name", ["", "  ", "auto", "AUTO", "system", "dagster"])
    def test_automation_has_no_name(self, name):
        with pytest.raises(ValidationError, match="names no person"):
            Approval(
                by=name,
                at=dt.datetime(2024, 3, 15, tzinfo=dt.UTC),
                strategy_version="a",
                evidence_hash="b",
            )

    def test_is_for_one_version_and_one_body_of_evidence(self, green, strict, approved, spoil):
        assert _failing("paper_to_live", approved(green), strict) == {}
        other_version = approved(green, strategy_version="bbbb")
        assert _failing("paper_to_live", other_version, strict) == {"approval": "fail"}
        yes = approved(green).approval
        other_commit = spoil(green, commits__m5_bars="ff").model_copy(update={"approval": yes})
        assert _failing("paper_to_live", other_commit, strict) == {"approval": "fail"}
