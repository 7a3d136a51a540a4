"""What is wrong with a session's minutes, per Symbol."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource
from trading_assets.code_version import platform_version
from trading_assets.dataset import dataset
from trading_assets.materialise import Materialised, Pipeline, Skipped, materialise_partitions
from trading_assets.publications import UpstreamMissing, contract_audit, materialised, read_upstream
from trading_assets.settings import Settings
from trading_assets.universes import Universe, Universes, load_universes

if TYPE_CHECKING:
    from resources.lake.layout import EncodedFrame
    from resources.lake.publish import Publisher
    from trading.bars import AssembledBars

NAME = "bar_quality"


@dataclass(frozen=True)
class Quality:
    """The quality table of a session, ready to be published, and what its event says."""

    data: "EncodedFrame"
    figures: dict[str, float | int | str]


def quality_asset(settings: Settings, sessions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """bar_quality."""

    @dataset(
        NAME,
        group="bars",
        description="Per Symbol and session: coverage, missing minutes, gaps and moves across them, duplicates, rows outside "
        "the session, prices that are stuck or off the tick, outliers. A Symbol of the session before that is gone counts as "
        "covered by nothing. The `coverage` check warns below the configured minimum.",
        sources=["trading/bars", "trading_assets/bar_quality.py"],
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
        from trading.bars import AssembledBars

        publisher = lake.publisher(context, platform_version(), clock.now)
        universes = load_universes(settings)

        def prepare(_: Sequence[str]) -> Pipeline[Quality]:
            pinned = publisher.pin()

            def compute(session: str) -> Quality | Skipped:
                partition = {"session": session}
                try:
                    bars = read_upstream(publisher, pinned, "m1_bars", partition)
                    report = read_upstream(publisher, pinned, "m1_bars", partition, "report.parquet")
                except UpstreamMissing as missing:
                    return Skipped(str(missing))
                before = _Before(publisher, pinned, dt.date.fromisoformat(session))
                return _judged(AssembledBars(bars, report), universes, before, settings.min_coverage)

            def publish(session: str, quality: Quality) -> Materialised:
                publication = publisher.publish(
                    NAME,
                    {"session": session},
                    {"data.parquet": quality.data},
                    audit=contract_audit(NAME, f"{NAME} {session}"),
                    inputs={"m1_bars": pinned},
                    since=pinned,
                )
                return materialised(publication, quality.data.rows, quality.figures, reads={"m1_bars": pinned})

            return Pipeline(compute, {NAME: publish})

        yield from materialise_partitions(context, NAME, prepare)

    return bar_quality


class _Before:
    """Symbols that had minutes in the session before, which may be another one on each calendar."""

    def __init__(self, publisher: "Publisher", pinned: str, session: dt.date) -> None:
        self._publisher, self._pinned, self._session = publisher, pinned, session
        self._seen: dict[dt.date, list[str]] = {}

    def symbols(self, calendar: str) -> list[str]:
        from trading.sessions import get_calendar

        day = get_calendar(calendar).previous(self._session)
        if day not in self._seen:
            partition = {"session": day.isoformat()}
            self._seen[day] = []
            if self._publisher.exists(self._pinned, "m1_bars", partition, "report.parquet"):
                report = self._publisher.read_frame(self._pinned, "m1_bars", partition, "report.parquet")
                self._seen[day] = report.filter(pl.col("minutes_present") > 0)["Symbol"].to_list()
        return self._seen[day]


def _judged(assembled: "AssembledBars", universes: Universes, before: _Before, min_coverage: float) -> Quality:
    from resources.lake.layout import EncodedFrame

    parts = [
        _table(assembled, universe, universes, before, min_coverage)
        for universe in universes.all
        if universe.source is not None
    ]
    table = pl.concat(parts).sort("Symbol", "session")
    below = table.filter(~pl.col("passed"))
    return Quality(
        EncodedFrame.of(table),
        {
            "lowest_coverage": min(table["coverage"].drop_nulls().to_list(), default=0.0),
            "symbols_below_min_coverage": ", ".join(below["Symbol"].to_list()) or "none",
            "missing_minutes": int(table["missing_minutes"].sum()),
            "exact_duplicates": int(table["exact_duplicates"].sum()),
            "outliers": int(table["outliers"].sum()),
        },
    )


def _table(
    assembled: "AssembledBars", universe: Universe, universes: Universes, before: _Before, min_coverage: float
) -> pl.DataFrame:
    """The rows of one universe, by its own calendar, and its tick where all its Symbols have the same."""
    from trading.bars import AssembledBars, QualityConfig, daily_quality

    names = assembled.report["Symbol"].unique().sort().to_list()
    symbols = [symbol for symbol in names if universes.of(symbol).name == universe.name]
    if len(symbols) < len(names):
        mine = pl.col("Symbol").is_in(symbols)
        assembled = AssembledBars(assembled.bars.filter(mine), assembled.report.filter(mine))
    ticks = {universe.instrument(symbol).tick_size for symbol in symbols}
    return daily_quality(
        assembled,
        universe.calendar,
        QualityConfig(min_coverage=min_coverage, tick=ticks.pop() if len(ticks) == 1 else None),
        [symbol for symbol in before.symbols(universe.calendar) if universes.of(symbol).name == universe.name],
    )
