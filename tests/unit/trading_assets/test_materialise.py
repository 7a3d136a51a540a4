"""One run over a range: each partition its own event, data version and outcome."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from trading.errors import DataError
from trading_assets.checks import refusals_fail_the_run
from trading_assets.dataset import contract_check
from trading_assets.materialise import Materialised, Pipeline, Skipped, materialise_partitions

DAYS = dg.DailyPartitionsDefinition("2023-11-20", end_date="2023-11-25")
BAD = "2023-11-22"
RANGE = {
    "dagster/asset_partition_range_start": "2023-11-20",
    "dagster/asset_partition_range_end": "2023-11-24",
}


def build(*, refuse_all: bool = False) -> dg.Definitions:
    def asset(name: str, upstream: str | None) -> dg.AssetsDefinition:
        @dg.multi_asset(
            name=name,
            specs=[dg.AssetSpec(name, partitions_def=DAYS, deps=[upstream] if upstream else [], code_version="1")],
            check_specs=[contract_check(name)],
            can_subset=True,
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
        def made(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
            def produce(day: str) -> Materialised | Skipped:
                if upstream is None and (refuse_all or day == BAD):
                    raise DataError(f"SYNA.parquet, minute 14:31 of {day}: High < Low")
                if day == BAD:
                    return Skipped("upstream is not on main")
                return Materialised(f"content-{day}", "commit", 3, day != "2023-11-20", {"day": day})

            yield from materialise_partitions(context, name, lambda _: produce)

        return made

    return dg.Definitions(
        assets=[asset("first", None), asset("second", "first")],
        asset_checks=[refusals_fail_the_run("first"), refusals_fail_the_run("second")],
    )


def run(defs: dg.Definitions, instance: dg.DagsterInstance, **how: Any) -> dg.ExecuteInProcessResult:
    job = defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, raise_on_error=False, **how)


def events(result: dg.ExecuteInProcessResult, asset: str) -> dict[str | None, dg.AssetMaterialization]:
    found = [
        event.step_materialization_data.materialization
        for event in result.all_events
        if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION and event.asset_key == dg.AssetKey(asset)
    ]
    by_partition = {materialization.partition: materialization for materialization in found}
    assert len(by_partition) == len(found), "a partition was reported twice"
    return by_partition


def refusals(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str | None], str]:
    """Reason by asset and partition, of the contract checks that failed."""
    checks = [
        event.asset_check_evaluation_data
        for event in result.all_events
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    failed = [check for check in checks if not check.passed]
    assert {check.check_name for check in failed} <= {"contract"}
    return {(check.asset_key.to_user_string(), check.partition): check.description or "" for check in failed}


def test_one_event_a_partition_with_its_own_metadata_and_data_version() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = events(run(build(), instance, tags=RANGE), "first")
    assert set(first) == {"2023-11-20", "2023-11-21", "2023-11-23", "2023-11-24"}
    for day, materialization in first.items():
        assert materialization.tags is not None
        assert materialization.tags[DATA_VERSION_TAG] == f"content-{day}"
        assert materialization.metadata["day"].value == day
        assert materialization.metadata["dagster/row_count"].value == 3


def test_a_refused_partition_fails_the_run_and_stops_no_other() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(build(), instance, tags=RANGE)
        assert not result.success
        assert set(events(result, "second")) == {"2023-11-20", "2023-11-21", "2023-11-23", "2023-11-24"}
        for asset in ("first", "second"):
            status = get_and_update_asset_status_cache_value(instance, dg.AssetKey(asset), DAYS)
            assert status is not None
            assert list(status.deserialize_failed_partition_subsets(DAYS).get_partition_keys()) == [BAD]
    assert list(refusals(result)) == [("first", BAD)]
    assert "High < Low" in refusals(result)["first", BAD]


def test_a_single_refused_partition_fails_at_once_and_nothing_runs_downstream() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(build(), instance, partition_key=BAD)
    assert not result.success
    assert events(result, "first") == {}
    assert events(result, "second") == {}


def test_a_range_in_which_every_partition_is_refused_fails_at_once() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(build(refuse_all=True), instance, tags=RANGE)
    assert not result.success
    failures = [event for event in result.all_events if event.is_step_failure]
    assert [event.step_key for event in failures] == ["first"]
    description = failures[0].step_failure_data.user_failure_data
    assert description is not None and "High < Low" in (description.description or "")


def test_a_range_that_keeps_its_contract_succeeds() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {**RANGE, "dagster/asset_partition_range_start": "2023-11-23"}
        assert run(build(), instance, tags=tags).success


@pytest.mark.parametrize("asset", ["first", "second"])
def test_an_unchanged_partition_says_so(asset: str) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        materialised = events(run(build(), instance, tags=RANGE), asset)
    assert {day: event.metadata["published"].value for day, event in materialised.items()} == {
        "2023-11-20": False, "2023-11-21": True, "2023-11-23": True, "2023-11-24": True,
    }  # fmt: skip


def build_pair(refused: Mapping[str, str]) -> dg.Definitions:
    """Two assets of one step, made by a pipeline; ``refused`` is what publishing raises, by asset and day."""

    @dg.multi_asset(
        name="pair",
        specs=[dg.AssetSpec(name, partitions_def=DAYS) for name in ("left", "right")],
        check_specs=[contract_check("left"), contract_check("right")],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def pair(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        def compute(day: str) -> str | Skipped:
            if day == "2023-11-21":
                raise DataError(f"minutes of {day} cannot be read")
            return Skipped("no minutes") if day == "2023-11-23" else f"content of {day}"

        def publisher(name: str) -> Callable[[str, str], Materialised]:
            def publish(day: str, content: str) -> Materialised:
                if (reason := refused.get(f"{name} {day}")) is not None:
                    raise DataError(reason)
                return Materialised(f"{name} {content}", "commit", 1, True)

            return publish

        names = sorted(key.to_user_string() for key in context.selected_asset_keys)
        yield from materialise_partitions(
            context, names, lambda _: Pipeline(compute, {name: publisher(name) for name in names})
        )

    return dg.Definitions(assets=[pair])


def test_assets_of_one_step_have_outcomes_of_their_own() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(build_pair({"left 2023-11-22": "Low > Open"}), instance, tags=RANGE)
    assert result.success
    found = {
        name: {day: (event.tags or {})[DATA_VERSION_TAG] for day, event in events(result, name).items()}
        for name in ("left", "right")
    }
    assert found == {
        name: {day: f"{name} content of {day}" for day in days}
        for name, days in (
            ("left", ["2023-11-20", "2023-11-24"]),
            ("right", ["2023-11-20", "2023-11-22", "2023-11-24"]),
        )
    }
    assert refusals(result) == {
        ("left", "2023-11-21"): "minutes of 2023-11-21 cannot be read",
        ("right", "2023-11-21"): "minutes of 2023-11-21 cannot be read",
        ("left", "2023-11-22"): "Low > Open",
    }


def test_an_asset_without_a_partition_leaves_the_others_of_its_step() -> None:
    refused = {f"left 2023-11-{day}": "Low > Open" for day in (20, 22, 24)}
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(build_pair(refused), instance, tags=RANGE)
    assert result.success
    assert events(result, "left") == {}
    assert set(events(result, "right")) == {"2023-11-20", "2023-11-22", "2023-11-24"}


def test_one_asset_of_a_step_can_be_made_alone() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_pair({}).resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("right")], tags=RANGE)
    assert events(result, "left") == {}
    assert set(events(result, "right")) == {"2023-11-20", "2023-11-22", "2023-11-24"}


def test_what_is_read_forward_is_read_in_order_and_judged_by_partition() -> None:
    read = []

    @dg.multi_asset(
        name="forward",
        specs=[dg.AssetSpec("forward", partitions_def=DAYS)],
        check_specs=[contract_check("forward")],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def forward(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        def reading(day: str) -> int | Skipped:
            read.append(day)
            return Skipped("no row") if day == BAD else len(read)

        def computing(number: int) -> str:
            if number == 2:
                raise DataError("a wrong row")
            return f"number {number}"

        def publish(day: str, content: str) -> Materialised:
            return Materialised(content, "commit", 1, True)

        yield from materialise_partitions(
            context, "forward", lambda _: Pipeline(computing, {"forward": publish}, read=reading)
        )

    with dg.DagsterInstance.ephemeral() as instance:
        result = run(dg.Definitions(assets=[forward]), instance, tags=RANGE)
    assert read == ["2023-11-20", "2023-11-21", "2023-11-22", "2023-11-23", "2023-11-24"]
    found = {day: (event.tags or {})[DATA_VERSION_TAG] for day, event in events(result, "forward").items()}
    assert found == {"2023-11-20": "number 1", "2023-11-23": "number 4", "2023-11-24": "number 5"}
    assert refusals(result) == {("forward", "2023-11-21"): "a wrong row"}
