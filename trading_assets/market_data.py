"""Market data as received, and assembled into contract-checked minutes."""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.configurable import ClockResource, LakeResource, SourceResource
from trading_assets.code_version import platform_version
from trading_assets.dataset import dataset
from trading_assets.materialise import Materialised, Produce, Skipped, materialise_partitions
from trading_assets.publications import UpstreamMissing, contract_audit, materialised, read_upstream
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.lake.publish import Audit
    from resources.lake.reading import Reader
    from trading.bars import BarsRefused


def market_data_assets(settings: Settings, sessions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """m1_raw and m1_bars."""

    @dataset(
        "m1_raw",
        group="market_data",
        description="One-minute rows exactly as the source delivered them, extended hours, duplicates and all, with the "
        "file they came from. The SHA-256 of each file is kept with the commit.",
        sources=["resources/sources", "trading_assets/market_data.py"],
        partitions=sessions,
        kinds=("source", "polars", "parquet"),
    )
    def m1_raw(
        context: dg.AssetExecutionContext, lake: LakeResource, source: SourceResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        publisher = lake.publisher(context, platform_version(), clock.now)

        def prepare(_: Sequence[str]) -> Produce:
            pinned = publisher.pin()
            files = source.open()

            def produce(session: str) -> Materialised | Skipped:
                raw = files.read_session(dt.date.fromisoformat(session), settings.calendar)
                if raw.frame.is_empty():
                    return Skipped(f"the source has no row of {session}")
                publication = publisher.publish(
                    "m1_raw",
                    {"session": session},
                    {"data.parquet": raw.frame},
                    audit=None,
                    inputs={},
                    metadata={"source": files.name, "source_files": json.dumps(dict(raw.files), sort_keys=True)},
                    since=pinned,
                )
                return materialised(
                    publication,
                    raw.frame.height,
                    {
                        "source": files.name,
                        "symbols": raw.frame["Symbol"].n_unique(),
                        "source_sha256": dg.MetadataValue.json(dict(raw.files)),
                        "left_out": dg.MetadataValue.json([skip.reason for skip in raw.skips]),
                    },
                )

            return produce

        yield from materialise_partitions(context, "m1_raw", prepare)

    @dataset(
        "m1_bars",
        group="market_data",
        description="Minutes of the regular session: merged, de-duplicated, validated and cut to [open, close) of the "
        "exchange calendar. Conflicting or impossible rows refuse the session; nothing is guessed.",
        sources=["trading/bars", "trading_assets/market_data.py"],
        partitions=sessions,
        deps=["m1_raw"],
    )
    def m1_bars(
        context: dg.AssetExecutionContext, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        from trading.bars import BarsRefused, assemble_m1

        publisher = lake.publisher(context, platform_version(), clock.now)

        def prepare(_: Sequence[str]) -> Produce:
            pinned = publisher.pin()

            def produce(session: str) -> Materialised | Skipped:
                try:
                    raw = read_upstream(publisher, pinned, "m1_raw", {"session": session})
                except UpstreamMissing as missing:
                    return Skipped(str(missing))
                partition = {"session": session}
                try:
                    assembled = assemble_m1([raw], calendar=settings.calendar)
                except BarsRefused as refusal:
                    # what was refused stays where a person can look at it; the publisher names the tag in its error
                    publisher.publish(
                        "m1_bars",
                        partition,
                        {"refused.parquet": raw},
                        audit=_refuse(refusal),
                        inputs={"m1_raw": pinned},
                    )
                    raise
                if assembled.bars.is_empty():
                    return Skipped(
                        f"no row of {session} lies inside the regular session ({raw.height} rows outside it)"
                    )
                publication = publisher.publish(
                    "m1_bars",
                    partition,
                    {"data.parquet": assembled.bars, "report.parquet": assembled.report},
                    audit=contract_audit("m1_bars", f"m1_bars {session}"),
                    inputs={"m1_raw": pinned},
                    since=pinned,
                )
                report = assembled.report
                return materialised(
                    publication,
                    assembled.bars.height,
                    {
                        "symbols": report.height,
                        "exact_duplicates": int(report["exact_duplicates"].sum()),
                        "rows_outside_session": int(report["rows_outside_session"].sum()),
                    },
                    reads={"m1_raw": pinned},
                )

            return produce

        yield from materialise_partitions(context, "m1_bars", prepare)

    return [m1_raw, m1_bars]


def _refuse(refusal: "BarsRefused") -> "Audit":
    """An audit that has made up its mind."""

    def audit(_: "Reader") -> None:
        raise refusal

    return audit
