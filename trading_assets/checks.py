"""Asset checks beside the contracts: refused partitions fail the run, thin minutes warn, strategies that look ahead block."""

import datetime as dt
import sys

import dagster as dg
import polars as pl
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from resources.configurable import ClockResource, LakeResource, SourcesResource
from sensors.alerts import REFUSALS_STEP_SUFFIX
from trading_assets.causality import causality_checks
from trading_assets.history import History
from trading_assets.materialise import CONTRACT_CHECK
from trading_assets.settings import Settings
from trading_assets.universes import load_universes


def refusals_fail_the_run(asset: str) -> dg.AssetChecksDefinition:
    """A check of its own step, after the asset's: it fails the run when the run refused a partition.

    It blocks nothing, so that the other partitions reach downstream first.
    """

    @dg.asset_check(
        asset=asset,
        name=REFUSALS_STEP_SUFFIX,
        description="Every partition of the run kept its contract. Fails the run otherwise, after the others went on.",
    )
    def every_partition_kept(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        # by the failed ones of this check, which are few: a run's events are read from its first one on
        failed = context.instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey(asset), CONTRACT_CHECK),
            limit=sys.maxsize,
            status={AssetCheckExecutionRecordStatus.FAILED},
        )
        refused = {
            evaluation.partition: evaluation.description or ""
            for record in reversed(failed)
            if record.run_id == context.op_execution_context.run_id
            and record.event is not None
            and record.event.dagster_event is not None
            and (evaluation := record.event.dagster_event.asset_check_evaluation_data)
        }
        if refused:
            listed = "; ".join(f"{partition}: {reason}" for partition, reason in list(refused.items())[:5])
            raise dg.Failure(
                description=f"{len(refused)} partition(s) of {asset} refused. {listed}", allow_retries=False
            )
        return dg.AssetCheckResult(passed=True)

    return every_partition_kept


def quality_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """Coverage of minutes, refused source files, and strategies that look ahead."""
    return [_coverage(settings), _source_files(settings), causality_checks(settings)]


def _coverage(settings: Settings) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="bar_quality",
        name="coverage",
        description="Every Symbol has at least the configured share of the session's minutes. Warns, does not block.",
    )
    def coverage(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> dg.AssetCheckResult:
        from resources.lake.reading import Snapshot

        opened = lake.open()
        history = History(Snapshot(opened, opened.resolve("main@")))
        days = {dt.date.fromisoformat(key) for key in _partitions_of(context)}
        table = history.frame("bar_quality", [day for day in history.sessions("bar_quality") if day in days])
        if table.is_empty():
            return dg.AssetCheckResult(
                passed=False, severity=dg.AssetCheckSeverity.WARN, description="no session of this run is on main"
            )
        below = table.filter(~pl.col("passed")).sort("coverage")
        worst = below.row(0, named=True) if below.height else None
        return dg.AssetCheckResult(
            passed=worst is None,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{table.height} Symbol-sessions, all covered"
            if worst is None
            else f"{below.height} of {table.height} Symbol-sessions are below the minimum, worst {worst['Symbol']} on "
            f"{worst['session']}: {worst['minutes_present']} of {worst['minutes_expected']} minutes",
            metadata={
                "figure": f"{(worst or {}).get('coverage', 1.0):.3f}",
                "limit": f"{settings.min_coverage:.3f}",
                "below": dg.MetadataValue.json(
                    [f"{row['Symbol']} {row['session']} {row['coverage']:.3f}" for row in below.head(50).to_dicts()]
                ),
            },
        )

    return coverage


def _source_files(settings: Settings) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="m1_raw",
        name="source_files",
        description="Every file, and every Symbol asked for, can be used. A refused one stops nothing else, and is named here.",
    )
    def source_files(sources: SourcesResource, clock: ClockResource) -> dg.AssetCheckResult:
        problems = []
        for universe in load_universes(settings).all:
            if universe.source is not None:
                opened = sources.open(
                    universe.name,
                    universe.source,
                    calendar=universe.calendar,
                    symbols=universe.symbols,
                    clock=clock.now,
                )
                problems += opened.problems()
        return dg.AssetCheckResult(
            passed=not problems,
            severity=dg.AssetCheckSeverity.ERROR,
            description="; ".join(f"{problem.file}: {problem.message}" for problem in problems)
            or "all files are usable",
            metadata={"figure": f"{len(problems)} files refused", "limit": "0"},
        )

    return source_files


def _partitions_of(context: dg.AssetCheckExecutionContext) -> list[str]:
    """The partitions that the run is over; the check itself has none."""
    step = context.op_execution_context
    return list(step.partition_keys) if step.has_partition_key or step.has_partition_key_range else []
