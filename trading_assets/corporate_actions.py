"""Corporate actions of all universes as one dataset; a correction is a new commit of it."""

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource, SourcesResource
from resources.lake.errors import Overtaken
from trading.errors import ConfigError
from trading.ports.sources import SourceDown
from trading_assets.code_version import platform_version
from trading_assets.dataset import dataset
from trading_assets.fetch_progress import fetch_progress
from trading_assets.materialise import PARTITION_ERRORS, Materialised, PartitionRecorder
from trading_assets.publications import contract_audit, materialised
from trading_assets.settings import Settings
from trading_assets.universes import Universe, load_universes

if TYPE_CHECKING:
    from resources.lake.publish import Publisher
    from resources.lake.reading import Snapshot
    from trading.ports.corporate_actions import RawActions

DATASET = "corporate_actions"
VENDORS_CHECK = "vendors"
UNREVISED_CHECK = "unrevised"

_VIEWS = "views_version"
_AHEAD = dt.timedelta(days=366)  # announced actions that lie ahead are taken this far
_PASSES = 4
_NAMED = 5


def corporate_action_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """corporate_actions."""

    @dataset(
        DATASET,
        group="market_data",
        description="Splits, dividends and changes of the company behind a Symbol, with the dates from which they hold and are "
        "known. Bars are stored as traded; adjusted views are made from these rows, as of a session.",
        sources=[
            "trading/corporate_actions.py",
            "resources/sources/corporate_actions",
            "trading_assets/corporate_actions.py",
        ],
        partitions=None,
        kinds=("source", "polars", "parquet"),
        checks=[
            dg.AssetCheckSpec(
                VENDORS_CHECK,
                asset=DATASET,
                blocking=False,
                description="Every universe's source delivered, and knows every Symbol. What was known of the others stays.",
            ),
            dg.AssetCheckSpec(
                UNREVISED_CHECK,
                asset=DATASET,
                blocking=False,
                description="No action that was in force is gone, has another figure now, or came late. Otherwise what was "
                "computed on adjusted bars before does not rest on what is known now.",
            ),
        ],
    )
    def corporate_actions(
        context: dg.AssetExecutionContext, lake: LakeResource, sources: SourcesResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        publisher = lake.publisher(context, platform_version(), clock.now)
        recorder = PartitionRecorder(context, DATASET)
        try:
            received = _receive(settings, sources, clock, context)
            context.log_event(_vendors(received))
            outcome, revised = _published(publisher, received, clock.now().date(), context)
        except PARTITION_ERRORS as error:
            recorder.record(None, error)
        else:
            recorder.record(None, outcome)
            context.log_event(_unrevised(revised))
        yield recorder.finish()

    return [corporate_actions]


@dataclass
class _Received:
    """What the sources said to one run.

    Attributes:
        raw: by universe.
        paused: why a universe's source did not deliver, by universe.
        unknown: why a source has nothing of a Symbol, by Symbol.
        silent: Symbols that nothing was heard of now; what was known of them stays.
    """

    raw: dict[str, "RawActions"] = field(default_factory=dict)
    paused: dict[str, SourceDown] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)


def _receive(
    settings: Settings, sources: SourcesResource, clock: ClockResource, context: dg.AssetExecutionContext
) -> _Received:
    """Ask each universe's source. SourceDown where none delivers, DataError where one cannot be used."""
    received = _Received()
    for universe in load_universes(settings).all:
        if universe.corporate_actions is None:
            continue
        surroundings = sources.context(
            universe.name, calendar=universe.calendar, symbols=universe.symbols, clock=clock.now
        )
        source = universe.corporate_actions.open(surroundings)
        symbols: Sequence[str] | None = universe.symbols
        if symbols is None and source.asks_by_symbol:
            symbols = _delivered(universe, sources, clock)
        last = clock.now().date() + _AHEAD
        try:
            raw = source.read(symbols, settings.first_session, last, fetch_progress(context.log, universe.name))
        except SourceDown as down:
            received.paused[universe.name] = down
            received.silent |= set(symbols or ())
            context.log.error(f"corporate actions of universe {universe.name} stay as they were: {down}")
        else:
            received.raw[universe.name] = raw
            received.unknown |= raw.refused
            received.silent |= set(raw.refused)
    if received.paused and not received.raw:
        raise next(iter(received.paused.values()))
    return received


def _delivered(universe: Universe, sources: SourcesResource, clock: ClockResource) -> list[str]:
    """The Symbols of a universe that takes whatever its source of bars has."""
    config = universe.source or universe.daily
    if config is None:
        raise ConfigError(f"universe {universe.name}: symbols is null and there is no source of bars to take them from")
    bars = sources.open(universe.name, config, calendar=universe.calendar, symbols=None, clock=clock.now)
    return bars.symbols()


def _published(
    publisher: "Publisher", received: _Received, today: dt.date, context: dg.AssetExecutionContext
) -> tuple[Materialised, pl.DataFrame]:
    for _ in range(_PASSES - 1):
        try:
            return _publish(publisher, received, today)
        except Overtaken as met:
            context.log.warning(f"{DATASET}: {met}")
    return _publish(publisher, received, today)


