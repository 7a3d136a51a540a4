"""What is known of a Symbol before a session opens, and which Symbols may give signals in it."""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource
from trading_assets.adjusted import Actions
from trading_assets.code_version import platform_version
from trading_assets.dataset import dataset
from trading_assets.history import History
from trading_assets.materialise import Materialised, Produce, Skipped, materialise_partitions
from trading_assets.publications import contract_audit, materialised, read_upstream
from trading_assets.settings import Settings
from trading_assets.universes import blackout_list, load_universes


def feature_assets(settings: Settings, sessions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """daily_features and universe."""
    return [_daily_features(settings, sessions), _universe(settings, sessions)]


def _daily_features(settings: Settings, sessions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    @dataset(
        "daily_features",
        group="features",
        description="Per Symbol, before the session opens: average true range, rate of change, average volume and close, from "
        "daily bars of earlier sessions, adjusted for the corporate actions known by then.",
        sources=[
            "trading/features",
            "trading/bars/adjust.py",
            "trading_assets/features.py",
            "trading_assets/adjusted.py",
        ],
        partitions=sessions,
        deps=[
            "m1_bars",
            "corporate_actions",
            dg.AssetDep(
                "d1_bars",
                partition_mapping=dg.TimeWindowPartitionMapping(
                    start_offset=-60, end_offset=-1, allow_nonexistent_upstream_partitions=True
                ),
            ),
        ],
    )
    def daily_features(
        context: dg.AssetExecutionContext, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        from trading.features.daily import daily_features as figures

        publisher = lake.publisher(context, platform_version(), clock.now)
        universes = load_universes(settings)

        def prepare(keys: Sequence[str]) -> Produce:
            history = History(publisher.snapshot())
            actions = Actions.at(history.snapshot)
            known = history.sessions("d1_bars")
            days = sorted(dt.date.fromisoformat(key) for key in keys)
            longest = max(universe.windows.reach for universe in universes.all)
            reach = [day for day in known if day < days[0]][-longest:]
            daily = history.frame("d1_bars", [*reach, *(day for day in known if days[0] <= day < days[-1])])

            def produce(session: str) -> Materialised | Skipped:
                day = dt.date.fromisoformat(session)
                if day not in history.sessions("m1_bars"):
                    return Skipped(f"m1_bars of session {session} is not on main")
                symbols = history.frame("m1_bars", [day])["Symbol"].unique().to_list()
                parts, first = [], day
                for name in sorted({universes.of(symbol).name for symbol in symbols}):
                    universe = universes.named(name)
                    seen = [past for past in known if past < day][-universe.windows.reach :]
                    first = min([first, *seen])
                    members = [symbol for symbol in symbols if universes.of(symbol).name == name]
                    before = daily
                    if daily.width:
                        before = daily.filter(pl.col("session").is_in(seen), pl.col("Symbol").is_in(members))
                        before = actions.adjusted(before, as_of=day)
                    parts.append(figures(before, members, day, universe.windows, calendar=universe.calendar))
                frame = pl.concat(parts).sort("Symbol")
                reads = {"m1_bars": history.pinned, "d1_bars": history.pinned, **actions.reads}
                publication = publisher.publish(
                    "daily_features",
                    {"session": session},
                    {"data.parquet": frame},
                    audit=contract_audit("daily_features", f"daily_features {session}"),
                    inputs=reads,
                    metadata={"reads_from": json.dumps({"d1_bars": first.isoformat()})} if first < day else {},
                    since=history.pinned,
                )
                return materialised(
                    publication,
                    frame.height,
                    {"symbols": frame.height, "without_atr": int(frame["atr"].null_count())},
                    reads=reads,
                )

            return produce

        yield from materialise_partitions(context, "daily_features", prepare)

    return daily_features


def _universe(settings: Settings, sessions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    @dataset(
        "universe",
        group="features",
        description="Symbols admitted to a session, with the reason for each one removed, by the filters of their universe.",
        sources=["trading/features", "trading_assets/features.py"],
        partitions=sessions,
        deps=["daily_features"],
    )
    def universe(
        context: dg.AssetExecutionContext, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        from trading.features.universe import build_universe, removals

        publisher = lake.publisher(context, platform_version(), clock.now)
        universes = load_universes(settings)
        blackouts = {chosen.name: blackout_list(settings, chosen) for chosen in universes.all}

        def prepare(_: Sequence[str]) -> Produce:
            pinned = publisher.pin()

            def produce(session: str) -> Materialised | Skipped:
                if not publisher.exists(pinned, "daily_features", {"session": session}):
                    return Skipped(f"daily_features of session {session} is not on main")
                features = read_upstream(publisher, pinned, "daily_features", {"session": session})
                parts = []
                for name in sorted({universes.of(symbol).name for symbol in features["Symbol"]}):
                    chosen = universes.named(name)
                    members = [symbol for symbol in features["Symbol"] if universes.of(symbol).name == name]
                    candidates = features.filter(pl.col("Symbol").is_in(members))
                    day = dt.date.fromisoformat(session)
                    parts.append(build_universe(candidates, day, chosen, blackouts[name]))
                admitted = pl.concat(parts).sort("Symbol")
                publication = publisher.publish(
                    "universe",
                    {"session": session},
                    {"data.parquet": admitted},
                    audit=contract_audit("universe", f"universe {session}"),
                    inputs={"daily_features": pinned},
                    since=pinned,
                )
                return materialised(
                    publication,
                    admitted.height,
                    {"admitted": int(admitted["admitted"].sum()), "removed": dg.MetadataValue.json(removals(admitted))},
                    reads={"daily_features": pinned},
                )

            return produce

        yield from materialise_partitions(context, "universe", prepare)

    return universe
