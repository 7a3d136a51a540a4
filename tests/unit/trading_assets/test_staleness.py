"""Which partitions Dagster takes for stale after an input was made again: those, and no others."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from trading_assets.materialise import Materialised, PartitionRecorder, materialise_partitions

DAYS = dg.DailyPartitionsDefinition("2023-11-20", end_date="2023-11-23")
KEYS = ["2023-11-20", "2023-11-21", "2023-11-22"]
RANGE = {"dagster/asset_partition_range_start": KEYS[0], "dagster/asset_partition_range_end": KEYS[-1]}


def build(content: Mapping[str, str]) -> dg.Definitions:
    """minutes -> bars (the same day) -> average (the day and the one before it); `content` is what the source has."""

    def asset(name: str, deps: list[Any], made_of: Mapping[str, str]) -> dg.AssetsDefinition:
        @dg.multi_asset(
            name=name, specs=[dg.AssetSpec(name, partitions_def=DAYS, deps=deps, code_version="1")], can_subset=True
        )
        def made(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
            def produce(day: str) -> Materialised:
                return Materialised(f"{name} of {made_of[day]}", "commit", 1, published=True)

            yield from materialise_partitions(context, name, lambda _: produce)

        return made

    rounded = {day: text.lower() for day, text in content.items()}
    window = dg.TimeWindowPartitionMapping(start_offset=-1, allow_nonexistent_upstream_partitions=True)
    return dg.Definitions(
        assets=[
            asset("minutes", [], content),
            asset("bars", ["minutes"], rounded),
            asset("average", [dg.AssetDep("bars", partition_mapping=window)], rounded),
            _batch_and_routing(content),
        ]
    )


def _batch_and_routing(content: Mapping[str, str]) -> dg.AssetsDefinition:
    """Two assets that one step makes, session by session."""

    def spec(name: str, deps: list[str]) -> dg.AssetSpec:
        return dg.AssetSpec(name, partitions_def=DAYS, deps=deps, code_version="1")

    @dg.multi_asset(name="day", specs=[spec("batch", ["minutes"]), spec("routing", ["batch"])], can_subset=True)
    def day(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        names = [key.to_user_string() for key in sorted(context.selected_asset_keys)]
        recorders = {name: PartitionRecorder(context, name, checked=False) for name in names}
        for key in context.partition_keys:
            for name in names:
                recorders[name].record(key, Materialised(f"{name} of {content[key]}", "commit", 1, published=True))
        for recorder in recorders.values():
            yield recorder.finish()

    return day


def make(instance: dg.DagsterInstance, content: Mapping[str, str], *names: str) -> None:
    defs = dg.Definitions.merge(
        build(content), dg.Definitions(jobs=[dg.define_asset_job("make", selection=list(names))])
    )
    assert defs.resolve_job_def("make").execute_in_process(instance=instance, tags=RANGE).success


def stale(instance: dg.DagsterInstance) -> set[tuple[str, str]]:
    graph = build(dict.fromkeys(KEYS, "")).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    found = {
        (key.to_user_string(), day): resolver.get_status(key, day) for key in graph.get_all_asset_keys() for day in KEYS
    }
    assert StaleStatus.MISSING not in found.values()
    return {where for where, status in found.items() if status is StaleStatus.STALE}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


FIRST = dict(zip(KEYS, ("A", "B", "C"), strict=True))
ALL = ("minutes", "bars", "average", "batch", "routing")


def test_what_was_just_made_is_fresh_also_behind_an_input_of_the_same_step(instance: dg.DagsterInstance) -> None:
    make(instance, FIRST, *ALL)
    assert stale(instance) == set()
    make(instance, FIRST, *ALL)
    assert stale(instance) == set()


def test_a_revised_partition_makes_stale_what_reads_it(instance: dg.DagsterInstance) -> None:
    make(instance, FIRST, *ALL)
    make(instance, {**FIRST, KEYS[1]: "B2"}, "minutes")
    assert stale(instance) == {("bars", KEYS[1]), ("batch", KEYS[1])}
    make(instance, {**FIRST, KEYS[1]: "B2"}, "bars", "batch")
    assert stale(instance) == {("average", KEYS[1]), ("average", KEYS[2]), ("routing", KEYS[1])}
    make(instance, {**FIRST, KEYS[1]: "B2"}, "average", "routing")
    assert stale(instance) == set()


def test_a_revision_that_changes_nothing_further_down_stops_there(instance: dg.DagsterInstance) -> None:
    make(instance, FIRST, "minutes", "bars", "average", "batch", "routing")
    make(instance, {**FIRST, KEYS[1]: "b"}, "minutes", "bars")
    assert stale(instance) == {("batch", KEYS[1])}