def _publish(publisher: "Publisher", received: _Received, today: dt.date) -> tuple[Materialised, pl.DataFrame]:
    """The outcome, and what it says of actions in force otherwise than main did before."""
    from trading.corporate_actions import collect_actions, in_force_from, no_actions

    pinned = publisher.pin()
    snapshot = publisher.snapshot(pinned)
    before = snapshot.frame(DATASET) if snapshot.exists(DATASET) else no_actions()
    stays = before.filter(pl.col("Symbol").is_in(sorted(received.silent)))
    rows = collect_actions([stays, *(raw.frame for raw in received.raw.values())], where=", ".join(received.raw))
    # nothing was computed on adjusted bars before the first ones
    revised = before if before.is_empty() else _revisions(before, rows, _published_on(snapshot), today)
    in_force = rows.filter(in_force_from() <= today)
    views = _views_version(snapshot, in_force, revised if before.height else in_force)
    publication = publisher.publish(
        DATASET,
        {},
        {"data.parquet": rows},
        audit=contract_audit(DATASET, DATASET),
        inputs={},
        metadata={
            "source_files": _json({universe: dict(raw.files) for universe, raw in received.raw.items()}),
            "arrived": _json(
                {
                    universe: {name: when.isoformat() for name, when in raw.arrived.items()}
                    for universe, raw in received.raw.items()
                }
            ),
            _VIEWS: views,
        },
        since=pinned,
    )
    outcome = materialised(
        publication,
        rows.height,
        {
            "symbols": rows["Symbol"].n_unique(),
            "kinds": dg.MetadataValue.json(dict(rows.group_by("kind").len().sort("kind").iter_rows())),
            "source": ", ".join(sorted(received.raw)) or "no universe names a source of corporate actions",
        },
    )
    return replace(outcome, data_version=views), revised


def _views_version(snapshot: "Snapshot", in_force: pl.DataFrame, revised: pl.DataFrame) -> str:
    """The data version that Dagster is told: it stays while no view of a session that has been is another.

    An action announced for a day to come changes nothing that was computed, and a dividend a week must not turn years of
    signals and backtests stale; a correction of what was in force must.
    """
    from resources.lake.provenance import made_by

    if snapshot.exists(DATASET) and revised.is_empty():
        known = made_by(snapshot, DATASET, {}).metadata.get(_VIEWS)
        if known is not None:
            return known
    return hashlib.sha256(in_force.write_csv().encode()).hexdigest()


def _published_on(snapshot: "Snapshot") -> dt.date:
    from resources.lake.provenance import made_by

    return made_by(snapshot, DATASET, {}).created.date()


def _revisions(before: pl.DataFrame, now: pl.DataFrame, then: dt.date, today: dt.date) -> pl.DataFrame:
    """Rows of ``before``, published on ``then``, that were in force and are not the same any more, and rows of ``now`` that
    were in force by then; with ``what`` each of them is.
    """
    from trading.corporate_actions import in_force_from

    columns = [name for name in before.columns if name != "source"]
    gone = before.join(now, on=columns, how="anti", nulls_equal=True).filter(in_force_from() <= today)
    come = now.join(before, on=columns, how="anti", nulls_equal=True).filter(in_force_from() <= then)
    return pl.concat([gone.with_columns(what=pl.lit("gone")), come.with_columns(what=pl.lit("late"))]).sort(*columns)


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True)


def _vendors(received: _Received) -> dg.AssetCheckEvaluation:
    paused = [f"universe {universe}: {down}" for universe, down in received.paused.items()]
    unknown = [f"{symbol}: {reason}" for symbol, reason in sorted(received.unknown.items())]
    return dg.AssetCheckEvaluation(
        dg.AssetKey(DATASET),
        VENDORS_CHECK,
        passed=not paused and not unknown,
        severity=dg.AssetCheckSeverity.ERROR if paused else dg.AssetCheckSeverity.WARN,
        blocking=False,
        description="; ".join([*paused, *_first(unknown)]) or "every source delivered",
        metadata={"figure": f"{len(paused)} universes paused, {len(unknown)} Symbols unknown", "limit": "0"},
    )


def _unrevised(revised: pl.DataFrame) -> dg.AssetCheckEvaluation:
    listed = [
        f"{row['what']}: {row['Symbol']} {row['ex_date']} {row['kind']} {row['ratio'] or row['amount'] or ''}".rstrip()
        for row in revised.to_dicts()
    ]
    return dg.AssetCheckEvaluation(
        dg.AssetKey(DATASET),
        UNREVISED_CHECK,
        passed=not listed,
        severity=dg.AssetCheckSeverity.WARN,
        blocking=False,
        description="; ".join(_first(listed)) or "nothing in force was changed",
        metadata={
            "figure": f"{len(listed)} rows",
            "limit": "0",
            "command": f"trading lake log --dataset {DATASET}",
        },
    )


def _first(listed: Sequence[str]) -> list[str]:
    more = len(listed) - _NAMED
    return [*listed[:_NAMED], *([f"and {more} more"] if more > 0 else [])]
