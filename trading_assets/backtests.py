"""As-of backtests: session x variant, one replay per horizon that the published data reaches back to."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource
from trading_assets.adjusted import Actions
from trading_assets.backtest_runs import BacktestInputs, Market, backtest_run
from trading_assets.bars import BAR_ASSETS
from trading_assets.code_version import platform_version
from trading_assets.configured import variant as load_variant
from trading_assets.dataset import dataset
from trading_assets.history import History
from trading_assets.materialise import (
    Materialised,
    Pipeline,
    Skipped,
    dimension_of,
    materialise_partitions,
    session_of,
)
from trading_assets.publications import materialised
from trading_assets.settings import Settings
from trading_assets.signals import window_of_sessions
from trading_assets.universes import load_universes

if TYPE_CHECKING:
    from resources.lake.reading import Reader
    from trading.lab.artefacts import Artefacts, BacktestRun

_SESSIONS_A_YEAR = 253


@dataclass(frozen=True)
class _Made:
    run: "BacktestRun"
    artefacts: "Artefacts"


def backtest_assets(settings: Settings, partitions: dg.MultiPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """backtest."""

    @dataset(
        "backtest",
        group="backtests",
        description="What the published signals of a variant would have traded up to a session, replayed by the rules "
        "that paper and live follow, over 1 month, 3 months, 6 months and 1 year back, on bars and levels adjusted for the "
        "corporate actions known in that session.",
        sources=[
            "trading/lab/amounts.py",
            "trading/lab/artefacts.py",
            "trading/lab/backtest_contracts.py",
            "trading/replay",
            "trading/reports/canvas.py",
            "trading/reports/curves.py",
            "trading/sizing.py",
            "trading/ticks.py",
            "trading/bars/adjust.py",
            "trading_assets/adjusted.py",
            "trading_assets/backtest_runs.py",
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
        publisher = lake.publisher(context, platform_version(), clock.now)
        universes = load_universes(settings)

        def prepare(keys: Sequence[str]) -> Pipeline[_Made]:
            history = History(publisher.snapshot())
            actions = Actions.at(history.snapshot)
            market = Market(history, actions, universes)
            days = _days(keys)
            inputs = {
                name: BacktestInputs.published(market, load_variant(settings, name), found)
                for name, found in days.items()
            }
            last = {name: max(found) for name, found in days.items()}

            def compute(key: str) -> _Made | Skipped:
                from trading.lab.artefacts import build_artefacts
                from trading.promotion.horizons import HORIZONS

                name, as_of = dimension_of(key, "variant"), dt.date.fromisoformat(session_of(key))
                if as_of not in inputs[name].sessions:
                    return Skipped(f"bars and signals of session {as_of} for {name} are not both on main")
                run = backtest_run(inputs[name], as_of, HORIZONS)
                made = build_artefacts(run, timezone=settings.display_timezone, label=settings.label)
                return _Made(run, made)

            def publish(_: str, made: _Made) -> Materialised:
                run, artefacts = made.run, made.artefacts
                name, as_of = run.variant.name, run.as_of
                reads = {inputs[name].bars_asset: history.pinned, "signals": history.pinned, **actions.reads}
                publication = publisher.publish(
                    "backtest",
                    {"session": as_of.isoformat(), "variant": name},
                    artefacts.files,
                    audit=_audit(f"backtest {as_of} {name}"),
                    inputs=reads,
                    metadata={"strategy_version": run.variant.strategy_version},
                    since=history.pinned,
                )
                return materialised(
                    publication,
                    artefacts.metrics.height,
                    {
                        "label": artefacts.label,
                        "horizon": run.longest,
                        "currency": run.currency,
                        "causal": artefacts.causal,
                        **(_pictures(artefacts) if as_of == last[name] else {}),
                        **_figures(artefacts, run.longest),
                        **artefacts.metadata,
                    },
                    reads=reads,
                )

            return Pipeline(compute, {"backtest": publish})

        yield from materialise_partitions(context, "backtest", prepare)

    return [backtest]


def _days(keys: Sequence[str]) -> Mapping[str, list[dt.date]]:
    """Sessions by variant."""
    found: dict[str, list[dt.date]] = {}
    for key in keys:
        found.setdefault(dimension_of(key, "variant"), []).append(dt.date.fromisoformat(session_of(key)))
    return found


def _audit(where: str) -> Any:
    """Reads the frames back and holds them against their contracts."""

    def audit(reader: "Reader") -> None:
        from trading.contracts import validate
        from trading.lab.backtest_contracts import CONTRACTS

        for file, contract in CONTRACTS.items():
            validate(reader.frame(file), contract, where=where)

    return audit


def _figures(artefacts: "Artefacts", horizon: str) -> dict[str, int | float]:
    """The metrics of a horizon that are numbers."""
    shown = artefacts.metrics.filter(pl.col("horizon") == horizon).row(0, named=True)
    return {
        name: value for name, value in shown.items() if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _pictures(artefacts: "Artefacts") -> dict[str, Any]:
    """The stored pictures, as they show on the asset's page."""
    from trading.lab.artefacts import DRAWDOWN_PICTURE, EQUITY_PICTURE
    from trading.reports.plots import markdown_image

    shown = {}
    for file in (EQUITY_PICTURE, DRAWDOWN_PICTURE):
        png = artefacts.files[file]
        assert isinstance(png, bytes)
        shown[file.removesuffix(".png")] = dg.MetadataValue.md(markdown_image(png, artefacts.label))
    return shown
