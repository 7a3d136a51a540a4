"""Signals: session x variant."""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource
from trading_assets.adjusted import Actions
from trading_assets.bars import BAR_ASSETS
from trading_assets.code_version import platform_version
from trading_assets.configured import variant as load_variant
from trading_assets.dataset import dataset
from trading_assets.history import History
from trading_assets.materialise import Materialised, Produce, Skipped, dimension_of, materialise_partitions, session_of
from trading_assets.parameters import parameters_markdown
from trading_assets.publications import contract_audit, materialised
from trading_assets.settings import Settings
from trading_assets.universes import Universes, load_universes

if TYPE_CHECKING:
    from trading.instruments import Instrument
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
        "Symbols only. Strategies see complete bars, adjusted for the corporate actions known in the signal's session, and "
        "nothing after the bar they speak of.",
        sources=[
            "trading/strategies",
            "trading/bars/adjust.py",
            "trading/bars/as_of.py",
            "trading/variants.py",
            "trading_assets/adjusted.py",
            "trading_assets/signals.py",
            "trading_assets/history.py",
        ],
        partitions=partitions,
        deps=["m5_bars", "m15_bars", "h1_bars", "d1_bars", "universe", "corporate_actions"],
    )
    def signals(
        context: dg.AssetExecutionContext, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        publisher = lake.publisher(context, platform_version(), clock.now)
        universes = load_universes(settings)

        def prepare(keys: Sequence[str]) -> Produce:
            history = History(publisher.snapshot())
            actions = Actions.at(history.snapshot)
            universe_sessions = set(history.sessions("universe"))
            days: dict[str, list[dt.date]] = defaultdict(list)
            for key in keys:
                days[dimension_of(key, "variant")].append(dt.date.fromisoformat(session_of(key)))
            computed: dict[str, ComputedSignals] = {}

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
                    computed[name] = computed_signals(history, actions, variant, days[name], universes)
                found = computed[name]
                frame = admitted_signals(history, variant, found.signals, [day]).drop("session")
                outside = found.signals.filter(pl.col("session") == day).height - frame.height
                reads = {bars_asset: history.pinned, "universe": history.pinned, **actions.reads}
                publication = publisher.publish(
                    "signals",
                    {"session": session, "variant": name},
                    {"data.parquet": frame},
                    audit=contract_audit("signals", f"signals {session} {name}"),
                    inputs=reads,
                    metadata={
                        "strategy_version": variant.strategy_version,
                        "config_hash": variant.config_hash,
                        **({"reads_from": json.dumps({bars_asset: found.reach[day]})} if day in found.reach else {}),
                    },
                    since=history.pinned,
                )
                return materialised(
                    publication,
                    frame.height,
                    {
                        "strategy_version": variant.strategy_version,
                        "config_hash": variant.config_hash,
                        "parameters": dg.MetadataValue.md(parameters_markdown(variant)),
                        "outside_universe": outside,
                    },
                    reads=reads,
                )

            return produce

        yield from materialise_partitions(context, "signals", prepare)

    return [signals]


@dataclass(frozen=True)
class ComputedSignals:
    """Signals of one variant over the sessions of a run.

    Attributes:
        signals: the strategy's frame, with the session of each row.
        reach: first session, ISO, whose bars the signals of each session may rest on: that of the oldest warm-up bar.
    """

    signals: pl.DataFrame
    reach: dict[dt.date, str]


def computed_signals(
    history: History, actions: Actions, variant: "Variant", days: Sequence[dt.date], universes: Universes
) -> ComputedSignals:
    """Signals of all those sessions, warm-up bars read along; each session on the view of bars as of its own date."""
    bars_asset = BAR_ASSETS[variant.timeframe]
    on_main = set(history.sessions(bars_asset))
    wanted = sorted(day for day in days if day in on_main)
    warmup = variant.implementation.warmup(variant.params)
    bars = history.bars_with_warmup(bars_asset, wanted, warmup)
    traded = [symbol for symbol in bars["Symbol"].unique() if universes.trades(variant.universe, symbol)]
    bars = bars.filter(pl.col("Symbol").is_in(traded))
    universes.calendar_of(variant.name, variant.universe)
    instruments = universes.instruments(traded)
    return ComputedSignals(signals_on(bars, actions, variant, wanted, instruments), _reach(bars, wanted, warmup))


def signals_on(
    bars: pl.DataFrame,
    actions: Actions,
    variant: "Variant",
    days: Sequence[dt.date],
    instruments: Mapping[str, "Instrument"],
) -> pl.DataFrame:
    """Signals of those sessions, each on the view of ``bars`` as of its own date, with session; bars hold the warm-up."""
    from trading.bars.as_of import compute_as_of

    return compute_as_of(
        lambda view: variant.implementation.signals(view, variant.params, instruments),
        bars,
        actions.frame,
        days,
        warmup=variant.implementation.warmup(variant.params),
    )


def admitted_signals(
    history: History, variant: "Variant", signals: pl.DataFrame, days: Sequence[dt.date]
) -> pl.DataFrame:
    """What is published of the signals of those sessions: of Symbols that their universe admits, with the version that made them.

    Args:
        signals: of :class:`ComputedSignals`.
    """
    admitted = history.frame("universe", days).filter("admitted").select("Symbol", "session")
    return (
        signals.filter(pl.col("session").is_in(list(days)))
        .join(admitted, on=["Symbol", "session"], how="semi")
        .with_columns(meta_strategy_version=pl.lit(variant.strategy_version))
        .sort("Symbol", "Timestamp")
    )


def _reach(bars: pl.DataFrame, sessions: Sequence[dt.date], warmup: int) -> dict[dt.date, str]:
    """The session of the bar that lies ``warmup`` bars before the first one of each session, the earliest of all Symbols."""
    earliest = pl.col("session").shift(warmup).over("Symbol").fill_null(pl.col("session").first().over("Symbol"))
    firsts = bars.with_columns(earliest=earliest).group_by("Symbol", "session").agg(pl.col("earliest").min())
    found = firsts.filter(pl.col("session").is_in(list(sessions))).group_by("session").agg(pl.col("earliest").min())
    return {day: first.isoformat() for day, first in found.iter_rows()}
