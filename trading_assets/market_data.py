"""Market data as received, by universe."""

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource, SourcesResource
from trading_assets.code_version import platform_version
from trading_assets.dataset import dataset
from trading_assets.deliveries import Deliveries, Feed
from trading_assets.materialise import Materialised, Pipeline, Skipped, materialise_partitions
from trading_assets.settings import Settings
from trading_assets.universes import Universe, Universes, load_universes

if TYPE_CHECKING:
    from resources.lake.layout import EncodedFrame
    from resources.lake.publish import Publication, Publisher
    from trading.ports.sources import RawSession, SourceSkip

VENDORS_CHECK = "vendors"
_REASONS_SHOWN = 20  # of each kind; a package's later drop may supersede a session of every Symbol


def market_data_assets(settings: Settings, sessions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """m1_raw, and d1_raw where a universe has daily bars of its vendor."""
    received = [
        _as_received(
            settings,
            sessions,
            "m1_raw",
            "source",
            "One-minute rows exactly as each universe's source delivered them, extended hours, duplicates and all, with the "
            "file or answer they came from; answers of a vendor are kept beside them. Hashes and times of arrival are with "
            "the commit.",
        )
    ]
    if any(universe.daily is not None for universe in load_universes(settings).all):
        received.append(
            _as_received(
                settings,
                sessions,
                "d1_raw",
                "daily",
                "Daily bars exactly as each universe's vendor delivered them; the minutes are held against them. Their "
                "Timestamp is the open of the session.",
            )
        )
    return received


def raw_partition(session: str, universe: str) -> dict[str, str]:
    """Where a universe's rows of a session lie, below m1_raw and d1_raw."""
    return {"session": session, "universe": universe}


def _as_received(
    settings: Settings, sessions: dg.PartitionsDefinition[str], name: str, feed: Feed, description: str
) -> dg.AssetsDefinition:
    @dataset(
        name,
        group="market_data",
        description=description,
        sources=["resources/sources", "trading_assets/market_data.py", "trading_assets/deliveries.py"],
        partitions=sessions,
        kinds=("source", "polars", "parquet"),
        checks=[
            dg.AssetCheckSpec(
                VENDORS_CHECK,
                asset=name,
                blocking=False,
                description="Every universe's vendor delivered. One that did not pauses its own universe; nothing falls over "
                "to another vendor.",
            )
        ],
    )
    def as_received(
        context: dg.AssetExecutionContext, lake: LakeResource, sources: SourcesResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        from trading.sessions import get_calendar

        publisher = lake.publisher(context, platform_version(), clock.now)
        universes = load_universes(settings)
        deliveries = Deliveries(universes, feed, sources, clock.now, context.log)

        def prepare(keys: Sequence[str]) -> Pipeline[list[Received]]:
            pinned = publisher.pin()
            deliveries.fetch([dt.date.fromisoformat(key) for key in keys], get_calendar(settings.calendar))

            def publish(session: str, received: list[Received]) -> Materialised:
                done = [(one, _publish(publisher, name, session, one, pinned)) for one in received]
                return _outcome(publisher, name, session, universes, done, pinned)

            return Pipeline(partial(_encoded, feed), {name: publish}, read=partial(_read, deliveries))

        yield from materialise_partitions(context, name, prepare)
        context.log_event(_vendors_evaluation(name, deliveries))

    return as_received


@dataclass(frozen=True)
class Received:
    """What a universe's source delivered of one session, ready to be published."""

    universe: str
    source: str
    raw: "RawSession"
    data: "EncodedFrame"
    symbols: int


Delivery = tuple[Universe, str, "RawSession"]
"""A universe, its source's name, and what that delivered."""


def _read(deliveries: Deliveries, session: str) -> list[Delivery] | Skipped:
    day = dt.date.fromisoformat(session)
    read = [
        (universe, deliveries.source_name(universe), deliveries.read(universe, day)) for universe in deliveries.due(day)
    ]
    if any(raw.frame.height for _, _, raw in read):
        return [found for found in read if found[2].frame.height]
    missing = [
        reason for _, source, raw in read for reason in [skip.reason for skip in raw.skips] or [f"{source} has no row"]
    ]
    return Skipped("; ".join([*missing[:3], *_paused(deliveries)]) or f"no universe has a session {session}")


def _encoded(feed: Feed, read: list[Delivery]) -> list[Received]:
    from resources.lake.layout import EncodedFrame

    def stored(raw: "RawSession") -> pl.DataFrame:
        if feed == "source":
            return raw.frame
        return raw.frame.select(pl.exclude("source_file"), pl.lit(raw.session).alias("session"), "source_file")

    return [
        Received(universe.name, source, raw, EncodedFrame.of(stored(raw)), raw.frame["Symbol"].n_unique())
        for universe, source, raw in read
    ]


def _publish(publisher: "Publisher", name: str, session: str, received: Received, pinned: str) -> "Publication":
    raw = received.raw
    payloads = {f"payload-{file.replace('/', '-')}": path.read_bytes() for file, path in raw.payloads.items()}
    return publisher.publish(
        name,
        raw_partition(session, received.universe),
        {"data.parquet": received.data, **payloads},
        audit=None,
        inputs={},
        metadata={
            "source": received.source,
            "source_files": json.dumps(dict(raw.files), sort_keys=True),
            "arrived": json.dumps({file: when.isoformat() for file, when in raw.arrived.items()}, sort_keys=True),
        },
        since=pinned,
    )


def _outcome(
    publisher: "Publisher",
    name: str,
    session: str,
    universes: Universes,
    done: list[tuple[Received, "Publication"]],
    pinned: str,
) -> Materialised:
    """What Dagster is told of a session: its data version covers the universes that came earlier or pause now."""
    before = publisher.snapshot(pinned)
    versions = {received.universe: publication.data_version for received, publication in done}
    for universe in universes.all:
        partition = raw_partition(session, universe.name)
        if universe.name not in versions and before.exists(name, partition):
            versions[universe.name] = before.data_version(name, partition)
    publications = [publication for _, publication in done]
    new = [publication for publication in publications if publication.published]
    return Materialised(
        data_version=hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest(),
        commit=(new or publications)[-1].commit_id,
        rows=sum(received.data.rows for received, _ in done),
        published=bool(new),
        metadata={
            "symbols": sum(received.symbols for received, _ in done),
            "source": ", ".join(sorted(received.universe for received, _ in done)),
            "source_sha256": dg.MetadataValue.json({got.universe: dict(got.raw.files) for got, _ in done}),
            **_left_out([skip for received, _ in done for skip in received.raw.skips]),
            "lake_paths": dg.MetadataValue.json([path for publication in publications for path in publication.paths]),
        },
    )


def _left_out(skips: "Sequence[SourceSkip]") -> dict[str, Any]:
    """What the sources left out or noticed: counts by kind, and the first reasons of each."""
    counts = Counter(skip.kind for skip in skips)
    shown = [
        f"{skip.file}: {skip.reason}"
        for kind in counts
        for skip in [skip for skip in skips if skip.kind == kind][:_REASONS_SHOWN]
    ]
    return {
        "left_out": dg.MetadataValue.json(shown),
        **({"left_out_by_kind": dg.MetadataValue.json(dict(counts))} if counts else {}),
    }


def _paused(deliveries: Deliveries) -> list[str]:
    return [f"universe {universe} pauses: {down}" for universe, down in deliveries.paused.items()]


def _vendors_evaluation(name: str, deliveries: Deliveries) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        dg.AssetKey(name),
        VENDORS_CHECK,
        passed=not deliveries.paused,
        severity=dg.AssetCheckSeverity.ERROR,
        blocking=False,
        description="; ".join(_paused(deliveries)) or "every vendor delivered",
        metadata={"figure": f"{len(deliveries.paused)} universes paused", "limit": "0"},
    )
