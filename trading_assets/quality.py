"""Data quality beside the contracts: the table of false prices, and a non-blocking check per suite of configs/quality.yaml."""

import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
from pydantic import ValidationError

from jobs.quality import QUALITY_JOB
from resources.configurable import ClockResource, LakeResource
from resources.expectations import QualityPlan
from resources.lake.errors import ObjectNotFound, Overtaken
from trading.errors import ConfigError
from trading_assets.code_version import ROOT, platform_version
from trading_assets.dataset import dataset
from trading_assets.materialise import PARTITION_ERRORS, Materialised, PartitionRecorder
from trading_assets.publications import contract_audit, materialised
from trading_assets.settings import CONFIGS, Settings, read_yaml
from trading_assets.warehouse import LAKE_FILES

if TYPE_CHECKING:
    from resources.expectations import Judged, Outcome
    from resources.expectations.figures import Progress
    from resources.lake.publish import Publisher
    from resources.lake.reading import Snapshot

PLAN = "quality.yaml"
OUTLIERS = "price_outliers"
FIGURES = ROOT / "dbt_like_sql" / "quality"
CHECK_PREFIX = "quality_"

_PASSES = 4
_TOLD = 5  # failed expectations that a check's description spells out
_SECONDS_BETWEEN_PROGRESS = 2.0


def quality_plan(settings: Settings) -> QualityPlan:
    """quality.yaml of the installation's configs folder, else the shipped one. ConfigError names the file and the setting."""
    file = settings.configs / PLAN
    if not file.exists():
        file = CONFIGS / PLAN
    try:
        return QualityPlan.model_validate(read_yaml(file))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'file'}: {fault['msg']}"
            for fault in error.errors(include_url=False)
        )
        raise ConfigError(f"{file}: {faults}") from None


def quality_pages(settings: Settings) -> Path:
    """Folder of the data docs; index.html is the page to open."""
    return settings.home / "quality" / "docs"


