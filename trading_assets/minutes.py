"""Minutes of the regular session, assembled from what the universes' sources delivered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource
from trading.errors import DataError
from trading_assets.code_version import platform_version
from trading_assets.dataset import dataset
from trading_assets.market_data import raw_partition
from trading_assets.materialise import Materialised, Pipeline, Skipped, materialise_partitions
from trading_assets.publications import contract_audit, materialised
from trading_assets.settings import Settings
from trading_assets.universes import Universe, Universes, load_universes

if TYPE_CHECKING:
    from resources.lake.layout import EncodedFrame
    from resources.lake.publish import Audit, Publisher
    from resources.lake.reading import Reader
    from trading.bars import AssembledBars, BarsRefused


def minute_assets(settings: Settings, sessions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """m1_bars."""

    @dataset(
        "m1_bars",
        group="market_data",
        description="Minutes of the regular session: merged, de-duplicated, validated and cut to [open, close) of each "
        "universe's calendar. Conflicting or impossible rows refuse the session; nothing is guessed.",
        sources=["trading/bars", "trading_assets/minutes.py"],
        partitions=sessions,
        deps=["m1_raw"],
    )
    def m1_bars(
        context: dg.AssetExecutionContext, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        publisher = lake.publisher(context, platform_version(), clock.now)
        universes = load_universes(settings)

        def prepare(_: Sequence[str]) -> Pipeline[Minutes | Refused]:
            pinned = publisher.pin()

            def compute(session: str) -> Minutes | Refused | Skipped:
                return _minutes(_raws(publisher, pinned, session, universes), session)

            def publish(session: str, made: Minutes | Refused) -> Materialised:
                if isinstance(made, Refused):
                    # what was refused stays where a person can look at it; the publisher names the tag in its error
                    publisher.publish(
                        "m1_bars",
                        {"session": session},
                        {"refused.parquet": made.raw},
                        audit=_refuse(made.why),
                        inputs={"m1_raw": pinned},
                    )
                    raise made.why
                publication = publisher.publish(
                    "m1_bars",
                    {"session": session},
                    {"data.parquet": made.bars, "report.parquet": made.report},
                    audit=contract_audit("m1_bars", f"m1_bars {session}"),
                    inputs={"m1_raw": pinned},
                    since=pinned,
                )
                return materialised(publication, made.bars.rows, made.figures, reads={"m1_raw": pinned})

            return Pipeline(compute, {"m1_bars": publish})

        yield from materialise_partitions(context, "m1_bars", prepare)

    return [m1_bars]


@dataclass(frozen=True)
class Minutes:
    """The minutes of a session and the report on them, ready to be published, and what their event says."""

    bars: "EncodedFrame"
    report: "EncodedFrame"
    figures: dict[str, int | str]


@dataclass(frozen=True)
class Refused:
    """Rows of a universe that cannot be used as they are."""

    raw: pl.DataFrame
    why: "BarsRefused"


def _raws(
    publisher: "Publisher", pinned: str, session: str, universes: Universes
) -> list[tuple[Universe, pl.DataFrame]]:
    found = []
    for universe in universes.all:
        partition = raw_partition(session, universe.name)
        if publisher.exists(pinned, "m1_raw", partition):
            found.append((universe, publisher.read_frame(pinned, "m1_raw", partition)))
    return found


def _minutes(raws: list[tuple[Universe, pl.DataFrame]], session: str) -> Minutes | Refused | Skipped:
    from resources.lake.layout import EncodedFrame
    from trading.bars import BarsRefused, assemble_m1

    if not raws:
        return Skipped(f"m1_raw of session {session} is not on main: materialise it first")
    assembled = {}
    for universe, raw in raws:
        try:
            assembled[universe.name] = assemble_m1([raw], calendar=universe.calendar)
        except BarsRefused as refusal:
            return Refused(raw, refusal)
    _check_owners(assembled, session)
    bars, report = (
        _together(list(parts)) for parts in zip(*((a.bars, a.report) for a in assembled.values()), strict=True)
    )
    if bars.is_empty():
        rows = sum(raw.height for _, raw in raws)
        return Skipped(f"no row of {session} lies inside the regular session ({rows} rows outside it)")
    return Minutes(
        EncodedFrame.of(bars),
        EncodedFrame.of(report),
        {
            "symbols": report.height,
            "universes": ", ".join(assembled),
            "exact_duplicates": int(report["exact_duplicates"].sum()),
            "rows_outside_session": int(report["rows_outside_session"].sum()),
        },
    )


def _together(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Frames of several universes as one, by Symbol; each is sorted already."""
    return parts[0] if len(parts) == 1 else pl.concat(parts).sort("Symbol", maintain_order=True)


def _check_owners(assembled: dict[str, "AssembledBars"], session: str) -> None:
    """Raises DataError where two universes delivered one Symbol: whose minutes are right cannot be told."""
    owner: dict[str, str] = {}
    for universe, part in assembled.items():
        for symbol in part.report["Symbol"].unique():
            if owner.setdefault(symbol, universe) != universe:
                raise DataError(
                    f"m1_bars {session}: universes {owner[symbol]} and {universe} both delivered {symbol}; "
                    "give `symbols` in one of them, without it"
                )


def _refuse(refusal: "BarsRefused") -> "Audit":
    """An audit that has made up its mind."""

    def audit(_: "Reader") -> None:
        raise refusal

    return audit
