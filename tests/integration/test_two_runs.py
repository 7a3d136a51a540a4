"""Two runs make one partition at the same time: the slower one is told, and makes it again from the new head."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from resources.lake import Lake, open_lake
from resources.lake.publish import Publisher
from trading_assets.dataset import contract_check
from trading_assets.materialise import Materialised, Produce, Skipped, materialise_partitions
from trading_assets.publications import materialised

DAYS = dg.StaticPartitionsDefinition(["2024-03-01", "2024-03-04"])
RANGE = {
    "dagster/asset_partition_range_start": "2024-03-01",
    "dagster/asset_partition_range_end": "2024-03-04",
}


def publisher(lake: Lake, run_id: str) -> Publisher:
    return Publisher(lake, run_id=run_id, code_version="1", clock=lambda: datetime(2024, 3, 5, tzinfo=UTC))


def publish(by: Publisher, dataset: str, day: str, content: bytes, since: str | None = None) -> Any:
    return by.publish(dataset, {"session": day}, {"x": content}, audit=None, inputs={}, since=since)


def doubled(lake: Lake, *, overtaken_in_passes: int) -> dg.Definitions:
    """An asset that doubles its upstream; another run corrects the upstream, and doubles it, while this one works."""
    passes: list[Sequence[str]] = []

    @dg.multi_asset(
        name="doubled",
        specs=[dg.AssetSpec("doubled", partitions_def=DAYS)],
        check_specs=[contract_check("doubled")],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def asset(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        mine, other = publisher(lake, "mine"), publisher(lake, "other")

        def prepare(keys: Sequence[str]) -> Produce:
            passes.append(list(keys))
            pinned = mine.pin()

            def produce(day: str) -> Materialised | Skipped:
                upstream = lake.get(pinned, f"up/session={day}/x")
                if day == "2024-03-01" and len(passes) <= overtaken_in_passes:
                    corrected = upstream + b"!"
                    publish(other, "up", day, corrected)
                    publish(other, "doubled", day, corrected * 2 + b" by other")
                done = publish(mine, "doubled", day, upstream * 2, since=pinned)
                return materialised(done, 1, {"passes": str(passes)})

            return produce

        yield from materialise_partitions(context, "doubled", prepare)

    return dg.Definitions(assets=[asset])


def run(tmp_path: Path, overtaken_in_passes: int) -> tuple[Lake, dg.ExecuteInProcessResult, list[str]]:
    lake = open_lake((tmp_path / "lake").as_uri())
    for day in DAYS.get_partition_keys():
        publish(publisher(lake, "before"), "up", day, b"u")
    defs = doubled(lake, overtaken_in_passes=overtaken_in_passes)
    with dg.DagsterInstance.ephemeral() as instance:
        job = defs.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, raise_on_error=False, tags=RANGE)
        log = [entry.user_message for entry in instance.all_logs(result.run_id)]
    return lake, result, log


def materialisations(result: dg.ExecuteInProcessResult) -> dict[str | None, Any]:
    events = [event for event in result.all_events if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION]
    return {
        event.step_materialization_data.materialization.partition: event.step_materialization_data.materialization
        for event in events
    }


def test_the_slower_run_makes_the_partition_again_from_the_new_head(tmp_path: Path) -> None:
    lake, result, log = run(tmp_path, overtaken_in_passes=1)
    assert result.success
    assert lake.get("main", "doubled/session=2024-03-01/x") == b"u!u!"
    assert lake.get("main", "doubled/session=2024-03-04/x") == b"uu"
    found = materialisations(result)
    assert set(found) == {"2024-03-01", "2024-03-04"}
    told = found["2024-03-01"].metadata
    assert told["overtaken_by_run"].value == "other"
    assert told["passes"].value == "[['2024-03-01', '2024-03-04'], ['2024-03-01']]"
    assert "overtaken_by_run" not in found["2024-03-04"].metadata
    assert any("doubled/session=2024-03-01: run other published it" in line for line in log)


def test_overtaken_again_and_again_it_is_refused_and_the_newer_content_stays(tmp_path: Path) -> None:
    lake, result, _ = run(tmp_path, overtaken_in_passes=100)
    assert set(materialisations(result)) == {"2024-03-04"}
    assert lake.get("main", "doubled/session=2024-03-01/x").endswith(b" by other")
    refused = [
        event.asset_check_evaluation_data
        for event in result.all_events
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
        and not event.asset_check_evaluation_data.passed
    ]
    assert [check.partition for check in refused] == ["2024-03-01"]
    assert "run other published it" in (refused[0].description or "")
