"""`dataset`: how every lake-backed asset of the graph is declared."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from trading_assets.code_version import source_version
from trading_assets.materialise import CONTRACT_CHECK
from trading_assets.schemas import table_schema

OWNERS = ["team:trading-platform"]

GROUPS = (
    "market_data",
    "bars",
    "features",
    "signals",
    "backtests",
    "sweeps",
    "parity",
    "promotion",
    "orders",
    "portfolio",
    "warehouse",
    "reports",
)

# What every asset's code version covers besides its own sources.
_SHARED_SOURCES = ("trading/contracts.py", "trading/sessions.py", "resources/lake/publish.py")

Dep = str | dg.AssetDep


def asset_spec(
    name: str,
    *,
    group: str,
    description: str,
    sources: Sequence[str],
    partitions: dg.PartitionsDefinition[Any] | None,
    deps: Iterable[Dep] = (),
    kinds: Iterable[str] = ("polars", "parquet"),
    metadata: Mapping[str, Any] | None = None,
) -> dg.AssetSpec:
    """An asset with what a reader of the UI expects: group, kinds, owner, description, code version, column schema."""
    assert group in GROUPS, group
    schema = table_schema(name)
    return dg.AssetSpec(
        name,
        group_name=group,
        description=description,
        partitions_def=partitions,
        deps=list(deps),
        kinds=set(kinds),
        owners=OWNERS,
        code_version=source_version(*_SHARED_SOURCES, *sources),
        metadata={
            **({} if group == "warehouse" else {"lake_path": f"{name}/"}),
            **({"dagster/column_schema": schema} if schema else {}),
            **(metadata or {}),
        },
    )


def contract_check(asset: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        CONTRACT_CHECK,
        asset=asset,
        blocking=True,
        description="What was written keeps the dataset's contract; a partition that does not never reaches main.",
    )


def dataset(
    name: str, *, checks: Sequence[dg.AssetCheckSpec] = (), **spec: Any
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Decorator: one dataset, its blocking contract check and ``checks``, and backfills of a range as one run.

    The asset itself records the outcome of each check.
    """
    return dg.multi_asset(
        name=name,
        specs=[asset_spec(name, **spec)],
        check_specs=[contract_check(name), *checks],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
