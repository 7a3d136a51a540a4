"""Every gate against answers worked by hand, one rule a case."""

from typing import Any

import pytest
from harness.gates import ANSWERS, Case, a_context, an_account, an_intent, cases

from trading.risk.gates import GATES, evaluate, refusal

NAMES = [gate(an_intent(), an_account(), a_context()).name for gate in GATES]
ROWS = [(name, case) for name in NAMES for case in cases(name)]


def test_every_gate_has_answers_and_there_are_no_others() -> None:
    assert NAMES == [
        "kill_switch", "account", "session", "duplicate", "cooldown", "rate", "max_trades", "spending", "hard_stop",
        "expectancy", "kelly", "exposure", "price",
    ]  # fmt: skip
    assert {file.stem for file in ANSWERS.glob("*.csv")} == set(NAMES)


@pytest.mark.parametrize(("name", "case"), ROWS, ids=[f"{name}: {case.name}" for name, case in ROWS])
def test_a_gate_answers_as_worked_by_hand(name: str, case: Case) -> None:
    result = GATES[NAMES.index(name)](case.intent, case.account, case.context)
    assert (result.name, result.code, result.passed) == (name, case.code, case.code == "passed")
    seen = {figure: result.figures[figure] for figure in case.figures}
    assert seen == {figure: _close(value) for figure, value in case.figures.items()}


@pytest.mark.parametrize(("name", "case"), ROWS, ids=[f"{name}: {case.name}" for name, case in ROWS])
def test_all_gates_answer_whatever_the_others_say_and_the_first_refusal_counts(name: str, case: Case) -> None:
    results = evaluate(case.intent, case.account, case.context)
    assert [result.name for result in results] == NAMES
    refused = refusal(results)
    if case.code == "passed":
        assert refused is None or refused.name != name
    else:
        assert refused is not None and NAMES.index(refused.name) <= NAMES.index(name)


def _close(value: Any) -> Any:
    return pytest.approx(value, abs=5e-5) if isinstance(value, float) else value
