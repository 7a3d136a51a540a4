"""Evidence of a version that passes every gate of the strict policy, to be spoiled one figure at a time."""

import datetime as dt
from pathlib import Path

import pytest
import yaml

from trading.promotion import (
    HORIZONS,
    Approval,
    DataQuality,
    EngineParity,
    Evidence,
    Execution,
    HorizonEvidence,
    PromotionPolicy,
    Robustness,
    SymbolEvidence,
)

CONFIGS = Path(__file__).parents[4] / "configs"

METRICS = {
    "initial_cash": 10000.0,
    "final_cash": 11000.0,
    "net_pnl": 1000.0,
    "num_trades": 100,
    "win_rate": 0.5,
    "profit_factor": 1.5,
    "avg_win": 40.0,
    "avg_loss": -20.0,
    "expectancy": 10.0,
    "sharpe": 1.5,
    "max_drawdown": 0.05,
    "exposure": 0.1,
}


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
    return Evidence(
        variant="risk1",
        strategy_version="aaaa",
        config_hash="cccc",
        session=dt.date(2024, 3, 15),
        commits={"m5_bars": "1f", "signals": {"partitions": 252, "last_commit": "2f"}},
        code_version="0.1.0+1",
        calendar_version="XNYS-1",
        package_versions={"polars": "2.1.0"},
        contract_ok=True,
        causality_ok=True,
        horizons=tuple(
            HorizonEvidence(
                horizon=horizon,
                first=dt.date(2023, 3, 16),
                last=dt.date(2024, 3, 15),
                expected=252,
                available=252,
                reaches_back=True,
                metrics=METRICS,
            )
            for horizon in HORIZONS
        ),
        symbols=(
            SymbolEvidence(symbol="SPY", horizon="1y", num_trades=40, expectancy=5.0),
            SymbolEvidence(symbol="AIG", horizon="1y", num_trades=40, expectancy=-5.0),
            SymbolEvidence(symbol="BAC", horizon="1y", num_trades=9, expectancy=50.0),
            SymbolEvidence(symbol="IBM", horizon="1y", num_trades=10, expectancy=None),
        ),
        data_quality=DataQuality(partitions=500),
        robustness=Robustness(
            trials=50,
            deflated_sharpe=0.97,
            walk_forward_folds=8,
            walk_forward_expectancy=3.0,
            pbo=0.1,
            neighbourhood=0.9,
            fill_order_expectancy=2.0,
        ),
        engine_parity=EngineParity(trades=100, unmatched=0, max_pnl_difference=0.001),
        execution=Execution(
            sessions=45,
            trades=30,
            missed=0,
            extra=0,
            max_price_difference_bps=0.5,
            unresolved_differences=0,
            slippage_bps=0.8,
            assumed_slippage_bps=1.0,
            error_events=0,
        ),
    )


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
