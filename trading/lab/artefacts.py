"""The artefacts of a backtest: what is kept of a variant's replays as of a session, whoever asked for it.

The asset and the command both write what is built here, so that both have the same bytes for the same inputs.
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from trading.lab import amounts
from trading.promotion.horizons import Horizon, HorizonWindow
from trading.replay import ReplayResult
from trading.variants import Variant, run_label

File = pl.DataFrame | bytes
"""Content of one file: a frame, to be written as Parquet, or what it is already."""

METRICS, TRADES, FILLED_ORDERS, EQUITY = (
    "data.parquet",
    "trades.parquet",
    "filled_orders.parquet",
    "equity_curve.parquet",
)
EQUITY_PICTURE, DRAWDOWN_PICTURE = "equity_curve.png", "drawdown_curve.png"
METRICS_TEXT, MANIFEST, LABEL = "metrics.json", "manifest.json", "label.txt"

NAMES = (METRICS, TRADES, FILLED_ORDERS, EQUITY, EQUITY_PICTURE, DRAWDOWN_PICTURE, METRICS_TEXT, MANIFEST, LABEL)
"""Files of a backtest; extras may add others."""

_CURRENCY_METRICS = ("initial_cash", "final_cash", "net_pnl", "avg_win", "avg_loss", "expectancy")
_UNITS = {
    "num_trades": "trades",
    "win_rate": "share of the trades",
    "profit_factor": "gross profit over gross loss",
    "sharpe": "a year",
    "max_drawdown": "share of the running peak",
    "exposure": "share of the bars",
}
_TYPES: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(_CURRENCY_METRICS, pl.Float64),
    **dict.fromkeys((name for name in _UNITS if name != "num_trades"), pl.Float64),
}


@dataclass(frozen=True)
class HorizonReplay:
    """One horizon of a run.

    Attributes:
        window: its sessions.
        reaches_back: whether history begins no later than the window.
        result: the replay over the window's bars.
        closes: the equity curve's last row of each session, with session (Date).
    """

    window: HorizonWindow
    reaches_back: bool
    result: ReplayResult
    closes: pl.DataFrame


@dataclass(frozen=True)
class BacktestRun:
    """A variant replayed as of a session.

    Attributes:
        horizons: shortest first; at least one.
        instruments: of every Symbol with a bar.
        inputs: what it was made from, by dataset, for the manifest.
        causality: the look-ahead check's outcome, its seed and its size.
        code_version, packages: of what made it, by package.
    """

    variant: Variant
    as_of: dt.date
    horizons: Mapping[Horizon, HorizonReplay]
    instruments: amounts.Instruments
    inputs: Mapping[str, Any]
    causality: Mapping[str, Any]
    code_version: str
    packages: Mapping[str, str]

    @property
    def longest(self) -> Horizon:
        return list(self.horizons)[-1]

    @property
    def currency(self) -> str:
        return amounts.currency_of(self.instruments)


@dataclass(frozen=True)
class Extra:
    """What else is made of a run: files beside the others, and figures for the asset's page."""

    files: Mapping[str, File] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


MakeExtra = Callable[[BacktestRun], Extra]
"""Makes further artefacts of a run: a second engine's verdict, other statistics. Pure: the same run, the same bytes."""

EXTRAS: tuple[MakeExtra, ...] = ()
"""Made of every run, by the asset and the command alike. Names must not be among ``NAMES``."""


@dataclass(frozen=True)
class Artefacts:
    """Files by name, and what a person is told of them.

    Attributes:
        metrics: one row a horizon; also ``data.parquet``.
        label: speaking title of the longest horizon, e.g.
            ``IB · Risk 1% · 10k · fees 2bps · 20 trades · WR 0.75 · PnL +3.61``.
        causal: the look-ahead check passed.
        metadata: of the extras.
    """

    files: Mapping[str, File]
    metrics: pl.DataFrame
    label: str
    causal: bool
    metadata: Mapping[str, Any]


