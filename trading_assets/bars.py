"""Bars of every timeframe, resampled from the minutes in one step: the minutes are read once and gone through once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource
from trading_assets.bar_quality import quality_asset
from trading_assets.code_version import platform_version
from trading_assets.dataset import asset_spec, contract_check
from trading_assets.materialise import Materialised, Pipeline, Skipped, materialise_partitions
from trading_assets.publications import UpstreamMissing, contract_audit, materialised, read_upstream
from trading_assets.settings import Settings
from trading_assets.universes import load_universes

if TYPE_CHECKING:
    from resources.lake.layout import EncodedFrame

# Asset name by timeframe, as variants name it.
BAR_ASSETS = {"5m": "m5_bars", "15m": "m15_bars", "1h": "h1_bars", "1d": "d1_bars"}


def bar_assets(settings: Settings, sessions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """m5_bars, m15_bars, h1_bars, d1_bars and bar_quality."""
    return [_resampled(settings, sessions), quality_asset(settings, sessions)]


@dataclass(frozen=True)
class Bars:
    """Bars of one timeframe and session, ready to be published."""

    data: "EncodedFrame"
    symbols: int
    incomplete: int


def resampled(m1: pl.DataFrame, timeframes: Sequence[str], calendars: Mapping[str, Sequence[str]]) -> dict[str, Bars]:
    """Bars by timeframe, incomplete windows kept and flagged.

    Args:
        m1: minutes of one session, of all Symbols.
        timeframes: which.
        calendars: the Symbols that trade on each.
    """
    from resources.lake.layout import EncodedFrame
    from trading.bars import resample_each

    parts = [
        resample_each(m1 if len(calendars) == 1 else m1.filter(pl.col("Symbol").is_in(symbols)), timeframes, calendar)
        for calendar, symbols in calendars.items()
    ]
    made = {}
    for timeframe in timeframes:
        bars = parts[0][timeframe]
        if len(parts) > 1:
            bars = pl.concat([part[timeframe] for part in parts]).sort("Symbol", "Timestamp")
        made[timeframe] = Bars(EncodedFrame.of(bars), bars["Symbol"].rle().len(), int((~bars["complete"]).sum()))
    return made


def _resampled(settings: Settings, sessions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    specs = [
        asset_spec(
            name,
            group="bars",
            description=f"{timeframe} bars, windows anchored on the session's open and never across sessions. Incomplete "
            "windows are kept and flagged; signals leave them out.",
            sources=["trading/bars", "trading_assets/bars.py"],
            partitions=sessions,
            deps=["m1_bars"],
        )
        for timeframe, name in BAR_ASSETS.items()
    ]

    @dg.multi_asset(
        name="resampled_bars",
        specs=specs,
        check_specs=[contract_check(spec.key.to_user_string()) for spec in specs],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def resampled_bars(
        context: dg.AssetExecutionContext, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        publisher = lake.publisher(context, platform_version(), clock.now)
        universes = load_universes(settings)
        wanted = {
            timeframe: name
            for timeframe, name in BAR_ASSETS.items()
            if dg.AssetKey(name) in context.selected_asset_keys
        }

        def prepare(_: Sequence[str]) -> Pipeline[dict[str, Bars]]:
            pinned = publisher.pin()

            def compute(session: str) -> dict[str, Bars] | Skipped:
                try:
                    m1 = read_upstream(publisher, pinned, "m1_bars", {"session": session})
                except UpstreamMissing as missing:
                    return Skipped(str(missing))
                symbols = m1["Symbol"].rle().struct.field("value")  # sorted, so that each comes as one run
                return resampled(m1, list(wanted), universes.calendars(symbols))

            def publishing(timeframe: str, name: str) -> Callable[[str, dict[str, Bars]], Materialised | Skipped]:
                def publish(session: str, made: dict[str, Bars]) -> Materialised:
                    bars = made[timeframe]
                    publication = publisher.publish(
                        name,
                        {"session": session},
                        {"data.parquet": bars.data},
                        audit=contract_audit("bars", f"{name} {session}"),
                        inputs={"m1_bars": pinned},
                        since=pinned,
                    )
                    return materialised(
                        publication,
                        bars.data.rows,
                        {"symbols": bars.symbols, "incomplete_bars": bars.incomplete},
                        reads={"m1_bars": pinned},
                    )

                return publish

            return Pipeline(compute, {name: publishing(timeframe, name) for timeframe, name in wanted.items()})

        yield from materialise_partitions(context, list(wanted.values()), prepare)

    return resampled_bars
