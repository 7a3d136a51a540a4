"""Signals: session x variant."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource
from trading_assets.bars import BAR_ASSETS
from trading_assets.code_version import platform_version
from trading_assets.configured import variant as load_variant
from trading_assets.dataset import dataset
from trading_assets.history import History
from trading_assets.materialise import Materialised, Produce, Skipped, dimension_of, materialise_partitions, session_of
from trading_assets.publications import contract_audit, materialised
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from trading.variants import Variant


def window_of_sessions(sessions_back: int, until: int = 0) -> dg.MultiPartitionMapping:
    """Upstream sessions from ``sessions_back`` before to ``until`` before, for a session x variant asset."""
    return dg.MultiPartitionMapping(
        {
            "session": dg.DimensionPartitionMapping(
                "session",
                dg.TimeWindowPartitionMapping(
                    start_offset=-sessions_back, end_offset=-until, allow_nonexistent_upstream_partitions=True
                ),
            ),
            "variant": dg.DimensionPartitionMapping("variant", dg.IdentityPartitionMapping()),
        }
    )


def signal_assets(settings: Settings, partitions: dg.MultiPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """signals."""

    @dataset(
        "signals",
        group="signals",
        description="The signal frame of each variant: entry, stop and target levels known at a bar's close, for admitted "
        "Symbols only. Strategies see complete bars, and nothing after the bar they speak of.",
        sources=[
            "trading/strategies",
            "trading/variants.py",
            "trading_assets/signals.py",
            "trading_assets/history.py",
        ],
        partitions=partitions,
        deps=["m5_bars", "m15_bars", "h1_bars", "d1_bars", "universe"],
    )
    def signals(
        context: dg.AssetExecutionContext, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        publisher = lake.publisher(context, platform_version(), clock.now)

        def prepare(keys: Sequence[str]) -> Produce:
            history = History(publisher.snapshot())
            universe_sessions = set(history.sessions("universe"))
            days: dict[str, list[dt.date]] = defaultdict(list)
            for key in keys:
                days[dimension_of(key, "variant")].append(dt.date.fromisoformat(session_of(key)))
            computed: dict[str, pl.DataFrame] = {}

            def produce(key: str) -> Materialised | Skipped:
                name, session = dimension_of(key, "variant"), session_of(key)
                day = dt.date.fromisoformat(session)
                variant = load_variant(settings, name)
                bars_asset = BAR_ASSETS[variant.timeframe]
                if day not in history.sessions(bars_asset):
                    return Skipped(f"{bars_asset} of session {session} is not on main")
                if day not in universe_sessions:
                    return Skipped(f"universe of session {session} is not on main")
                if name not in computed:
                    computed[name] = _signals(history, variant, days[name])
                admitted = history.frame("universe", [day]).filter("admitted")["Symbol"]
                of_session = computed[name].filter(pl.col("session") == day)
                frame = (
                    of_session.filter(pl.col("Symbol").is_in(admitted.implode()))
                    .drop("session")
                    .with_columns(meta_strategy_version=pl.lit(variant.strategy_version))
                    .sort("Symbol", "Timestamp")
                )
                reads = {bars_asset: history.pinned, "universe": history.pinned}
                publication = publisher.publish(
                    "signals",
                    {"session": session, "variant": name},
                    {"data.parquet": frame},
                    audit=contract_audit("signals", f"signals {session} {name}"),
                    inputs=reads,
                    metadata={"strategy_version": variant.strategy_version, "config_hash": variant.config_hash},
                    since=history.pinned,
                )
                return materialised(
                    publication,
                    frame.height,
                    {
                        "strategy_version": variant.strategy_version,
                        "config_hash": variant.config_hash,
                        "params": dg.MetadataValue.json(variant.params.model_dump(mode="json")),
                        "outside_universe": of_session.height - frame.height,
                    },
                    reads=reads,
                )

            return produce

        yield from materialise_partitions(context, "signals", prepare)

    return [signals]


def _signals(history: History, variant: "Variant", days: Sequence[dt.date]) -> pl.DataFrame:
    """Signals of all those sessions in one pass, warm-up bars read along; with the session of each."""
    bars_asset = BAR_ASSETS[variant.timeframe]
    on_main = set(history.sessions(bars_asset))
    wanted = sorted(day for day in days if day in on_main)
    if not wanted:
        return pl.DataFrame()
    bars = history.bars_with_warmup(bars_asset, wanted, variant.implementation.warmup(variant.params))
    frame = variant.implementation.signals(bars, variant.params)
    return frame.join(bars.select("Symbol", "Timestamp", "session"), on=["Symbol", "Timestamp"], how="left")
