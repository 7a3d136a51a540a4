"""The versions of a partition, and which of them a commit saw: on every kind of lake."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from harness.lake_implementations import IMPLEMENTATIONS

from resources.lake import Lake
from resources.lake.embedded import EmbeddedLake
from resources.lake.publish import Publisher
from resources.lake.reading import Snapshot
from resources.lake.revisions import Timeline, versions
from resources.ledger import Ledger
from trading.contracts import BAR_COLUMNS
from trading_assets.old_bars import users_of_old_bars
from trading_assets.revisions import revisions

pytestmark = pytest.mark.parametrize("lake_provided", IMPLEMENTATIONS, indirect=True)
DAY = {"session": "2024-01-02"}
OTHER = {"session": "2024-01-03"}


def publisher(lake: Lake, run: str = "r") -> Publisher:
    return Publisher(lake, run_id=run, code_version="1", clock=lambda: datetime.now(UTC))


def publish(lake: Lake, dataset: str, partition: dict[str, str], data: bytes, report: bytes = b"") -> str:
    files = {"data.parquet": data, "report.parquet": report}
    return publisher(lake).publish(dataset, partition, files, audit=None, inputs={}).commit_id


def test_every_content_of_the_data_file_is_a_version_and_nothing_else_is(lake: Lake) -> None:
    first = publish(lake, "bars", DAY, b"1")
    publish(lake, "bars", OTHER, b"1")
    assert publish(lake, "bars", DAY, b"1") == first, "the same bytes again"
    second = publish(lake, "bars", DAY, b"2")
    publish(lake, "bars", DAY, b"2", report=b"of another kind")
    back = publish(lake, "bars", DAY, b"1")
    head = publisher(lake).snapshot()
    found = versions(head, "bars", DAY)
    assert [version.commit.id for version in found] == [first, second, back]
    assert found[0].holds_the_same_as(found[2]) and not found[0].holds_the_same_as(found[1])
    assert [version.commit.id for version in versions(Snapshot(lake, second), "bars", DAY)] == [first, second]
    assert len(versions(head, "bars", OTHER)) == 1
    assert versions(head, "bars", {"session": "2024-01-04"}) == []


def test_a_commit_sees_the_version_that_stood_then(lake: Lake) -> None:
    before = publish(lake, "bars", OTHER, b"0")
    first = publish(lake, "bars", DAY, b"1")
    signals = publish(lake, "signals", DAY, b"s")
    second = publish(lake, "bars", DAY, b"2")
    head = publisher(lake).snapshot()
    known = versions(head, "bars", DAY)
    timeline = Timeline(head, known[0].commit.id)

    def seen(at: str) -> str | None:
        version = timeline.version_at(known, at)
        return None if version is None else version.commit.id

    assert [seen(at) for at in (before, first, signals, second)] == [None, first, first, second]
    made = timeline.made_by("signals", "session=2024-01-02", head.ref)
    assert made is not None and made.id == signals
    assert timeline.made_by("signals", "session=2024-01-02", first) is None, "not made yet"
    assert timeline.made_by("bars", "session=2024-01-03", head.ref) is None, "made before this history begins"
    assert timeline.commit(before) is None
    assert set(timeline.partitions()) == {("bars", "session=2024-01-02"), ("signals", "session=2024-01-02")}


def test_the_users_of_old_bars_are_found_on_every_lake(lake: Lake, tmp_path: Path) -> None:
    def minutes(close: float) -> str:
        row = ("AAA", datetime(2024, 1, 2, 14, 30, tzinfo=UTC), 10.0, 12.0, 9.0, close, 100, date(2024, 1, 2))
        frame = pl.DataFrame([row], schema=dict(BAR_COLUMNS), orient="row")
        return publisher(lake).publish("m1_bars", DAY, frame, audit=None, inputs={}).commit_id

    def made(dataset: str, partition: dict[str, str], content: pl.DataFrame, *inputs: str) -> None:
        reads = dict.fromkeys(inputs, lake.resolve("main@"))
        publisher(lake).publish(dataset, partition, content, audit=None, inputs=reads)

    def backtest(sharpe: float) -> None:
        row = {
            "variant": "v",
            "session": date(2024, 1, 2),
            "horizon": "1m",
            "first": date(2024, 1, 2),
            "sharpe": sharpe,
        }
        made("backtest", {**DAY, "variant": "v"}, pl.DataFrame([row]), "m5_bars", "signals")

    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    first = minutes(11.0)
    made("m5_bars", DAY, pl.DataFrame({"Close": [11.0]}), "m1_bars")
    backtest(1.0)
    assert users_of_old_bars(lake, ledger, date(2024, 1, 2)).counts["backtests"] == 0
    second = minutes(11.5)
    found = users_of_old_bars(lake, ledger, date(2024, 1, 2))
    assert [(one.variant, one.horizon) for one in found.backtests] == [("v", "1m")]
    assert (found.versions, found.newest_commit) == (2, second) and first != second
    seen = revisions(publisher(lake).snapshot(), date(2024, 1, 2))
    assert seen is not None and seen[1].select("column", "old", "new").rows() == [("Close", 11.0, 11.5)]
    made("m5_bars", DAY, pl.DataFrame({"Close": [11.5]}), "m1_bars")
    backtest(2.0)
    assert users_of_old_bars(lake, ledger, date(2024, 1, 2)).backtests == ()


def test_reading_a_long_history_says_how_far_it_is(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.lake.revisions._COMMITS_A_REPORT", 2)
    first = publish(lake, "bars", DAY, b"1")
    for number in range(4):
        publish(lake, "other", DAY, bytes([number]))
    reports: list[tuple[int, int]] = []
    Timeline(publisher(lake).snapshot(), first, lambda done, total: reports.append((done, total)))
    assert [done for done, _ in reports] == [2, 4]
    assert all(total >= done for done, total in reports)


def test_a_version_whose_content_retention_took_is_known_by_its_commit(lake: Lake) -> None:
    if not isinstance(lake, EmbeddedLake):
        pytest.skip("retention of a server is the server's own")
    first = publish(lake, "bars", DAY, b"1")
    second = publish(lake, "bars", DAY, b"2")
    lake.gc(timedelta(0), grace=timedelta(0))
    found = versions(publisher(lake).snapshot(), "bars", DAY)
    assert [version.commit.id for version in found] == [first, second]
    assert found[0].checksum is None and found[1].checksum
    assert not found[0].holds_the_same_as(found[1])