def outlier_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """price_outliers."""

    @dataset(
        OUTLIERS,
        group="warehouse",
        description="Prices of daily bars, the vendor's and those rolled up from minutes, that cannot have been traded: by which "
        "rule, how far beyond its limit, and the price that the rest of the bars supports. The bars stay as they are.",
        sources=["trading/bars/outliers.py", "trading_assets/quality.py"],
        partitions=None,
        deps=["d1_bars", "d1_raw"],
    )
    def price_outliers(
        context: dg.AssetExecutionContext, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        publisher = lake.publisher(context, platform_version(), clock.now)
        recorder = PartitionRecorder(context, OUTLIERS)
        for last in (*[False] * (_PASSES - 1), True):
            try:
                recorder.record(None, _publish_outliers(settings, publisher))
                break
            except Overtaken as met:
                context.log.warning(f"{OUTLIERS}: {met}")
                if last:
                    recorder.record(None, met)
            except PARTITION_ERRORS as error:
                recorder.record(None, error)
                break
        yield recorder.finish()

    return [price_outliers]


def _publish_outliers(settings: Settings, publisher: "Publisher") -> Materialised:
    from trading.bars.outliers import RULES, STORED_SCHEMA, price_outliers

    config = quality_plan(settings).outliers
    pinned = publisher.pin()
    snapshot = publisher.snapshot(pinned)
    found, judged = [pl.DataFrame(schema=dict(STORED_SCHEMA))], 0
    for name in ("d1_bars", "d1_raw"):
        for universe, bars in _daily_bars(snapshot, name):
            judged += bars.height
            outliers = price_outliers(bars, config)
            found.append(outliers.select(pl.lit(name).alias("dataset"), pl.lit(universe).alias("universe"), pl.all()))
    table = pl.concat(found).sort("dataset", "universe", "Symbol", "session", "rule")
    publication = publisher.publish(
        OUTLIERS,
        {},
        {"data.parquet": table},
        audit=contract_audit(OUTLIERS, OUTLIERS),
        inputs={"d1_bars": pinned, "d1_raw": pinned},
        since=pinned,
    )
    counts = {rule: table.filter(pl.col("rule") == rule).height for rule in RULES}
    return materialised(publication, table.height, {"bars_judged": judged, "by_rule": dg.MetadataValue.json(counts)})


def _daily_bars(snapshot: "Snapshot", name: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """Daily bars by universe; those rolled up from minutes are kept together, under no name."""
    try:
        paths = snapshot.paths(name)
    except ObjectNotFound:
        return
    by_universe: dict[str, list[Path]] = {}
    for path, local in paths.items():
        keys = dict(part.split("=", 1) for part in path.split("/")[1:-1])
        by_universe.setdefault(keys.get("universe", ""), []).append(local)
    columns = ("Symbol", "session", "Open", "High", "Low", "Close")
    for universe, files in sorted(by_universe.items()):
        yield universe, pl.scan_parquet(files, glob=False, hive_partitioning=False).select(columns).collect()


class QualityRun(dg.Config):
    """Which sessions a run judges.

    Attributes:
        all_sessions: the whole history instead of the newest sessions of configs/quality.yaml.
    """

    all_sessions: bool = False


def suite_checks(settings: Settings, assets: Collection[str]) -> dg.AssetChecksDefinition:
    """One check per suite whose dataset is among ``assets``, all computed in one step.

    A dataset that an installation does without, such as the daily bars of a vendor, has no check.

    Raises:
        ConfigError: configs/quality.yaml is wrong, or one of its suites is about a dataset that there is not.
    """
    plan = quality_plan(settings)
    specs = {
        name: _spec(name, suite.dataset, assets)
        for name, suite in plan.suites.items()
        if suite.dataset not in LAKE_FILES or LAKE_FILES[suite.dataset][0] in assets
    }

    @dg.multi_asset_check(
        name="quality",
        specs=list(specs.values()),
        can_subset=True,
        description="Great Expectations over figures of the warehouse; what fails is told, and nothing is stopped.",
    )
    def quality(
        context: dg.AssetCheckExecutionContext, config: QualityRun, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.AssetCheckResult]:
        by_hand = context.run.asset_check_selection and not context.run.asset_selection
        if context.run.job_name != QUALITY_JOB and not by_hand:
            # The warehouse does not know yet what such a run makes; a report of the old one would mislead.
            context.log.info(
                "this run materialises assets: their quality is judged by quality_job, after the warehouse"
            )
            return
        wanted = context.op_execution_context.selected_asset_check_keys
        # All of them even where one was asked for: the pages are one site, written anew.
        outcome = judge_warehouse(
            settings,
            plan,
            lake,
            clock,
            newest=None if config.all_sessions else plan.sessions,
            progress=_logged(context),
        )
        for judged in outcome.suites:
            spec = specs.get(judged.suite)
            if spec is None or spec.key not in wanted:
                continue
            if judged.skipped:
                context.log.warning(f"quality suite {judged.suite} was skipped: {judged.skipped}")
            else:
                yield _result(settings, spec, judged, outcome)

    return quality


def judge_warehouse(
    settings: Settings,
    plan: QualityPlan,
    lake: LakeResource,
    clock: ClockResource,
    *,
    newest: int | None,
    progress: "Progress",
) -> "Outcome":
    """Judge the warehouse as it is, with the minutes of its commit, and write the data docs."""
    from resources.expectations import compute_figures, judge, judged_sessions, warehouse_commit
    from resources.lake.reading import Snapshot
    from resources.warehouse import PartitionFile

    snapshot = Snapshot(lake.open(), warehouse_commit(settings.warehouse_path))
    sessions = judged_sessions(settings.warehouse_path, newest)
    wanted = {f"session={session}" for session in sessions}
    partitions = [path for path in snapshot.partitions("m1_bars") if path.split("/")[0] in wanted]
    minutes = [
        PartitionFile(local, dict(part.split("=", 1) for part in path.split("/")[1:-1]))
        for path, local in (snapshot.paths("m1_bars", partitions) if partitions else {}).items()
    ]
    computed = compute_figures(settings.warehouse_path, sessions, minutes, FIGURES, progress=progress)
    return judge(computed, plan, quality_pages(settings), at=clock.now(), label=settings.label, progress=progress)


def _spec(suite: str, about: str, assets: Collection[str]) -> dg.AssetCheckSpec:
    asset = LAKE_FILES[about][0] if about in LAKE_FILES else about
    if asset not in assets:
        raise ConfigError(f"configs/quality.yaml: suite {suite} is about {about}, which is no dataset; set `dataset`")
    return dg.AssetCheckSpec(
        f"{CHECK_PREFIX}{suite}",
        asset=asset,
        blocking=False,
        description=f"Figures of {about} lie within the limits of suite {suite} (configs/quality.yaml).",
    )


def _result(settings: Settings, spec: dg.AssetCheckSpec, judged: "Judged", outcome: "Outcome") -> dg.AssetCheckResult:
    index = quality_pages(settings) / "index.html"
    metadata: dict[str, Any] = {
        "rows": judged.rows,
        "sessions": f"{outcome.first} to {outcome.last}",
        "lake_commit": outcome.commit,
        "data_docs": dg.MetadataValue.url(index.as_uri()),
    }
    failed = judged.failed
    if failed:
        first = failed[0]
        metadata |= {
            "figure": f"{first.expectation.column} {first.open[0].value:g} at {first.open[0].where}",
            "limit": first.expectation.limit,
            "command": f"open {index}; {first.expectation.look}",
            "findings": _table(judged),
        }
    told = [str(verdict) for verdict in failed[:_TOLD]]
    more = len(failed) - len(told)
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=judged.passed,
        severity=dg.AssetCheckSeverity.ERROR if judged.severity == "error" else dg.AssetCheckSeverity.WARN,
        description=" | ".join([*told, *([f"and {more} more expectations"] if more > 0 else [])])
        or f"{len(judged.verdicts)} expectations on {judged.rows} rows hold",
        metadata=metadata,
    )


def _table(judged: "Judged") -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "expectation": verdict.name,
                    "severity": verdict.expectation.severity,
                    "rows": len(verdict.open),
                    "worst": verdict.open[0].where,
                    "figure": verdict.open[0].value,
                    "limit": verdict.expectation.limit,
                    "look": verdict.expectation.look,
                }
            )
            for verdict in judged.failed
        ]
    )


def _logged(context: dg.AssetCheckExecutionContext) -> "Progress":
    """Progress in the run's log, a line every few seconds at the most."""
    began = said = time.monotonic()
    steps = 0

    def progress(what: str, done: int, of: int) -> None:
        nonlocal began, said, steps
        now = time.monotonic()
        if of != steps:  # figures are worked out first, then judged
            began, steps = now, of
        if now - said > _SECONDS_BETWEEN_PROGRESS:
            said = now
            left = (now - began) / done * (of - done)
            context.log.info(f"quality: {what}, {done} of {of}, about {left:.0f} s left")

    return progress
