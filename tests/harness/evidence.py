"""Evidence of a version that passes every gate of the strict policy, and the decisions that it leads to."""

import datetime as dt
from typing import Any

from trading.promotion import (
    HORIZONS,
    Approval,
    DataQuality,
    Decision,
    EngineParity,
    Evidence,
    Execution,
    HorizonEvidence,
    Robustness,
    SymbolEvidence,
    decide_all,
)
from trading_assets.configured import promotion_policy, variant
from trading_assets.settings import Settings

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


def green_evidence(**changes: Any) -> Evidence:
    """With fields of it replaced."""
    fields: dict[str, Any] = {
        "variant": "risk1",
        "strategy_version": "aaaa",
        "config_hash": "cccc",
        "session": dt.date(2024, 3, 15),
        "commits": {"m5_bars": "1f", "signals": {"partitions": 252, "last_commit": "2f"}},
        "code_version": "0.1.0+1",
        "calendar_version": "XNYS-1",
        "package_versions": {"polars": "2.1.0"},
        "contract_ok": True,
        "causality_ok": True,
        "horizons": tuple(
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
        "symbols": (
            SymbolEvidence(symbol="SPY", horizon="1y", num_trades=40, expectancy=5.0),
            SymbolEvidence(symbol="AIG", horizon="1y", num_trades=40, expectancy=-5.0),
            SymbolEvidence(symbol="BAC", horizon="1y", num_trades=9, expectancy=50.0),
            SymbolEvidence(symbol="IBM", horizon="1y", num_trades=10, expectancy=None),
        ),
        "data_quality": DataQuality(partitions=500),
        "robustness": Robustness(
            trials=50,
            deflated_sharpe=0.97,
            walk_forward_folds=8,
            walk_forward_expectancy=3.0,
            pbo=0.1,
            neighbourhood=0.9,
            fill_order_expectancy=2.0,
        ),
        "engine_parity": EngineParity(trades=100, unmatched=0, max_pnl_difference=0.001),
        "execution": Execution(
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
    }
    return Evidence.model_validate(fields | changes)


def climb(
    settings: Settings, name: str, *, session: dt.date, symbol: str, approval: Approval | None = None, **changes: Any
) -> tuple[Decision, ...]:
    """The decisions that bring the configured version to paper, and with its approval to live."""
    configured = variant(settings, name)
    evidence = green_evidence(
        variant=name,
        strategy_version=configured.strategy_version,
        config_hash=configured.config_hash,
        session=session,
        commits={"backtest": "b" * 64},
        symbols=(SymbolEvidence(symbol=symbol, horizon="1y", num_trades=40, expectancy=5.0),),
        approval=approval,
        **changes,
    )
    return decide_all(evidence, promotion_policy(settings), "experiment")
