"""What vectorbt says of a run: whether it trades the same, its statistics and its page."""

import json
from typing import Any

import polars as pl

from trading.lab.artefacts import BacktestRun, Extra
from trading.lab.parity import ParityReport, parity, parity_alone
from trading.lab.vectorbt_engine import has_sizing
from trading.lab.vectorbt_portfolio import page, portfolio_of, statistics
from trading.variants import run_label

PARITY, DIFFERENCES, STATISTICS, PAGE = (
    "parity.json",
    "parity_differences.parquet",
    "vectorbt_stats.json",
    "vectorbt_portfolio.html",
)
NAMES = (PARITY, DIFFERENCES, STATISTICS, PAGE)
"""Files that are made here."""

ALONE, AS_CONFIGURED = "each Symbol and side alone, fixed size", "as configured"


def parities(run: BacktestRun, bars: pl.DataFrame, signals: pl.DataFrame) -> dict[str, ParityReport]:
    """The reports on ``run``'s longest horizon, given its bars and signals: :data:`ALONE`, and :data:`AS_CONFIGURED` where
    vectorbt's side has the sizing.
    """
    config = run.variant.replay
    found = {ALONE: parity_alone(bars, signals, config, run.instruments)}
    if has_sizing(config):
        found[AS_CONFIGURED] = parity(bars, signals, config, run.instruments, run=AS_CONFIGURED)
    return found


def vectorbt_artefacts(run: BacktestRun, bars: pl.DataFrame, signals: pl.DataFrame, sessions_per_year: int) -> Extra:
    """Files and figures of ``run``'s longest horizon, given its bars and signals. The same run, the same bytes."""
    reports = parities(run, bars, signals)
    result = run.horizons[run.longest].result
    portfolio = portfolio_of(result.fills, bars, run.variant.replay.initial_cash)
    figures = statistics(portfolio, bars, sessions_per_year)
    title = f"{run_label(run.variant, result.metrics)} · {run.longest} to {run.as_of}"
    return Extra(
        files={
            PARITY: _json({name: described(report) for name, report in reports.items()}),
            DIFFERENCES: pl.concat([report.differences for report in reports.values()]),
            STATISTICS: _json(figures),
            PAGE: page(portfolio, title).encode(),
        },
        metadata={
            "parity": all(report.passed for report in reports.values()),
            "parity_trades": sum(report.trades for report in reports.values()),
            "parity_differences": sum(report.differences.height for report in reports.values()),
        },
    )


def described(report: ParityReport) -> dict[str, Any]:
    """The report without its rows."""
    return {
        "passed": report.passed,
        "runs": report.runs,
        "trades": report.trades,
        "differences": report.differences.height,
        "max_pnl_difference": report.max_pnl_difference,
        "replay_pnl": report.replay_pnl,
        "vectorbt_pnl": report.vectorbt_pnl,
    }


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
