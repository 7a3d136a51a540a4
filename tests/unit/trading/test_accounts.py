from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from trading.accounts import AccountConfig

REPO = Path(__file__).parents[3]


def test_the_paper_account_of_the_repository_is_valid() -> None:
    content = yaml.safe_load((REPO / "configs/accounts/paper.yml").read_text())
    account = AccountConfig.model_validate({"name": "paper", **content})
    assert account.mode == "paper" and account.capital == 10_000.0 * len(account.variants)
    runs = {file.stem for file in (REPO / "configs/runs").glob("*.yml")}
    assert set(account.variants) <= runs


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mode": "live"}, "needs a real broker"),
        ({"variants": {}}, "variants"),
        ({"variants": {"v": {"capital": 0}}}, "capital"),
        ({"broker": "other"}, "broker"),
        ({"account_number": "U1"}, "account_number"),
        ({"limits": {"hard_stop_pct": 0}}, "hard_stop_pct"),
        ({"limits": {"kelly": {"min_pct": 4, "max_pct": 2}}}, "must not exceed"),
        ({"limits": {"spending_windows": [{"start": "11:00", "end": "10:00", "max_notional": 1}]}}, "before end"),
        ({"reconcile_policy": "hope"}, "reconcile_policy"),
        ({"name": "U1234567"}, "account number must not stand in a config"),
        ({"approval_days": 0}, "approval_days"),
        ({"limits": {"max_batch_risk_pct": 0}}, "max_batch_risk_pct"),
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        AccountConfig.model_validate({"name": "paper", "variants": {"v": {"capital": 1}}} | change)


def test_defaults_are_the_hard_limits() -> None:
    account = AccountConfig.model_validate({"name": "a", "variants": {"v": {"capital": 1}}})
    assert (account.limits.cooldown_minutes, account.limits.hard_stop_pct) == (5.0, 2.0)
    assert (account.breakers.daily_loss_pct, account.breakers.drawdown_pct) == (5.0, 25.0)
