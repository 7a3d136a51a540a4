"""Bars resampled from minutes, and what is wrong with the minutes."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource
from trading_assets.code_version import platform_version
from trading_assets.dataset import dataset
from trading_assets.materialise import Materialised, Produce, Skipped, materialise_partitions
from trading_assets.publications import UpstreamMissing, contract_audit, materialised, read_upstream
from trading_assets.settings import Settings

# Asset name by timeframe, as variants name it.
BAR_ASSETS = {"5m": "m5_bars", "15m": "m15_bars", "1h": "h1_bars", "1d": "d1_bars"}


def bar_assets(settings: Settings, sessions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """m5_bars, m15_bars, h1_bars, d1_bars and bar_quality."""
    return [
        *(_resampled(settings, sessions, tf, name) for tf, name in BAR_ASSETS.items()),
        _quality(settings, sessions),
    ]


def _resampled(
    settings: Settings, sessions: dg.PartitionsDefinition[str], timeframe: str, name: str
) -> dg.AssetsDefinition:
    @dataset(
        name,
        group="bars",
        description=f"{timeframe} bars, windows anchored on the session's open and never across sessions. Incomplete "
        "windows are kept and flagged; signals leave them out.",
        sources=["trading/bars", "trading_assets/bars.py"],
        partitions=sessions,
        deps=["m1_bars"],
    )
    def resampled_bars(
        context: dg.AssetExecutionContext, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        from trading.bars import resample

        publisher = lake.publisher(context, platform_version(), clock.now)

        def prepare(_: Sequence[str]) -> Produce:
            pinned = publisher.pin()

            def produce(session: str) -> Materialised | Skipped:
                try:
                    m1 = read_upstream(publisher, pinned, "m1_bars", {"session": session})
                except UpstreamMissing as missing:
                    return Skipped(str(missing))
                bars = resample(m1, timeframe, calendar=settings.calendar, policy="keep")
                publication = publisher.publish(
                    name,
                    {"session": session},
                    {"data.parquet": bars},
                    audit=contract_audit("bars", f"{name} {session}"),
                    inputs={"m1_bars": pinned},
                    since=pinned,
                )
                return materialised(
                    publication,
                    bars.height,
                    {"symbols": bars["Symbol"].n_unique(), "incomplete_bars": int((~bars["complete"]).sum())},
                    reads={"m1_bars": pinned},
                )

            return produce

        yield from materialise_partitions(context, name, prepare)

    return resampled_bars


def _quality(settings: Settings, sessions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    @dataset(
        "bar_quality",
        group="bars",
        description="Per Symbol and session: coverage, missing minutes, longest gap, duplicates, rows outside the session, "
        "outliers. A Symbol of the session before that is gone counts as covered by nothing. The `coverage` check warns "
        "below the configured minimum.",
        sources=["trading/bars", "trading_assets/bars.py"],
        partitions=sessions,
        deps=[
            dg.AssetDep(
                "m1_bars",
                partition_mapping=dg.TimeWindowPartitionMapping(
                    start_offset=-1, allow_nonexistent_upstream_partitions=True
                ),
            )
        ],
    )
    def bar_quality(
        context: dg.AssetExecutionContext, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        from trading.bars import AssembledBars, QualityConfig, daily_quality
        from trading.sessions import get_calendar

        publisher = lake.publisher(context, platform_version(), clock.now)

        def prepare(_: Sequence[str]) -> Produce:
            pinned = publisher.pin()
            calendar = get_calendar(settings.calendar)
            limits = QualityConfig(min_coverage=settings.min_coverage)

            def produce(session: str) -> Materialised | Skipped:
                try:
                    bars = read_upstream(publisher, pinned, "m1_bars", {"session": session})
                    report = read_upstream(publisher, pinned, "m1_bars", {"session": session}, "report.parquet")
                except UpstreamMissing as missing:
                    return Skipped(str(missing))
                before = {"session": calendar.previous(dt.date.fromisoformat(session)).isoformat()}
                expected: list[str] = []
                if publisher.exists(pinned, "m1_bars", before, "report.parquet"):
                    seen = publisher.read_frame(pinned, "m1_bars", before, "report.parquet")
                    expected = seen.filter(pl.col("minutes_present") > 0)["Symbol"].to_list()
                quality = daily_quality(AssembledBars(bars, report), settings.calendar, limits, expected)
                publication = publisher.publish(
                    "bar_quality",
                    {"session": session},
                    {"data.parquet": quality},
                    audit=contract_audit("bar_quality", f"bar_quality {session}"),
                    inputs={"m1_bars": pinned},
                    since=pinned,
                )
                below = quality.filter(~quality["passed"])
                return materialised(
                    publication,
                    quality.height,
                    {
                        "lowest_coverage": min(quality["coverage"].drop_nulls().to_list(), default=0.0),
                        "symbols_below_min_coverage": ", ".join(below["Symbol"].to_list()) or "none",
                        "missing_minutes": int(quality["missing_minutes"].sum()),
                        "exact_duplicates": int(quality["exact_duplicates"].sum()),
                        "outliers": int(quality["outliers"].sum()),
                    },
                    reads={"m1_bars": pinned},
                )

            return produce

        yield from materialise_partitions(context, "bar_quality", prepare)

    return bar_quality
