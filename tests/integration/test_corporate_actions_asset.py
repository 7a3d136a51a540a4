"""Corporate actions through Dagster: published when changed, corrected by a new commit, kept where a vendor is down."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml
from harness.vendor_server import Asked, Reply, VendorServer, vendor_server

from resources.configurable import ClockResource, LakeResource, SourcesResource
from resources.lake import open_lake
from resources.lake.reading import Snapshot
from trading.contracts import validate
from trading_assets.corporate_actions import DATASET, UNREVISED_CHECK, VENDORS_CHECK, corporate_action_assets
from trading_assets.settings import Settings

ROWS = """Symbol,ex_date,kind,ratio,amount,currency,announced
AAA,2014-06-09,split,7,,,
AAA,2014-05-08,dividend,,3.29,USD,2014-04-23
BBB,2014-06-10,split,2,,,2014-06-01
"""


class Desk:
    """A home, and runs of the one asset."""

    def __init__(self, home: Path, instance: dg.DagsterInstance) -> None:
        self.home = home
        self.lake = f"file://{home / 'lake'}"
        self.instance = instance
        (home / "universes").mkdir(parents=True)
        (home / "platform.yaml").write_text("first_session: 2014-01-02\n")

    def universe(self, name: str, **content: Any) -> None:
        given = {"source": {"kind": "folder", "path": "data"}, **content}
        (self.home / "universes" / f"{name}.yaml").write_text(yaml.safe_dump(given))

    def actions(self, text: str) -> None:
        (self.home / "actions.csv").write_text(text)

    def run(self, now: str = "2014-06-12T21:00:00+00:00") -> dg.ExecuteInProcessResult:
        resources = {
            "lake": LakeResource(uri=self.lake),
            "sources": SourcesResource(home=str(self.home)),
            "clock": ClockResource(fixed=now),
        }
        return dg.materialize(
            corporate_action_assets(Settings.load(self.home, env={})),
            instance=self.instance,
            resources=resources,
            raise_on_error=False,
        )

    @property
    def head(self) -> Snapshot:
        lake = open_lake(self.lake)
        return Snapshot(lake, lake.resolve("main@"))

    @property
    def rows(self) -> pl.DataFrame:
        return validate(self.head.frame(DATASET), DATASET)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Desk(tmp_path / "home", instance)


def metadata(run: dg.ExecuteInProcessResult) -> Mapping[str, Any]:
    (event,) = run.asset_materializations_for_node(DATASET)
    return {name: value.value for name, value in event.metadata.items()}


def check(desk: Desk, run: dg.ExecuteInProcessResult, name: str) -> dg.AssetCheckEvaluation:
    logged = desk.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    evaluations = [entry.get_dagster_event().asset_check_evaluation_data for entry in logged]
    (found,) = [evaluation for evaluation in evaluations if evaluation.check_name == name]
    return found


def own(**content: Any) -> dict[str, Any]:
    return {"symbols": ["AAA", "BBB"], "corporate_actions": {"kind": "csv", "path": "actions.csv"}, **content}


def test_published_once_and_unchanged_the_second_time(desk: Desk) -> None:
    desk.universe("us", **own())
    desk.actions(ROWS)
    first = desk.run()
    assert first.success and metadata(first)["published"] is True
    assert desk.rows.select("Symbol", "kind").rows() == [("AAA", "dividend"), ("AAA", "split"), ("BBB", "split")]
    head = desk.head.ref
    desk.actions("\n".join([ROWS.splitlines()[0], *reversed(ROWS.splitlines()[1:])]))  # the same rows in another order
    second = desk.run()
    assert second.success and metadata(second)["published"] is False and desk.head.ref == head
    assert metadata(second)["kinds"] == {"dividend": 1, "split": 2}
    assert all(check(desk, second, name).passed for name in ("contract", VENDORS_CHECK, UNREVISED_CHECK))


def data_version(desk: Desk) -> str:
    event = desk.instance.get_latest_materialization_event(dg.AssetKey(DATASET))
    assert event is not None and event.asset_materialization is not None
    tags = event.asset_materialization.tags
    assert tags is not None
    return tags["dagster/data_version"]


def test_only_what_changes_a_view_of_the_past_makes_what_rests_on_it_stale(desk: Desk) -> None:
    desk.universe("us", **own())
    desk.actions(ROWS.splitlines()[0])
    desk.run()
    versions = [data_version(desk)]

    def then(text: str, now: str) -> bool:
        """Whether Dagster takes what was made from the actions for stale."""
        desk.actions(text)
        assert desk.run(now).success
        versions.append(data_version(desk))
        return versions[-1] != versions[-2]

    ahead = ROWS + "BBB,2014-07-01,split,3,,,2014-06-20\n"
    assert then(ROWS, "2014-06-12T21:00:00+00:00")  # the first ones: bars were taken as they are before
    assert not then(ROWS, "2014-06-13T21:00:00+00:00")
    assert not then(ahead, "2014-06-20T21:00:00+00:00")  # announced, for a day to come
    assert not then(ahead, "2014-07-01T21:00:00+00:00")  # and there it is
    assert then(ahead.replace("split,7", "split,8"), "2014-07-02T21:00:00+00:00")
    assert then(ahead + "AAA,2014-06-02,split,2,,,\n", "2014-07-03T21:00:00+00:00")  # came late


def test_a_correction_is_a_new_commit_and_is_told(desk: Desk) -> None:
    desk.universe("us", **own())
    desk.actions(ROWS)
    assert desk.run().success
    old = desk.head.ref
    desk.actions(ROWS.replace("split,7", "split,8"))
    second = desk.run()
    assert second.success and metadata(second)["published"] is True
    told = check(desk, second, UNREVISED_CHECK)
    assert not told.passed and "gone: AAA 2014-06-09 split 7.0" in (told.description or "")
    lake = open_lake(desk.lake)
    assert Snapshot(lake, old).frame(DATASET).filter(kind="split", Symbol="AAA")["ratio"].item() == 7.0
    assert desk.rows.filter(kind="split", Symbol="AAA")["ratio"].item() == 8.0


def test_what_is_announced_is_no_revision_and_what_comes_late_is_one(desk: Desk) -> None:
    desk.universe("us", **own())
    desk.actions(ROWS)
    assert desk.run().success
    today = dt.datetime.now(dt.UTC).date()  # commits carry the time at which they were made
    ahead = (today + dt.timedelta(days=30)).isoformat()
    desk.actions(ROWS + f"BBB,{ahead},split,3,,,\n")
    announced = desk.run(now=dt.datetime.now(dt.UTC).isoformat())
    assert check(desk, announced, UNREVISED_CHECK).passed and desk.rows.height == 4
    desk.actions(ROWS + f"BBB,{ahead},split,3,,,\nBBB,2014-03-03,split,5,,,\n")
    late = desk.run(now=dt.datetime.now(dt.UTC).isoformat())
    told = check(desk, late, UNREVISED_CHECK)
    assert not told.passed and told.description == "late: BBB 2014-03-03 split 5.0"


def test_without_a_source_the_dataset_is_there_and_empty(desk: Desk) -> None:
    desk.universe("us")
    run = desk.run()
    assert run.success and desk.rows.is_empty()
    assert "no universe" in metadata(run)["source"]


def test_rows_that_disagree_are_refused_and_main_stays(desk: Desk) -> None:
    desk.universe("us", **own())
    desk.actions(ROWS)
    assert desk.run().success
    head = desk.head.ref
    desk.actions(ROWS + "AAA,2014-06-09,split,8,,,\n")
    run = desk.run()
    assert not run.success and desk.head.ref == head
    assert not check(desk, run, "contract").passed and "conflicting_actions" in (
        check(desk, run, "contract").description or ""
    )


@pytest.fixture
def eodhd(monkeypatch: pytest.MonkeyPatch) -> Iterator[VendorServer]:
    def answer(asked: Asked) -> Reply:
        if asked.path.endswith("GONE.US"):
            return Reply(404, b"Ticker Not Found.", content_type="text/html")
        splits = [{"date": "2014-06-09", "split": "4.000000/1.000000"}] if "splits" in asked.path else []
        return Reply(body=json.dumps(splits).encode())

    monkeypatch.setenv("EODHD_API_KEY", "canaryKeyOfTheAsset_9")
    with vendor_server(answer) as server:
        yield server


def test_a_vendor_that_is_down_leaves_what_was_known_and_no_other_universe_waits(
    desk: Desk, eodhd: VendorServer
) -> None:
    desk.universe("us", **own())
    vendor = {"kind": "eodhd", "base_url": eodhd.url, "patience_seconds": 0.2}
    desk.universe("more", symbols=["CCC", "DDD"], corporate_actions=vendor)
    desk.actions(ROWS)
    assert desk.run().success and desk.rows.height == 5
    eodhd.faults.extend([Reply(503, b"busy")] * 50)
    desk.actions(ROWS + "BBB,2014-06-11,split,3,,,\n")
    run = desk.run()
    assert run.success
    assert desk.rows["Symbol"].to_list() == ["AAA", "AAA", "BBB", "BBB", "CCC", "DDD"]
    told = check(desk, run, VENDORS_CHECK)
    assert (
        not told.passed
        and told.severity == dg.AssetCheckSeverity.ERROR
        and "universe more: eodhd" in (told.description or "")
    )
    eodhd.faults.clear()
    again = desk.run()
    assert check(desk, again, VENDORS_CHECK).passed and metadata(again)["published"] is False


def test_a_symbol_that_the_vendor_drops_keeps_its_actions(desk: Desk, eodhd: VendorServer) -> None:
    vendor = {"kind": "eodhd", "base_url": eodhd.url}
    desk.universe("us", symbols=["CCC", "GONE"], corporate_actions={**vendor, "tickers": {"GONE": "OLD.US"}})
    assert desk.run().success and desk.rows["Symbol"].to_list() == ["CCC", "GONE"]
    desk.universe("us", symbols=["CCC", "GONE"], corporate_actions=vendor)
    run = desk.run()
    assert run.success and desk.rows["Symbol"].to_list() == ["CCC", "GONE"]
    told = check(desk, run, VENDORS_CHECK)
    assert (
        not told.passed
        and told.severity == dg.AssetCheckSeverity.WARN
        and (told.description or "").startswith("GONE: ")
    )
    assert check(desk, run, UNREVISED_CHECK).passed
