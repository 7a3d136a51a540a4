"""configs/quality.yaml: what is refused, and what each part means."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from resources.expectations import QualityPlan
from resources.expectations.plan import Expectation
from resources.expectations.results import Finding, Judged, Verdict
from trading.errors import ConfigError
from trading_assets.quality import quality_plan, suite_checks
from trading_assets.settings import CONFIGS, Settings

LIMIT = {"column": "coverage", "minimum": 0.9, "says": "covered", "look": "fetch again"}


def plan(**changes: Any) -> QualityPlan:
    suites = {"bar_quality": {"figures": "coverage_figures", "expectations": {"coverage": LIMIT}}}
    return QualityPlan.model_validate({"suites": suites, **changes})


def test_the_shipped_file_is_valid_and_every_expectation_tells_what_to_do() -> None:
    shipped = quality_plan(Settings(home=CONFIGS))
    assert {"m1_bars", "d1_raw", "bar_quality", "minutes_against_daily", "market", "portfolio_worth"} <= set(
        shipped.suites
    )
    assert shipped.suites["market"].dataset == "bar_quality"
    assert shipped.suites["d1_raw"].dataset == "d1_raw"


def test_a_suite_is_about_the_dataset_of_its_name_unless_it_says_otherwise() -> None:
    assert plan().suites["bar_quality"].dataset == "bar_quality"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"minimum": None}, "needs a minimum or a maximum"),
        ({"minimum": 2, "maximum": 1}, "is above maximum"),
        ({"look": ""}, "at least 1 character"),
        ({"severity": "fatal"}, "'warning' or 'error'"),
        ({"mininum": 1}, "not permitted"),
    ],
)
def test_an_expectation_that_cannot_be_meant_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Expectation.model_validate({**LIMIT, **changes})


def test_an_accepted_finding_must_be_of_an_expectation_that_there_is() -> None:
    with pytest.raises(ValidationError, match="no expectation 'gaps' in suite 'bar_quality'"):
        plan(accepted=[{"suite": "bar_quality", "expectation": "gaps", "reason": "known"}])


@pytest.mark.parametrize(
    ("given", "row", "covered"),
    [
        ({}, {"Symbol": "A", "session": "2024-01-02"}, True),
        ({"Symbol": "A"}, {"Symbol": "A", "session": "2024-01-02"}, True),
        ({"Symbol": "B"}, {"Symbol": "A", "session": "2024-01-02"}, False),
        ({"session": dt.date(2024, 1, 2)}, {"Symbol": "A", "session": "2024-01-02"}, True),
        ({"Symbol": "A", "session": dt.date(2024, 1, 3)}, {"Symbol": "A", "session": "2024-01-02"}, False),
    ],
)
def test_what_an_accepted_finding_covers(given: dict[str, Any], row: dict[str, Any], covered: bool) -> None:
    [accepted] = plan(
        accepted=[{"suite": "bar_quality", "expectation": "coverage", "reason": "known", **given}]
    ).accepted
    assert accepted.covers("bar_quality", "coverage", row) is covered
    assert not accepted.covers("d1_raw", "coverage", row)


@pytest.mark.parametrize(
    ("minimum", "maximum", "limit", "excess"),
    [
        (None, 5, "at most 5", 2.0),
        (8, None, "at least 8", 1.0),
        (0.5, 6.5, "0.5 to 6.5", 0.5),
        (0, 0, "0", 7.0),
        (1, 9, "1 to 9", 0),
    ],
)
def test_limits_in_words_and_how_far_seven_lies_outside(
    minimum: float | None, maximum: float | None, limit: str, excess: float
) -> None:
    expectation = Expectation.model_validate({**LIMIT, "minimum": minimum, "maximum": maximum})
    assert (expectation.limit, expectation.excess(7.0)) == (limit, excess)


def test_the_gravest_failure_gives_the_severity() -> None:
    warning, error = (Expectation.model_validate({**LIMIT, "severity": severity}) for severity in ("warning", "error"))
    found = (Finding({"Symbol": "A"}, 0.1),)
    many = Verdict("many", warning, 9, found * 3)
    grave = Verdict("grave", error, 9, found)
    fine = Verdict("fine", error, 9, (Finding({"Symbol": "A"}, 0.1, accepted="known"),))
    assert Judged("s", "d", 9, (many, grave, fine)).severity == "error"
    assert [verdict.name for verdict in Judged("s", "d", 9, (many, grave, fine)).failed] == ["grave", "many"]
    assert Judged("s", "d", 9, (many, fine)).severity == "warning"
    assert Judged("s", "d", 9, (fine,)).passed
    assert not Judged("s", "d", 0, skipped="no row").passed


def test_a_wrong_file_is_named_and_so_is_a_dataset_that_there_is_not(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, configs=tmp_path)
    assert quality_plan(settings) == quality_plan(Settings(home=tmp_path))  # the shipped one where there is none
    file = tmp_path / "quality.yaml"
    file.write_text(yaml.safe_dump({"sessions": 0, "suites": {}}))
    with pytest.raises(ConfigError, match=r"quality\.yaml: sessions: .*; suites: "):
        quality_plan(settings)
    file.write_text(
        yaml.safe_dump({"suites": {"m2_bars": {"figures": "m1_figures", "expectations": {"coverage": LIMIT}}}})
    )
    with pytest.raises(ConfigError, match="suite m2_bars is about m2_bars, which is no dataset"):
        suite_checks(settings, {"m1_bars"})
