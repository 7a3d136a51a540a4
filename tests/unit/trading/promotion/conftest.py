"""Evidence of a version that passes every gate of the strict policy, to be spoiled one figure at a time."""

import datetime as dt
from pathlib import Path

import pytest
import yaml
from harness.evidence import green_evidence

from trading.promotion import Approval, Evidence, PromotionPolicy

CONFIGS = Path(__file__).parents[4] / "configs"


def _policy(file: str) -> PromotionPolicy:
    return PromotionPolicy.model_validate(yaml.safe_load((CONFIGS / file).read_text(encoding="utf-8")))


@pytest.fixture
def strict() -> PromotionPolicy:
    return _policy("promotion.yaml")


@pytest.fixture
def demo() -> PromotionPolicy:
    return _policy("demo/promotion.yaml")


@pytest.fixture
def green() -> Evidence:
    return green_evidence()


@pytest.fixture
def spoil():
    """A copy of evidence with one field changed, validated anew; a dotted path reaches into records."""

    def change(evidence: Evidence, **changes: object) -> Evidence:
        content = evidence.model_dump()
        for path, value in changes.items():
            *way, last = path.split("__")
            spot = content
            for step in way:
                spot = spot[int(step) if step.isdecimal() else step]
            spot[last] = value
        return Evidence.model_validate(content)

    return change


@pytest.fixture
def approved():
    """The evidence with a person's approval of it."""

    def approve(evidence: Evidence, by: str = "Ada", **changes: str) -> Evidence:
        given = {
            "by": by,
            "at": dt.datetime(2024, 3, 15, 22, tzinfo=dt.UTC),
            "strategy_version": evidence.strategy_version,
            "evidence_hash": evidence.content_hash,
            **changes,
        }
        return evidence.model_copy(update={"approval": Approval.model_validate(given)})

    return approve
