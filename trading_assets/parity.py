"""The replay of every variant against vectorbt, as a check on `backtest` that runs in a job of its own and blocks nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from jobs.parity import PARITY_JOB
from resources.configurable import LakeResource
from trading_assets.adjusted import Actions
from trading_assets.backtest_runs import BacktestInputs, Market, backtest_run
from trading_assets.configured import variant as load_variant
from trading_assets.configured import variant_names
from trading_assets.history import History
from trading_assets.settings import Settings
from trading_assets.universes import load_universes

if TYPE_CHECKING:
    import polars as pl

    from trading.lab.artefacts import BacktestRun, Extra
    from trading.lab.parity import ParityReport

PARITY_CHECK = "parity"
_TOLD = 5


class ParityRun(dg.Config):
    """Whom a run compares.

    Attributes:
        variants: none = all.
    """

    variants: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class Compared:
    """One variant as of its newest backtest."""

    variant: str
    session: str
    reports: "dict[str, ParityReport]"


def parity_check(settings: Settings) -> dg.AssetChecksDefinition:
    """parity."""

    @dg.multi_asset_check(
        name="engine_parity",
        specs=[
            dg.AssetCheckSpec(
                PARITY_CHECK,
                asset="backtest",
                blocking=False,
                description="vectorbt, by rules written a second time, enters and exits where the replay does and comes to the "
                "same PnL: every variant as of its newest backtest.",
            )
        ],
        can_subset=True,
    )
    def engine_parity(
        context: dg.AssetCheckExecutionContext, config: ParityRun, lake: LakeResource
    ) -> Iterator[dg.AssetCheckResult]:
        by_hand = context.run.asset_check_selection and not context.run.asset_selection
        if context.run.job_name != PARITY_JOB and not by_hand:
            context.log.info("vectorbt takes half a minute to start: parity is checked by parity_job")
            return
        yield _result(list(compared(settings, lake, config.variants)))

    return engine_parity


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
        yield Compared(name, days[-1].isoformat(), parities(run, *_read(run, inputs)))


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
        asset_key="backtest",
        check_name=PARITY_CHECK,
        passed=bool(trades) and not wrong,
        severity=dg.AssetCheckSeverity.ERROR if wrong else dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={"trades": trades, **({"compared": dg.MetadataValue.table(rows)} if rows else {})},
    )


def _first(report: "ParityReport") -> str:
    row = report.differences.row(0, named=True)
    return f"{report.differences.height} differences, first {row['Symbol']} entered {row['entry_time']}: {row['found']}"