def session_closes(equity: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """``ReplayResult.equity`` at the last timestamp of each session of ``bars``, with session in front."""
    sessions = bars.group_by("Timestamp").agg(pl.col("session").max())
    return (
        equity.join(sessions, on="Timestamp", how="left")
        .sort("Timestamp")
        .group_by("session", maintain_order=True)
        .last()
        .select("session", *equity.columns)
    )


def build_artefacts(
    run: BacktestRun, *, timezone: str = "UTC", label: str | None = None, extras: Sequence[MakeExtra] = EXTRAS
) -> Artefacts:
    """All artefacts of a run. The same run gives the same content, with nothing of the time, place or person in it.

    Args:
        timezone: of the dates on the pictures.
        label: a warning on the pictures, e.g. ``SYNTHETIC market``.
        extras: what else is made of the run.

    Raises:
        ConfigError: the run's instruments have several currencies.
    """
    from trading.reports.curves import drawdown_curve_png, equity_curve_png

    longest = run.horizons[run.longest].result
    title = run_label(run.variant, longest.metrics)
    metrics = _metrics(run)
    subtitle = f"{run.variant.name}, {run.longest} to {run.as_of}"
    picture: dict[str, Any] = {"title": title, "subtitle": subtitle, "timezone": timezone, "label": label}
    files: dict[str, File] = {
        METRICS: metrics,
        TRADES: _of_horizons(run, lambda one: amounts.trades(one.result.trades, run.instruments)),
        FILLED_ORDERS: _of_horizons(run, lambda one: amounts.filled_orders(one.result.fills, run.instruments)),
        EQUITY: _of_horizons(run, lambda one: one.closes.with_columns(currency=pl.lit(run.currency))),
        EQUITY_PICTURE: equity_curve_png(
            longest.equity, initial_cash=run.variant.replay.initial_cash, currency=run.currency, **picture
        ),
        DRAWDOWN_PICTURE: drawdown_curve_png(longest.equity, **picture),
        METRICS_TEXT: _json(_described(run, metrics)),
        MANIFEST: _json(manifest(run)),
        LABEL: f"{title}\n".encode(),
    }
    metadata: dict[str, Any] = {}
    for make in extras:
        extra = make(run)
        assert not files.keys() & extra.files.keys(), f"an extra has the name of an artefact: {sorted(extra.files)}"
        files |= extra.files
        metadata |= extra.metadata
    return Artefacts(files, metrics, title, bool(run.causality["passed"]), metadata)


def manifest(run: BacktestRun) -> dict[str, Any]:
    """What the artefacts rest on: inputs by commit, configuration, code, seeds, packages. Nothing of who ran it, or when."""
    return {
        "variant": run.variant.model_dump(mode="json"),
        "strategy_version": run.variant.strategy_version,
        "config_hash": run.variant.config_hash,
        "as_of": run.as_of.isoformat(),
        "horizons": list(run.horizons),
        "currency": run.currency,
        "quantity_units": amounts.units_of(run.instruments),
        "code_version": run.code_version,
        "inputs": dict(run.inputs),
        "causality": dict(run.causality),
        "seeds": {"causality": run.causality["seed"]},
        "packages": dict(run.packages),
    }


def _metrics(run: BacktestRun) -> pl.DataFrame:
    rows = [
        {
            "session": run.as_of,
            "variant": run.variant.name,
            "horizon": horizon,
            "first": one.window.first,
            "last": one.window.last,
            "expected": one.window.expected,
            "available": len(one.window.available),
            "reaches_back": one.reaches_back,
            "currency": run.currency,
            **one.result.metrics,
        }
        for horizon, one in run.horizons.items()
    ]
    return pl.DataFrame(rows, schema_overrides=_TYPES, infer_schema_length=None)


def _of_horizons(run: BacktestRun, frame: Callable[[HorizonReplay], pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([frame(one).with_columns(horizon=pl.lit(horizon)) for horizon, one in run.horizons.items()])


def _described(run: BacktestRun, metrics: pl.DataFrame) -> dict[str, Any]:
    """The metrics by horizon, and what they are measured in."""
    return {
        "currency": run.currency,
        "quantity_units": amounts.units_of(run.instruments),
        "units": {**dict.fromkeys(_CURRENCY_METRICS, run.currency), **_UNITS},
        "horizons": {row["horizon"]: row for row in metrics.to_dicts()},
    }


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, default=str, ensure_ascii=False) + "\n").encode()
