"""One blocking asset check per variant on its signals: does its strategy look ahead?"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from resources.configurable import LakeResource
from trading_assets.bars import BAR_ASSETS
from trading_assets.configured import variant as load_variant
from trading_assets.configured import variant_names
from trading_assets.history import History
from trading_assets.materialise import dimension_of
from trading_assets.settings import Settings
from trading_assets.universes import Universes, load_universes

if TYPE_CHECKING:
    from trading.instruments import Instrument
    from trading.strategies import CausalityReport
    from trading.variants import Variant

_SESSIONS = {"5m": 20, "15m": 40, "1h": 100, "1d": 250}  # newest ones that are looked at
_BREACHES = 5  # shown at most


def check_name(variant: str) -> str:
    """Name of the variant's asset check; Dagster knows letters, digits and _ in it."""
    return "causality_" + re.sub(r"\W", "__", variant, flags=re.ASCII)


@dataclass(frozen=True)
class CheckBars:
    """What a strategy is checked on: complete bars sorted by Symbol and Timestamp, and their instruments."""

    bars: pl.DataFrame
    instruments: "dict[str, Instrument]"
    about: str


def bars_to_check_on(
    history: History, universes: Universes, timeframe: str, universe: str | None = None
) -> CheckBars | None:
    """The newest bars on main of a universe's Symbols (None: of all); None where there are none."""
    asset = BAR_ASSETS[timeframe]
    days = history.sessions(asset)[-_SESSIONS[timeframe] :]
    if not days:
        return None
    bars = history.frame(asset, days).filter(pl.col("complete")).sort("Symbol", "Timestamp")
    symbols = [symbol for symbol in bars["Symbol"].unique().sort() if universes.trades(universe, symbol)]
    bars = bars.filter(pl.col("Symbol").is_in(symbols))
    about = f"{asset} of {len(symbols)} Symbols, {len(days)} sessions to {days[-1]}"
    return CheckBars(bars, universes.instruments(symbols), about) if bars.height else None


def causality_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """One check per variant, all in one step; a run evaluates those of its own variants."""
    names = {check_name(variant): variant for variant in variant_names(settings)}

    @dg.multi_asset_check(
        name="causality",
        specs=[
            dg.AssetCheckSpec(
                name,
                asset="signals",
                blocking=True,
                description=f"Signals of {variant} up to a bar do not change when the bars after it are hidden or forged.",
            )
            for name, variant in names.items()
        ],
        can_subset=True,
        description="Look-ahead, by experiment. A variant that fails stops what is downstream in its run.",
    )
    def causality(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Iterator[dg.AssetCheckResult]:
        from resources.lake.reading import Snapshot
        from trading.strategies import check_causality

        opened = lake.open()
        history, universes = History(Snapshot(opened, opened.resolve("main@"))), load_universes(settings)
        step = context.op_execution_context
        partitioned = step.has_partition_key or step.has_partition_key_range
        of_run = {dimension_of(key, "variant") for key in step.partition_keys} if partitioned else set(names.values())
        wanted = {key.name for key in step.selected_asset_check_keys}
        found: dict[tuple[str, str | None], tuple[CausalityReport, str] | None] = {}
        for name in sorted(wanted & names.keys()):
            if names[name] not in of_run:
                continue
            variant = load_variant(settings, names[name])
            key = (variant.strategy_version, variant.universe)  # variants that differ in sizing only share it
            if key not in found:
                found[key] = None
                on = bars_to_check_on(history, universes, variant.timeframe, variant.universe)
                if on is not None:
                    report = check_causality(
                        variant.implementation, on.bars, variant.params, instruments=on.instruments
                    )
                    found[key] = (report, on.about)
            yield _result(name, variant, found[key])

    return causality


def _result(name: str, variant: "Variant", found: "tuple[CausalityReport, str] | None") -> dg.AssetCheckResult:
    if found is None:
        return dg.AssetCheckResult(
            passed=True,
            check_name=name,
            asset_key="signals",
            description=f"inconclusive: no {variant.timeframe} bar is on main",
        )
    report, about = found
    breaches = [str(breach) for breach in report.breaches]
    said = str(report)
    if breaches:
        said = (
            f"variant {variant.name}: strategy {variant.strategy} {said}. Nothing downstream of this run was made; what was "
            "backtested before with this version means nothing"
        )
    listed = dg.MetadataValue.md("\n".join(f"- {breach}" for breach in breaches[:_BREACHES]))
    return dg.AssetCheckResult(
        passed=report.passed,
        check_name=name,
        asset_key="signals",
        severity=dg.AssetCheckSeverity.ERROR,
        description=said,
        metadata={
            "variant": variant.name,
            "strategy": variant.strategy,
            "strategy_version": variant.strategy_version,
            "bars": about,
            "signals": report.signals,
            "cuts": len(report.cuts) + report.probes,
            "figure": f"{len(breaches)} breaches",
            "limit": "0",
            "conclusive": report.conclusive,
            **({"first_breach": breaches[0], "breaches": listed} if breaches else {}),
            "command": f"trading kill {shlex.quote('variant:' + variant.name)} --by NAME --reason 'looks ahead'; its author "
            f"sees the rows with: trading strategy check {variant.name}",
        },
    )
