"""The warning about revisions, on minutes that are published by hand."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from resources.configurable import ClockResource, LakeResource, LedgerResource
from resources.lake import open_lake
from resources.lake.publish import Publisher
from resources.lake.reading import Snapshot
from trading.contracts import BAR_COLUMNS
from trading_assets.revisions import DATASET, OVERVIEW_FILE, UNREVISED_CHECK, revision_assets, revision_checks

DAYS = [dt.date(2023, 10, day) for day in range(1, 9)]
PARTITIONS = dg.DailyPartitionsDefinition(str(DAYS[0]), end_date="2023-10-09")


class Desk:
    def __init__(self, home: Path, instance: dg.DagsterInstance) -> None:
        self.uri = (home / "lake").as_uri()
        self.instance = instance
        self.defs = dg.Definitions(
            assets=[dg.AssetSpec("m1_bars", partitions_def=PARTITIONS), *revision_assets(PARTITIONS)],
            asset_checks=revision_checks(),
            resources={
                "lake": LakeResource(uri=self.uri),
                "ledger": LedgerResource(url=f"sqlite:///{home / 'ledger.db'}"),
                "clock": ClockResource(),
            },
        )

    def deliver(self, close: float, *days: dt.date) -> None:
        with open_lake(self.uri) as lake:
            publisher = Publisher(lake, run_id="r", code_version="1", clock=lambda: dt.datetime.now(dt.UTC))
            for day in days:
                at = dt.datetime.combine(day, dt.time(13, 30), dt.UTC)
                row = ("AAA", at, 100.0, 200.0, 50.0, close, 10, day)
                frame = pl.DataFrame([row], schema=dict(BAR_COLUMNS), orient="row")
                publisher.publish("m1_bars", {"session": str(day)}, frame, audit=None, inputs={})

    def run(self, *, without_check: bool = False) -> dg.AssetCheckEvaluation | None:
        """Over all sessions; what the check said."""
        selection = dg.AssetSelection.assets(DATASET)
        if without_check:
            selection = selection - dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(DATASET), UNREVISED_CHECK))
        job = dg.define_asset_job("revisions", selection=selection, executor_def=dg.in_process_executor)
        defs = dg.Definitions.merge(self.defs, dg.Definitions(jobs=[job]))
        tags = {
            "dagster/asset_partition_range_start": str(DAYS[0]),
            "dagster/asset_partition_range_end": str(DAYS[-1]),
        }
        result = defs.resolve_job_def("revisions").execute_in_process(instance=self.instance, tags=tags)
        assert result.success
        found = [one for one in result.get_asset_check_evaluations() if one.check_name == UNREVISED_CHECK]
        return found[0] if found else None

    def revised(self) -> dict[str, int]:
        with open_lake(self.uri) as lake:
            snapshot = Snapshot(lake, lake.resolve("main@"))
            rows = snapshot.scan(DATASET, file=OVERVIEW_FILE).group_by("session").len().collect()
            return {str(day): count for day, count in rows.iter_rows()}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Desk(tmp_path, instance)


def test_a_vendor_that_restates_many_sessions_gives_one_warning_with_the_first_named(desk: Desk) -> None:
    desk.deliver(100.0, *DAYS)
    seen = desk.run()
    assert seen is not None and seen.passed
    desk.deliver(101.0, *DAYS[:7])
    seen = desk.run()
    assert seen is not None and not seen.passed and seen.description is not None
    assert seen.metadata["figure"].value == "7 rows in 7 sessions, prices by up to 100.0 bps"
    assert seen.metadata["command"].value == "trading revisions show 2023-10-01"
    named = [str(day) in seen.description for day in DAYS]
    assert named == [True] * 5 + [False] * 3
    assert seen.description.endswith("and 2 more sessions: `trading revisions`")
    assert "0 backtests, 0 decisions, 0 orders used the old ones" in seen.description
    again = desk.run()
    assert again is not None and again.passed, "all seven were told, also those that were not named"
    assert desk.revised() == {str(day): 1 for day in DAYS[:7]}


def test_what_a_run_without_its_check_left_untold_is_told_by_the_next(desk: Desk) -> None:
    desk.deliver(100.0, *DAYS)
    desk.deliver(102.0, DAYS[3])
    assert desk.run(without_check=True) is None
    assert desk.revised() == {str(DAYS[3]): 1}
    seen = desk.run()
    assert seen is not None and not seen.passed
    assert seen.metadata["figure"].value == "1 row of 1 Symbol, prices by up to 200.0 bps"
    desk.deliver(103.0, DAYS[3])
    seen = desk.run()
    assert seen is not None and not seen.passed
    told = seen.metadata["revisions"].value
    assert isinstance(told, list) and len(told) == 1, "only the second revision is new"
    assert desk.revised() == {str(DAYS[3]): 2}
