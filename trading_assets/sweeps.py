"""Sweeps: session (as of) x sweep, one file of configs/sweeps/ each."""

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dagster as dg

from resources.configurable import ClockResource, LakeResource
from trading_assets.adjusted import Actions
from trading_assets.backtest_runs import Market
from trading_assets.bars import BAR_ASSETS
from trading_assets.code_version import platform_version
from trading_assets.configured import sweep as load_sweep
from trading_assets.dataset import dataset
from trading_assets.history import History
from trading_assets.materialise import Materialised, Produce, dimension_of, materialise_partitions, session_of
from trading_assets.publications import materialised
from trading_assets.settings import Settings
from trading_assets.sweeping import RESULTS, SOURCES, SweepArtefacts, compute_sweep
from trading_assets.universes import load_universes

_SECONDS_BETWEEN_LINES = 5.0


def sweep_assets(settings: Settings, partitions: dg.MultiPartitionsDefinition | None) -> list[dg.AssetsDefinition]:
    """sweep; none where no sweep is configured."""
    if partitions is None:
        return []

    @dataset(
        "sweep",
        group="sweeps",
        description="A variant replayed over many parameter sets up to a session, and how much of the best of them is luck: "
        "walk-forward, probability of overfitting, deflated Sharpe ratio, neighbours, order of trades and of fills.",
        sources=[*SOURCES, "trading_assets/sweeps.py"],
        partitions=partitions,
        deps=[*BAR_ASSETS.values(), "universe", "corporate_actions"],
        kinds=("polars", "numba", "parquet"),
    )
    def sweep(
        context: dg.AssetExecutionContext, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        publisher = lake.publisher(context, platform_version(), clock.now)
        universes = load_universes(settings)

        def prepare(_: Sequence[str]) -> Produce:
            snapshot = publisher.snapshot()
            market = Market(History(snapshot), Actions.at(snapshot), universes)

            def produce(key: str) -> Materialised:
                name, session = dimension_of(key, "sweep"), session_of(key)
                config = load_sweep(settings, name)
                made = compute_sweep(
                    settings, market, config, dt.date.fromisoformat(session), _progress(context, f"sweep {name}")
                )
                publication = publisher.publish(
                    "sweep",
                    {"session": session, "sweep": name},
                    made.files,
                    audit=_audit(f"sweep {session} {name}"),
                    inputs=made.reads,
                    metadata={"config_hash": made.robustness.findings.base.config_hash},
                    since=market.history.pinned,
                )
                return materialised(publication, made.robustness.results.height, _metadata(made), reads=made.reads)

            return produce

        yield from materialise_partitions(context, "sweep", prepare)

    return [sweep]


def sweep_checks(partitions: dg.MultiPartitionsDefinition | None) -> list[dg.AssetChecksDefinition]:
    """Warnings about the newest published sweeps of a run: probability of overfitting, deflated Sharpe ratio."""
    if partitions is None:
        return []

    def overfitting(found: dict[str, Any]) -> tuple[float | None, float, bool]:
        value, limit = (found["findings"]["overfitting"] or {}).get("pbo"), found["limits"]["max_pbo"]
        return value, limit, value is not None and value <= limit

    def deflated(found: dict[str, Any]) -> tuple[float | None, float, bool]:
        sharpe = (found["findings"]["best"] or {}).get("sharpe") or {}
        value, limit = sharpe.get("deflated"), found["limits"]["min_deflated_sharpe"]
        return value, limit, value is not None and value >= limit

    return [
        _check(
            "overfitting",
            "The probability of backtest overfitting is at most the sweep's limit. Warns, does not block.",
            "probability of overfitting",
            overfitting,
        ),
        _check(
            "deflated_sharpe",
            "The deflated Sharpe ratio of the best set is at least the sweep's limit. Warns, does not block.",
            "deflated Sharpe ratio of the best set",
            deflated,
        ),
    ]


def _check(
    name: str, description: str, figure: str, judge: Callable[[dict[str, Any]], tuple[float | None, float, bool]]
) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset="sweep", name=name, description=description)
    def check(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> dg.AssetCheckResult:
        from resources.lake.reading import Snapshot

        opened = lake.open()
        snapshot = Snapshot(opened, opened.resolve("main@"))
        step = context.op_execution_context
        lines, passed = [], True
        for key in step.partition_keys if step.has_partition_key or step.has_partition_key_range else []:
            partition = {"session": session_of(key), "sweep": dimension_of(key, "sweep")}
            where = f"{partition['sweep']} as of {partition['session']}"
            if not snapshot.exists("sweep", partition):
                lines.append(f"{where}: not on main")
                passed = False
                continue
            value, limit, good = judge(
                {
                    "findings": json.loads(snapshot.content("sweep", partition, "robustness.json")),
                    "limits": json.loads(snapshot.content("sweep", partition, "manifest.json"))["sweep"]["limits"],
                }
            )
            passed &= good
            lines.append(f"{where}: {figure} {'not known' if value is None else f'{value:.3f}'}, limit {limit:g}")
        return dg.AssetCheckResult(
            passed=passed, severity=dg.AssetCheckSeverity.WARN, description="; ".join(lines) or "no sweep in this run"
        )

    return check


def _audit(where: str) -> Any:
    def audit(reader: Any) -> None:
        from trading.contracts import validate
        from trading.lab import sweep_contracts as contracts

        validate(reader.frame(RESULTS), contracts.RESULTS, where=where)
        validate(reader.frame("session_returns.parquet"), contracts.RETURNS, where=where)

    return audit


def _metadata(made: SweepArtefacts) -> dict[str, Any]:
    from trading.reports.plots import markdown_image

    findings = made.robustness.findings
    best = findings.best
    figures = {
        "pbo": findings.overfitting.pbo if findings.overfitting else None,
        "deflated_sharpe": best.sharpe.deflated if best and best.sharpe else None,
        "neighbourhood": best.stability.earning if best else None,
        "walk_forward_expectancy": findings.walk_forward.expectancy if findings.walk_forward else None,
        "walk_forward_efficiency": findings.walk_forward.efficiency if findings.walk_forward else None,
    }
    return {
        "verdict": made.headline,
        "heat_map": dg.MetadataValue.md(markdown_image(made.picture, f"heat map of {findings.sweep}")),
        "report": dg.MetadataValue.md(f"```\n{made.report}```"),
        "best": dg.MetadataValue.json({} if best is None else dict(best.values)),
        "sets": findings.sets,
        "candidates": findings.candidates,
        **{name: value for name, value in figures.items() if value is not None},
        "dagster/column_schema": dg.TableSchema(
            columns=[dg.TableColumn(name, type=str(dtype)) for name, dtype in made.robustness.results.schema.items()]
        ),
    }


def _progress(context: dg.AssetExecutionContext, title: str) -> Callable[[int, int], None]:
    began = said = time.monotonic()

    def advance(done: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        if 0 < done < total and now - said > _SECONDS_BETWEEN_LINES:
            said = now
            context.log.info(
                f"{title}: {done} of {total} sets, about {(now - began) / done * (total - done):.0f} s left"
            )

    return advance
