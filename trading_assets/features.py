"""The universe of a session: the Symbols that may give signals, from what was known before its open."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource
from trading_assets.code_version import platform_version
from trading_assets.configured import universe_config
from trading_assets.dataset import dataset
from trading_assets.history import History
from trading_assets.materialise import Materialised, Produce, Skipped, materialise_partitions
from trading_assets.publications import contract_audit, materialised
from trading_assets.settings import Settings


def feature_assets(settings: Settings, sessions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """universe."""

    @dataset(
        "universe",
        group="features",
        description="Symbols admitted to a session, with the reason for each one removed. Daily bars of earlier sessions only.",
        sources=["trading/features", "trading_assets/features.py"],
        partitions=sessions,
        deps=[
            "m1_bars",
            dg.AssetDep(
                "d1_bars",
                partition_mapping=dg.TimeWindowPartitionMapping(
                    start_offset=-60, end_offset=-1, allow_nonexistent_upstream_partitions=True
                ),
            ),
        ],
    )
    def universe(
        context: dg.AssetExecutionContext, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        from trading.features.universe import build_universe

        publisher = lake.publisher(context, platform_version(), clock.now)

        def prepare(keys: Sequence[str]) -> Produce:
            history = History(publisher.snapshot())
            config, blackout = universe_config(settings)
            days = sorted(dt.date.fromisoformat(key) for key in keys)
            known = history.sessions("d1_bars")
            reach = [day for day in known if day < days[0]][-config.sessions_needed :] if config.sessions_needed else []
            daily = history.frame("d1_bars", [*reach, *(day for day in known if days[0] <= day < days[-1])])

            def produce(session: str) -> Materialised | Skipped:
                day = dt.date.fromisoformat(session)
                if day not in history.sessions("m1_bars"):
                    return Skipped(f"m1_bars of session {session} is not on main")
                symbols = history.frame("m1_bars", [day])["Symbol"].unique().sort().to_list()
                seen = (
                    [past for past in known if past < day][-config.sessions_needed :] if config.sessions_needed else []
                )
                before = daily.filter(pl.col("session").is_in(seen)) if daily.width else daily
                admitted = build_universe(before, symbols, day, config, blackout, calendar=settings.calendar)
                publication = publisher.publish(
                    "universe",
                    {"session": session},
                    {"data.parquet": admitted},
                    audit=contract_audit("universe", f"universe {session}"),
                    inputs={"m1_bars": history.pinned, "d1_bars": history.pinned},
                    since=history.pinned,
                )
                removed = admitted.filter(~pl.col("admitted"))
                reasons = removed.group_by("removed_by").len().sort("removed_by")
                return materialised(
                    publication,
                    admitted.height,
                    {
                        "admitted": int(admitted["admitted"].sum()),
                        "removed": dg.MetadataValue.json(dict(reasons.iter_rows())),
                    },
                    reads={"m1_bars": history.pinned, "d1_bars": history.pinned},
                )

            return produce

        yield from materialise_partitions(context, "universe", prepare)

    return [universe]
