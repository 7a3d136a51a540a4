"""The analysts' warehouse: one asset a file of dbt_like_sql/models, all built together from one commit of the lake."""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from resources.configurable import ClockResource, LakeResource
from trading_assets.code_version import ROOT, source_version
from trading_assets.dataset import asset_spec
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.lake.reading import Snapshot
    from resources.warehouse import PartitionFile

MODELS = ROOT / "dbt_like_sql" / "models"
AUDITS = ROOT / "dbt_like_sql" / "audits"

# Where the warehouse's datasets lie in the lake: dataset -> (asset, file of its partitions).
LAKE_FILES = {
    **{name: (name, "data.parquet") for name in ("m5_bars", "m15_bars", "h1_bars", "d1_bars", "bar_quality")},
    **{name: (name, "data.parquet") for name in ("d1_raw", "corporate_actions", "price_outliers", "universe")},
    "signals": ("signals", "data.parquet"),
    "backtest_metrics": ("backtest", "data.parquet"),
    "backtest_trades": ("backtest", "trades.parquet"),
    "promotion_decision": ("promotion_decision", "data.parquet"),
    "order_intents": ("order_batch", "data.parquet"),
    "order_events": ("order_routing", "data.parquet"),
    "fills": ("order_routing", "fills.parquet"),
    "portfolio_worth": ("portfolio_worth", "data.parquet"),
    "positions": ("portfolio_worth", "positions.parquet"),
}

AUDIT_CHECK = "audits"


def dataset_files(snapshot: "Snapshot", dataset: str) -> list["PartitionFile"]:
    """The Parquet files of a warehouse dataset at a snapshot, with their partition keys; empty where there are none."""
    from resources.warehouse import PartitionFile

    asset, file = LAKE_FILES[dataset]
    paths = snapshot.lake.local_paths(snapshot.ref, f"{asset}/")
    return [
        PartitionFile(local, dict(part.split("=", 1) for part in path.split("/")[1:-1]))
        for path, local in paths.items()
        if path.endswith(f"/{file}")
    ]


def _data_version(snapshot: "Snapshot") -> str:
    """Hash of what the warehouse is built from: the files of every dataset, and the SQL."""
    digest = hashlib.sha256(source_version("dbt_like_sql", "resources/warehouse").encode())
    for asset in sorted({asset for asset, _ in LAKE_FILES.values()}):
        for path, (checksum, size) in snapshot.identities_below(asset).items():
            digest.update(f"{path}\0{checksum}\0{size}\n".encode())
    return digest.hexdigest()


def warehouse_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """One asset for each SQL model."""
    from resources.warehouse import read_headers

    models = {model.name: model for model in read_headers(MODELS)}
    names = set(models)
    specs = [
        asset_spec(
            model.name,
            group="warehouse",
            description=f"{model.description} One row per {', '.join(model.grain)}.",
            sources=["dbt_like_sql", "resources/warehouse", "trading_assets/warehouse.py"],
            partitions=None,
            deps=sorted({name if name in names else LAKE_FILES[name][0] for name in model.depends_on}),
            kinds=("duckdb", "sql"),
            metadata={"sql": dg.MetadataValue.md(f"```sql\n{model.sql}\n```")},
        )
        for model in models.values()
    ]
    checks = [
        dg.AssetCheckSpec(
            AUDIT_CHECK,
            asset=name,
            blocking=True,
            description="The model's grain is unique and its audits found no bad row.",
        )
        for name in models
    ]

    @dg.multi_asset(name="warehouse", specs=specs, check_specs=checks)
    def warehouse(
        context: dg.AssetExecutionContext, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        from resources.lake.reading import Snapshot
        from resources.warehouse import build_warehouse

        opened = lake.open()
        snapshot = Snapshot(opened, opened.resolve("main@"))
        files = {name: dataset_files(snapshot, name) for name in LAKE_FILES}
        version = _data_version(snapshot)
        last = context.instance.get_latest_materialization_event(dg.AssetKey(next(iter(models))))
        tags = (last.asset_materialization.tags if last and last.asset_materialization else None) or {}
        report = build_warehouse(
            files,
            MODELS,
            settings.warehouse_path,
            commit=snapshot.ref,
            built_at=clock.now(),
            audits_dir=AUDITS,
        )
        context.log.info(f"{report.path}: {report.bytes} bytes from commit {report.commit} in {report.seconds:.1f} s")
        for table in report.models:
            audits = [audit for audit in report.audits if audit.model == table.name]
            bad = [audit for audit in audits if not audit.passed]
            yield dg.MaterializeResult(
                asset_key=table.name,
                metadata={
                    "dagster/row_count": table.rows,
                    "dagster/column_schema": dg.TableSchema(
                        columns=[dg.TableColumn(name, type=dtype) for name, dtype in table.columns]
                    ),
                    "lake_commit": report.commit,
                    "published": tags.get(DATA_VERSION_TAG) != version,
                    "file": dg.MetadataValue.path(str(report.path)),
                },
                data_version=dg.DataVersion(version),
                check_results=[
                    dg.AssetCheckResult(
                        asset_key=table.name,
                        check_name=AUDIT_CHECK,
                        passed=not bad,
                        severity=dg.AssetCheckSeverity.WARN,
                        description="; ".join(
                            f"{audit.name}: {audit.bad_rows} bad rows. {audit.details}" for audit in bad
                        )
                        or f"{len(audits)} audits passed",
                    )
                ],
            )

    return [warehouse]
