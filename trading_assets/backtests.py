"""As-of backtests: session x variant, one replay per horizon that the published data reaches back to."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource
from trading_assets.adjusted import Actions
from trading_assets.bars import BAR_ASSETS
from trading_assets.code_version import platform_version, research_version
from trading_assets.configured import variant as load_variant
from trading_assets.dataset import dataset
from trading_assets.history import History
from trading_assets.materialise import Materialised, Produce, Skipped, dimension_of, materialise_partitions, session_of
from trading_assets.publications import materialised
from trading_assets.settings import Settings
from trading_assets.signals import window_of_sessions
from trading_assets.universes import Universes, load_universes

if TYPE_CHECKING:
    from trading.replay import ReplayResult
    from trading.sessions import SessionCalendar
    from trading.variants import Variant

_SESSIONS_A_YEAR = 253
# The look-ahead check that goes into an as-of session's evidence: small, because there is one a session, each with cuts of its
# own. The variant's asset check on its signals looks at every bar.
_CAUSALITY_CUTS, _CAUSALITY_ROUNDS, _CAUSALITY_BARS = 1, 4, 8_000


@dataclass(frozen=True)
class _Evidence:
    """What one as-of backtest found."""

    files: dict[str, pl.DataFrame | bytes]
    metrics: pl.DataFrame
    equity: pl.DataFrame
    longest: str
    label: str
    causal: bool


def backtest_assets(settings: Settings, partitions: dg.MultiPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """backtest."""

    @dataset(
        "backtest",
        group="backtests",
        description="What the published signals of a variant would have traded up to a session, replayed by the rules "
        "that paper and live follow, over 1 month, 3 months, 6 months and 1 year back, on bars and levels adjusted for the "
        "corporate actions known in that session.",
        sources=[
            "trading/replay",
            "trading/sizing.py",
            "trading/ticks.py",
            "trading/bars/adjust.py",
            "trading_assets/adjusted.py",
            "trading_assets/backtests.py",
        ],
        partitions=partitions,
        deps=[
            dg.AssetDep("signals", partition_mapping=window_of_sessions(_SESSIONS_A_YEAR)),
            *BAR_ASSETS.values(),
            "corporate_actions",
        ],
        kinds=("polars", "numba", "parquet"),
    )
    def backtest(
        context: dg.AssetExecutionContext, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        from trading.sessions import get_calendar

        publisher = lake.publisher(context, platform_version(), clock.now)
        universes = load_universes(settings)

        def prepare(keys: Sequence[str]) -> Produce:
            history = History(publisher.snapshot())
            actions = Actions.at(history.snapshot)
            days = _variants(keys)
            inputs = {name: _Inputs(history, actions, universes, load_variant(settings, name)) for name in days}
            last = {name: max(found) for name, found in days.items()}

            def produce(key: str) -> Materialised | Skipped:
                name, as_of = dimension_of(key, "variant"), dt.date.fromisoformat(session_of(key))
                of_variant = inputs[name]
                if as_of not in of_variant.sessions:
                    return Skipped(f"bars and signals of session {as_of} for {name} are not both on main")
                variant = of_variant.variant
                calendar = get_calendar(universes.calendar_of(variant.name, variant.universe))
                found = _evidence(of_variant, as_of, calendar)
                reads = {of_variant.bars_asset: history.pinned, "signals": history.pinned, **actions.reads}
                publication = publisher.publish(
                    "backtest",
                    {"session": as_of.isoformat(), "variant": name},
                    found.files,
                    audit=None,
                    inputs=reads,
                    metadata={"strategy_version": variant.strategy_version},
                    since=history.pinned,
                )
                shown = found.metrics.filter(pl.col("horizon") == found.longest).to_dicts()
                figures = {
                    key: value
                    for key, value in (shown[0] if shown else {}).items()
                    if isinstance(value, int | float) and not isinstance(value, bool)
                }
                return materialised(
                    publication,
                    found.metrics.height,
                    {
                        "label": found.label,
                        "horizon": found.longest or "none",
                        "causal": found.causal,
                        **(_plot(found, variant, settings) if as_of == last[name] else {}),
                        **figures,
                    },
                    reads=reads,
                )

            return produce

        yield from materialise_partitions(context, "backtest", prepare)

    return [backtest]


def _variants(keys: Sequence[str]) -> Mapping[str, list[dt.date]]:
    found: dict[str, list[dt.date]] = {}
    for key in keys:
        found.setdefault(dimension_of(key, "variant"), []).append(dt.date.fromisoformat(session_of(key)))
    return found


class _Inputs:
    """Bars and signals of one variant, read once for all as-of sessions of a run."""

    def __init__(self, history: History, actions: Actions, universes: Universes, variant: "Variant") -> None:
        self.history = history
        self.actions = actions
        self.universes = universes
        self.variant = variant
        self.bars_asset = BAR_ASSETS[variant.timeframe]
        with_signals = set(history.sessions("signals", {"variant": variant.name}))
        self.sessions = [day for day in history.sessions(self.bars_asset) if day in with_signals]
        self._bars: pl.DataFrame | None = None
        self._signals: pl.DataFrame | None = None

    def bars(self, first: dt.date, last: dt.date) -> pl.DataFrame:
        """Bars of those sessions as they compare with the prices of the last one."""
        if self._bars is None:
            bars = self.history.frame(self.bars_asset, self.sessions).sort("Symbol", "Timestamp")
            if self.variant.universe is not None:
                traded = [s for s in bars["Symbol"].unique() if self.universes.trades(self.variant.universe, s)]
                bars = bars.filter(pl.col("Symbol").is_in(traded))
            self._bars = bars
        return self.actions.adjusted(self._bars.filter(pl.col("session").is_between(first, last)), last)

    def signals(self, first: dt.date, last: dt.date) -> pl.DataFrame:
        """Signals of those sessions that this version of the strategy made, their levels on the prices of the last one."""
        if self._signals is None:
            made = self.history.frame("signals", self.sessions, {"variant": self.variant.name})
            sessions = self.history.frame(self.bars_asset, self.sessions).select("Symbol", "Timestamp", "session")
            self._signals = made.filter(pl.col("meta_strategy_version") == self.variant.strategy_version).join(
                sessions, on=["Symbol", "Timestamp"], how="inner"
            )
        return self.actions.levels(self._signals.filter(pl.col("session").is_between(first, last)), "session", last)


def _evidence(inputs: _Inputs, as_of: dt.date, calendar: "SessionCalendar") -> _Evidence:
    from trading.promotion.horizons import horizon_windows
    from trading.replay import replay
    from trading.strategies import check_causality
    from trading.variants import run_label

    variant = inputs.variant
    rows: list[dict[str, Any]] = []
    trades: list[pl.DataFrame] = []
    fills: list[pl.DataFrame] = []
    equity: list[pl.DataFrame] = []
    longest: tuple[str, ReplayResult] | None = None
    before: tuple[int, ReplayResult] | None = None
    for horizon, window in horizon_windows(as_of, calendar, inputs.sessions).items():
        days = window.available
        bars = inputs.bars(days[0], as_of)
        # A longer horizon that reaches no further back than a shorter one is the same replay.
        if before is not None and before[0] == len(days):
            result = before[1]
        else:
            instruments = inputs.universes.instruments(bars["Symbol"].unique())
            result = replay(bars, inputs.signals(days[0], as_of), variant.replay, instruments)
        before = (len(days), result)
        rows.append(
            {
                "session": as_of,
                "variant": variant.name,
                "horizon": horizon,
                "first": window.first,
                "last": window.last,
                "expected": window.expected,
                "available": len(days),
                # the window is within reach only where history begins no later than it
                "reaches_back": inputs.sessions[0] <= window.first,
                **result.metrics,
            }
        )
        tagged = pl.lit(horizon).alias("horizon")
        trades.append(result.trades.with_columns(tagged))
        fills.append(result.fills.with_columns(tagged))
        equity.append(_session_closes(result.equity, bars).with_columns(tagged))
        longest = (horizon, result)
    metrics = pl.DataFrame(rows, schema_overrides=_METRIC_TYPES, infer_schema_length=None)
    recent = inputs.bars(inputs.sessions[0], as_of).filter(pl.col("complete"))
    causality = check_causality(
        variant.implementation,
        recent,
        variant.params,
        cuts=_CAUSALITY_CUTS,
        rounds=_CAUSALITY_ROUNDS,
        seed=as_of.toordinal(),
        instruments=inputs.universes.instruments(recent["Symbol"].unique()),
        max_bars=_CAUSALITY_BARS,
    )
    label = run_label(variant, longest[1].metrics if longest else None)
    reach = [day for day in inputs.sessions if day <= as_of]
    manifest = {
        "variant": variant.model_dump(mode="json"),
        "strategy_version": variant.strategy_version,
        "config_hash": variant.config_hash,
        "as_of": as_of.isoformat(),
        "currency": "USD",
        "code_version": research_version(),
        "inputs": {
            inputs.bars_asset: inputs.history.fingerprint(inputs.bars_asset, reach),
            "signals": inputs.history.fingerprint("signals", reach, {"variant": variant.name}),
            **({"corporate_actions": {"commit": inputs.actions.made_by}} if inputs.actions.made_by else {}),
        },
        "causality": {
            "passed": causality.passed,
            "cuts": len(causality.cuts) + causality.probes,
            "seed": as_of.toordinal(),
            "bars": causality.bars,
            "signals": causality.signals,
            "conclusive": causality.conclusive,
        },
        "packages": package_versions(),
    }
    files: dict[str, pl.DataFrame | bytes] = {
        "trades.parquet": pl.concat(trades),
        "filled_orders.parquet": pl.concat(fills),
        "equity.parquet": pl.concat(equity),
        "data.parquet": metrics,
        "metrics.json": _json({row["horizon"]: row for row in metrics.to_dicts()}),
        "manifest.json": _json(manifest),
        "label.txt": (label + "\n").encode(),
    }
    curve = longest[1].equity if longest else pl.DataFrame()
    return _Evidence(files, metrics, curve, longest[0] if longest else "", label, causality.passed)


_METRIC_TYPES: dict[str, type[pl.DataType]] = dict.fromkeys(
    (
        *("initial_cash", "final_cash", "net_pnl", "win_rate", "profit_factor", "avg_win", "avg_loss"),
        *("expectancy", "sharpe", "max_drawdown", "exposure"),
    ),
    pl.Float64,
)


def package_versions() -> dict[str, str]:
    """Versions of what decides the numbers, for manifests and decisions."""
    from importlib.metadata import version

    return {name: version(name) for name in ("exchange-calendars", "numba", "numpy", "polars", "trading-assets")}


def _session_closes(equity: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """The equity curve's last row of each session."""
    sessions = bars.group_by("Timestamp").agg(pl.col("session").max())
    return (
        equity.join(sessions, on="Timestamp", how="left")
        .sort("Timestamp")
        .group_by("session", maintain_order=True)
        .last()
        .select("session", *equity.columns)
    )


def _plot(found: _Evidence, variant: "Variant", settings: Settings) -> dict[str, Any]:
    """Equity and drawdown of the longest horizon as a picture for the asset's page."""
    if found.equity.is_empty():
        return {}
    from trading.reports.plots import equity_png, markdown_image

    png = equity_png(
        found.equity,
        title=found.label,
        initial_cash=variant.replay.initial_cash,
        timezone=settings.display_timezone,
        label=settings.label,
    )
    return {"equity_curve": dg.MetadataValue.md(markdown_image(png, found.label))}


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, default=str) + "\n").encode()
