"""Computing a sweep from what is on main: the artefacts that the command writes and the asset publishes."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from trading_assets.backtest_runs import Market
from trading_assets.code_version import package_versions, source_version
from trading_assets.configured import variant as load_variant
from trading_assets.settings import Settings
from trading_assets.sweep_inputs import SweepInputs

if TYPE_CHECKING:
    from trading.lab.config import SweepConfig
    from trading.lab.robustness import Robustness
    from trading.lab.sweep import SweepRun

SOURCES = (
    "trading",
    "trading_assets/history.py",
    "trading_assets/signals.py",
    "trading_assets/sweep_inputs.py",
    "trading_assets/sweeping.py",
)
RESULTS = "data.parquet"
NAMES = (
    RESULTS,
    "heatmap.png",
    "manifest.json",
    "report.txt",
    "robustness.json",
    "session_returns.parquet",
    "walk_forward.parquet",
    "walk_forward_returns.parquet",
)
"""Files of a sweep; those of walk-forward are not there where the sessions are too few."""


@dataclass(frozen=True)
class SweepArtefacts:
    """Everything a sweep leaves.

    Attributes:
        files: content by name.
        robustness: what was found.
        headline: one line for a person; ``report`` all of it.
        picture: the heat map.
        reads: the commit read at, by dataset.
    """

    files: dict[str, pl.DataFrame | bytes]
    robustness: "Robustness"
    headline: str
    report: str
    picture: bytes
    reads: dict[str, str]


def compute_sweep(
    settings: Settings,
    market: Market,
    config: "SweepConfig",
    as_of: dt.date,
    progress: Callable[[int, int], None] | None = None,
) -> SweepArtefacts:
    """Run ``config`` as of a session, on what the lake has at the market's commit.

    Raises:
        ConfigError: the sweep, its variant or one of its sets is wrong.
        DataError: bars or universe of the session are not on main.
    """
    from trading.lab.robustness import examine
    from trading.lab.sweep import Trials, run_sweep
    from trading.lab.verdict import headline, report

    base = load_variant(settings, config.variant)
    trials = Trials.of(config, base)
    warmup = max(variant.implementation.warmup(variant.params) for variant in trials.variants)
    inputs = SweepInputs.read(market, base, warmup, as_of, config.horizon)
    run = run_sweep(
        inputs.bars,
        trials,
        inputs.signals,
        inputs.instruments,
        sessions_per_year=inputs.calendar.sessions_per_year,
        progress=progress,
    )
    found = examine(run, config, inputs.bars, inputs.signals, inputs.instruments, as_of=as_of, label=settings.label)
    picture = _picture(run, found, config, settings)
    text = report(found.findings, config.limits)
    files: dict[str, pl.DataFrame | bytes] = {
        RESULTS: found.results,
        "session_returns.parquet": _session_returns(run),
        "robustness.json": _json(found.findings.to_dict()),
        "heatmap.png": picture,
        "report.txt": text.encode(),
        "manifest.json": _json(_manifest(config, base.model_dump(mode="json"), inputs, found)),
    }
    if found.walk_forward is not None:
        files["walk_forward.parquet"] = found.walk_forward.folds
        files["walk_forward_returns.parquet"] = found.walk_forward.returns
    return SweepArtefacts(files, found, headline(found.findings), text, picture, dict(inputs.reads))


def _session_returns(run: "SweepRun") -> pl.DataFrame:
    figures = run.figures
    sets, sessions = figures.equity.shape
    return pl.DataFrame(
        {
            "set": pl.Series("set", range(sets), dtype=pl.Int32).repeat_by(sessions).explode(),
            "session": pl.concat([figures.sessions] * sets),
            "equity": figures.equity.ravel(),
            "return": figures.returns.ravel(),
        }
    )


def _picture(run: "SweepRun", found: "Robustness", config: "SweepConfig", settings: Settings) -> bytes:
    from trading.lab.heat_map import default_axes, heat_map
    from trading.reports.sweep_plots import heat_map_png

    x, y = config.heat_map or default_axes(run.trials.sets)
    marked = {"best set": found.best} if found.best is not None else {}
    marked[f"variant {config.variant}"] = run.trials.base
    table = heat_map(run.trials.sets, run.figures.metric(config.metric), x, y, marked)
    others = [name for name in run.trials.sets.names if name not in (x, y)]
    findings = found.findings
    over = f", best over {', '.join(others)}" if others else ""
    return heat_map_png(
        table,
        metric=config.metric,
        title=f"{config.name}: {config.metric} of {findings.sets:,} sets{over}",
        note=f"{findings.sessions} sessions, {findings.first} to {findings.as_of}",
        label=settings.label,
    )


def _manifest(
    config: "SweepConfig", variant: dict[str, Any], inputs: SweepInputs, found: "Robustness"
) -> dict[str, Any]:
    return {
        "sweep": config.model_dump(mode="json"),
        "variant": variant,
        "strategy_version": found.findings.base.strategy_version,
        "config_hash": found.findings.base.config_hash,
        "as_of": inputs.as_of.isoformat(),
        "first": inputs.sessions[0].isoformat(),
        "sessions": len(inputs.sessions),
        "seed": config.seed,
        "inputs": inputs.pins,
        "code_version": source_version(*SOURCES),
        "packages": package_versions(),
    }


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, default=str) + "\n").encode()
