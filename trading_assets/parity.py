"""The replay of every variant against vectorbt: an asset with a check, in a job of its own, that blocks nothing."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
from pydantic import Field

from resources.configurable import ClockResource, LakeResource
from trading_assets.adjusted import Actions
from trading_assets.backtest_runs import BacktestInputs, Market, backtest_run
from trading_assets.code_version import platform_version
from trading_assets.configured import variant as load_variant
from trading_assets.configured import variant_names
from trading_assets.dataset import asset_spec
from trading_assets.history import History
from trading_assets.settings import Settings
from trading_assets.universes import load_universes

if TYPE_CHECKING:
    from trading.lab.artefacts import BacktestRun, Extra
    from trading.lab.parity import ParityReport

DATASET = "engine_parity"
PARITY_CHECK = "parity"
_TOLD = 5
_FIGURES = {
    "session": pl.Date(),
    "variant": pl.String(),
    "strategy_version": pl.String(),
    "config_hash": pl.String(),
    "compared": pl.String(),
    "each_alone": pl.Boolean(),
    "trades": pl.Int64(),
    "differences": pl.Int64(),
    "max_pnl_difference": pl.Float64(),
    "replay_pnl": pl.Float64(),
    "vectorbt_pnl": pl.Float64(),
}


class ParityRun(dg.Config):
    """Whom a run compares.

    Attributes:
        variants: none = all.
    """

    variants: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class Compared:
    """One variant as of its newest backtest, read at ``commit``."""

    variant: str
    session: str
    strategy_version: str
    config_hash: str
    commit: str
    reports: "dict[str, ParityReport]"


def parity_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """engine_parity, which each run publishes for every variant as of its newest backtest."""

    @dg.multi_asset(
        name=DATASET,
        specs=[
            asset_spec(
                DATASET,
                group="parity",
                description="The replay of every variant against vectorbt, by rules written a second time, as of its newest "
                "backtest: evidence of promotions.",
                sources=["trading/lab/parity.py", "trading/lab/vectorbt_engine.py", "trading_assets/parity.py"],
                partitions=None,
                deps=["backtest"],
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                PARITY_CHECK,
                asset=DATASET,
                blocking=False,
                description="vectorbt enters and exits where the replay does and comes to the same PnL.",
            )
        ],
    )
    def engine_parity(
        context: dg.AssetExecutionContext, config: ParityRun, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        publisher = lake.publisher(context, platform_version(), clock.now)
        found = list(compared(settings, lake, config.variants))
        for one in found:
            publisher.publish(
                DATASET,
                {"session": one.session, "variant": one.variant},
                {"data.parquet": figures(one), "differences.parquet": _differences(one)},
                audit=None,
                inputs={"backtest": one.commit},
                since=one.commit,
            )
        yield dg.MaterializeResult(
            asset_key=DATASET,
            metadata={"variants": len(found), "dagster/row_count": sum(len(o.reports) for o in found)},
        )
        yield _result(found)

    return [engine_parity]


def figures(one: Compared) -> pl.DataFrame:
    """One row a comparison; columns: the dataset's schema."""
    from trading.lab import vectorbt_artefacts

    rows = [
        {
            "session": dt.date.fromisoformat(one.session),
            "variant": one.variant,
            "strategy_version": one.strategy_version,
            "config_hash": one.config_hash,
            "compared": name,
            "each_alone": name == vectorbt_artefacts.ALONE,
            "trades": report.trades,
            "differences": report.differences.height,
            "max_pnl_difference": report.max_pnl_difference,
            "replay_pnl": report.replay_pnl,
            "vectorbt_pnl": report.vectorbt_pnl,
        }
        for name, report in one.reports.items()
    ]
    return pl.DataFrame(rows, schema=_FIGURES)


def _differences(one: Compared) -> pl.DataFrame:
    return pl.concat([report.differences for report in one.reports.values()])


def compared(settings: Settings, lake: LakeResource, names: list[str]) -> Iterator[Compared]:
    """Each variant that has a backtest on main, as of the newest."""
    from resources.lake.reading import Snapshot
    from trading.lab.vectorbt_artefacts import parities

    opened = lake.open()
    snapshot = Snapshot(opened, opened.resolve("main"))
    market = Market(History(snapshot), Actions.at(snapshot), load_universes(settings))
    for name in names or variant_names(settings):
        variant = load_variant(settings, name)
        days = market.history.sessions("backtest", {"variant": name})
        inputs = BacktestInputs.published(market, variant, days[-1:])
        if not days or days[-1] not in inputs.sessions:
            continue
        run = backtest_run(inputs, days[-1], ["1y"])
        yield Compared(
            variant=name,
            session=days[-1].isoformat(),
            strategy_version=variant.strategy_version,
            config_hash=variant.config_hash,
            commit=market.history.pinned,
            reports=parities(run, *_read(run, inputs)),
        )


def vectorbt_extra(run: "BacktestRun", inputs: BacktestInputs) -> "Extra":
    """What `trading backtest --vectorbt` adds to the artefacts."""
    from trading.lab.vectorbt_artefacts import vectorbt_artefacts

    bars, signals = _read(run, inputs)
    return vectorbt_artefacts(run, bars, signals, inputs.market.calendar(run.variant).sessions_per_year)


def _read(run: "BacktestRun", inputs: BacktestInputs) -> "tuple[pl.DataFrame, pl.DataFrame]":
    """Bars and signals of the longest horizon."""
    days = run.horizons[run.longest].window.available
    return inputs.bars_of(days), inputs.signals_of(days)


def _result(found: list[Compared]) -> dg.AssetCheckResult:
    reports = [(one, name, report) for one in found for name, report in one.reports.items()]
    wrong = [(one, name, report) for one, name, report in reports if not report.differences.is_empty()]
    trades = sum(report.trades for _, _, report in reports)
    if wrong:
        told = [f"{one.variant} {name}: {_first(report)}" for one, name, report in wrong[:_TOLD]]
        description = " | ".join(told)
    else:
        description = (
            f"{trades} trades of {len(found)} variants are the same" if trades else "there is no trade to compare"
        )
    rows = [
        dg.TableRecord(
            {
                "variant": one.variant,
                "session": one.session,
                "compared": name,
                "trades": report.trades,
                "differences": report.differences.height,
                "max_pnl_difference": report.max_pnl_difference,
                "replay_pnl": report.replay_pnl,
                "vectorbt_pnl": report.vectorbt_pnl,
            }
        )
        for one, name, report in reports
    ]
    return dg.AssetCheckResult(
        asset_key=DATASET,
        check_name=PARITY_CHECK,
        passed=bool(trades) and not wrong,
        severity=dg.AssetCheckSeverity.ERROR if wrong else dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={"trades": trades, **({"compared": dg.MetadataValue.table(rows)} if rows else {})},
    )


def _first(report: "ParityReport") -> str:
    row = report.differences.row(0, named=True)
    return f"{report.differences.height} differences, first {row['Symbol']} entered {row['entry_time']}: {row['found']}"
