"""Write, audit, publish: what lands on main, what does not, and what is written about it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from harness.lake_implementations import IMPLEMENTATIONS, Provided

from resources.lake import (
    Contention,
    Gone,
    InvalidName,
    Lake,
    LakeUnavailable,
    MergeConflict,
    ObjectNotFound,
    Overtaken,
    open_lake,
)
from resources.lake.embedded import EmbeddedLake
from resources.lake.layout import EncodedFrame, encode_frame, object_path, partition_path
from resources.lake.leftovers import remove_leftover_branches, remove_old_quarantine
from resources.lake.publish import AuditFailed, Publisher
from resources.lake.reading import Reader, Snapshot
from trading.errors import ContractViolation

everywhere = pytest.mark.parametrize("lake_provided", IMPLEMENTATIONS, indirect=True)

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
FRAME = pl.DataFrame({"Symbol": ["A", "B"], "Close": [1.5, 2.5]})
SESSION = {"session": "2024-03-01"}


def publisher(lake: Lake, run_id: str = "run-1") -> Publisher:
    return Publisher(lake, run_id=run_id, code_version="abc", clock=lambda: NOW)


def refuse(reader: Reader) -> None:
    assert reader.frame().height
    raise ContractViolation("Close must be below 2", contract="bars", rule="close_bound")


def heads(lake: Lake) -> tuple[str, dict[str, str]]:
    return lake.resolve("main"), lake.list_branches()


@everywhere
class TestPublishing:
    def test_a_partition_lands_with_its_record(self, lake: Lake) -> None:
        seen: list[pl.DataFrame] = []
        done = publisher(lake).publish(
            "m5_bars",
            {"session": "2024-03-01", "variant": "risk1"},
            {"data.parquet": FRAME, "notes.json": b"{}"},
            audit=lambda reader: seen.append(reader.frame()),
            inputs={"m1_bars": "0f" * 32},
            metadata={"trigger": "schedule"},
        )
        assert done.published and done.rows == 2 and done.partition == "session=2024-03-01/variant=risk1"
        assert done.paths == (
            "m5_bars/session=2024-03-01/variant=risk1/data.parquet",
            "m5_bars/session=2024-03-01/variant=risk1/notes.json",
        )
        assert seen[0].equals(FRAME)
        assert [item.path for item in lake.list("main")] == list(done.paths)
        commit = lake.get_commit("main")
        assert commit.id == done.commit_id
        record = dict(commit.metadata)
        assert record.pop("wap_branch") == done.branch
        assert record == {
            "run_id": "run-1",
            "asset_key": "m5_bars",
            "partition": done.partition,
            "code_version": "abc",
            "inputs": json.dumps({"m1_bars": "0f" * 32}),
            "rows": json.dumps({"data.parquet": 2}),
            "data_version": done.data_version,
            "trigger": "schedule",
        }
        assert dict(lake.get_commit(commit.parents[1]).metadata) == dict(commit.metadata)
        assert list(lake.list_branches()) == ["main"]

    def test_the_same_again_publishes_nothing_and_names_the_commit_that_did(self, lake: Lake) -> None:
        first = publisher(lake).publish("d", SESSION, FRAME, audit=None, inputs={})
        publisher(lake).publish("d", {"session": "other"}, FRAME, audit=None, inputs={})
        before = heads(lake)
        again = publisher(lake, "run-2").publish("d", SESSION, FRAME.clone(), audit=None, inputs={"x": "y"})
        assert not again.published and again.branch == ""
        assert (again.commit_id, again.data_version) == (first.commit_id, first.data_version)
        assert heads(lake) == before
        assert publisher(lake).snapshot().data_version("d", SESSION) == first.data_version
        with pytest.raises(ObjectNotFound):
            publisher(lake).snapshot().data_version("d", "session=none")

    def test_new_content_replaces_the_whole_partition_and_only_it(self, lake: Lake) -> None:
        with_extra: dict[str, Any] = {"data.parquet": FRAME, "extra.txt": b"1"}
        first = publisher(lake).publish("d", SESSION, with_extra, audit=None, inputs={})
        deeper = {**SESSION, "variant": "v"}
        publisher(lake).publish("d", deeper, FRAME, audit=None, inputs={})
        publisher(lake).publish("d", "", {"index.json": b"[]"}, audit=None, inputs={})
        second = publisher(lake).publish("d", SESSION, FRAME.head(1), audit=None, inputs={})
        assert second.published and second.data_version != first.data_version
        assert [item.path for item in lake.list("main")] == [
            "d/index.json",
            "d/session=2024-03-01/data.parquet",
            "d/session=2024-03-01/variant=v/data.parquet",
        ]
        assert publisher(lake).read_frame(first.commit_id, "d", SESSION).equals(FRAME)
        assert lake.get(first.commit_id, "d/session=2024-03-01/extra.txt") == b"1"

    def test_going_back_to_earlier_content_is_a_publish_of_its_own(self, lake: Lake) -> None:
        one = publisher(lake).publish("d", SESSION, FRAME, audit=None, inputs={})
        publisher(lake).publish("d", SESSION, FRAME.head(1), audit=None, inputs={})
        three = publisher(lake).publish("d", SESSION, FRAME, audit=None, inputs={})
        assert three.published
        assert three.data_version == one.data_version and three.commit_id != one.commit_id

    def test_two_runs_on_one_partition_end_with_the_later_content_whole(self, lake: Lake) -> None:
        other = publisher(lake, "other")
        inner: list[Any] = []

        def meanwhile(reader: Reader) -> None:
            if not inner:
                inner.append(other.publish("d", SESSION, {"a": b"other", "b": b"other"}, audit=None, inputs={}))

        files = {"a": b"mine", "c": b"mine"}
        done = publisher(lake).publish("d", SESSION, files, audit=meanwhile, inputs={})
        assert done.published and inner[0].published
        found = {item.path[-1]: lake.get("main", item.path) for item in lake.list("main", "d/")}
        assert found == {"a": b"mine", "c": b"mine"}
        assert list(lake.list_branches()) == ["main"]

    def test_files_of_other_names_from_two_runs_are_not_mixed(self, lake: Lake) -> None:
        other, met = publisher(lake, "other"), []

        def meanwhile(reader: Reader) -> None:
            if not met:
                met.append(other.publish("d", SESSION, {"a": b"same", "b": b"1"}, audit=None, inputs={}))

        done = publisher(lake).publish("d", SESSION, {"a": b"same", "c": b"2"}, audit=meanwhile, inputs={})
        found = {item.path[-1]: lake.get("main", item.path) for item in lake.list("main", "d/")}
        assert found == {"a": b"same", "c": b"2"} and done.commit_id == lake.resolve("main")
        again = publisher(lake).publish("d", SESSION, {"a": b"same", "c": b"2"}, audit=None, inputs={})
        assert (again.published, again.commit_id) == (False, done.commit_id)

    def test_after_a_file_was_removed_the_commit_named_has_exactly_the_content(self, lake: Lake) -> None:
        publisher(lake).publish("d", SESSION, {"a": b"1", "b": b"1"}, audit=None, inputs={})
        publisher(lake).publish("d", SESSION, {"a": b"1"}, audit=None, inputs={})
        again = publisher(lake).publish("d", SESSION, {"a": b"1"}, audit=None, inputs={})
        assert not again.published
        assert [item.path[-1] for item in lake.list(again.commit_id, "d/")] == ["a"]

    def test_a_conflict_without_end_is_raised_and_leaves_no_branch(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("resources.lake.publish._PAUSE_SECONDS", 0.0)
        other, numbers = publisher(lake, "other"), iter(range(100))

        def meanwhile(reader: Reader) -> None:
            other.publish("d", SESSION, {"a": f"other {next(numbers)}".encode()}, audit=None, inputs={})

        with pytest.raises((MergeConflict, Contention)):
            publisher(lake).publish("d", SESSION, {"a": b"mine"}, audit=meanwhile, inputs={})
        assert lake.get("main", "d/session=2024-03-01/a").startswith(b"other")
        assert list(lake.list_branches()) == ["main"]

    def test_many_processes(self, lake: Lake, lake_uri: str, in_processes: Callable[..., list[Any]]) -> None:
        jobs = [(lake_uri, f"r{n}", "d", f"session={n}", f"text {n}") for n in range(5)]
        same = [(lake_uri, f"s{n}", "d", "session=same", f"same {n}") for n in range(3)]
        commits = in_processes("publish", jobs + same)
        assert len(set(commits)) == 8
        for _, _, dataset, partition, text in jobs:
            for part in "ab":
                assert lake.get("main", f"{dataset}/{partition}/{part}.bin") == f"{text} {part}".encode()
        halves = {lake.get("main", f"d/session=same/{part}.bin")[:-2] for part in "ab"}
        assert halves < {b"same 0", b"same 1", b"same 2"} and len(halves) == 1

    @pytest.mark.parametrize("partition", ["session", "=x", "a b=1", {"s": "a/b"}, {"s": "50%"}, {"s": ""}])
    def test_malformed_partitions(self, lake: Lake, partition: Any) -> None:
        with pytest.raises(InvalidName):
            publisher(lake).publish("d", partition, FRAME, audit=None, inputs={})

    def test_malformed_datasets_and_files(self, lake: Lake) -> None:
        for dataset, file in [("", "f"), ("a//b", "f"), ("a b", "f"), ("d", ""), ("d", "x/y"), ("d", "k=v")]:
            with pytest.raises(InvalidName):
                publisher(lake).publish(dataset, "", {file: b""}, audit=None, inputs={})


class TestOfTheEmbeddedLake:
    """What content-addressed files on this disk allow, and what they can suffer."""

    def test_content_whose_commit_is_past_retention_is_named_by_the_head(self, lake: Lake) -> None:
        assert isinstance(lake, EmbeddedLake)
        first = publisher(lake).publish("d", SESSION, FRAME, audit=None, inputs={})
        head = publisher(lake).publish("d", "session=later", FRAME, audit=None, inputs={}).commit_id
        lake.gc(timedelta(0), grace=timedelta(0))
        with pytest.raises(Gone):
            lake.list(first.commit_id)
        again = publisher(lake).publish("d", SESSION, FRAME, audit=None, inputs={})
        assert (again.published, again.commit_id) == (False, head)

    @pytest.mark.parametrize("damage", ["flipped", "missing"])
    @pytest.mark.parametrize("audited", [True, False])
    def test_the_same_content_again_mends_what_cannot_be_read(self, lake: Lake, damage: str, audited: bool) -> None:
        assert isinstance(lake, EmbeddedLake)
        done = publisher(lake).publish("d", SESSION, FRAME, audit=None, inputs={})
        file = lake.local_path("main", done.paths[0])
        file.chmod(0o644)
        content = file.read_bytes()
        if damage == "flipped":
            file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        else:
            file.unlink()
        assert len(list(lake.verify())) == 1
        audit = (lambda reader: reader.frame()) if audited else None
        again = publisher(lake).publish("d", SESSION, FRAME, audit=audit, inputs={})
        assert (again.published, again.commit_id) == (False, done.commit_id)
        assert list(lake.verify()) == [] and file.read_bytes() == content
        assert list(lake.list_branches()) == ["main"] and lake.list_tags() == {}


@everywhere
class TestTwoRuns:
    """Of two runs that make one partition, the one that comes second is told, and publishes nothing."""

    def test_the_second_is_told_who_was_first_and_main_keeps_the_first(self, lake: Lake) -> None:
        publisher(lake, "run-0").publish("d", SESSION, {"a": b"0"}, audit=None, inputs={})
        second = publisher(lake, "run-2")
        read_at = second.pin()
        first = publisher(lake, "run-1").publish("d", SESSION, {"a": b"1"}, audit=None, inputs={}, since=read_at)
        publisher(lake, "run-3").publish("other", SESSION, {"a": b"3"}, audit=None, inputs={})
        before = heads(lake)
        with pytest.raises(Overtaken, match=f"d/session=2024-03-01: run run-1 .*{first.commit_id[:16]}") as told:
            second.publish("d", SESSION, {"a": b"2"}, audit=None, inputs={}, since=read_at)
        assert (told.value.by_run, told.value.commit_id) == ("run-1", first.commit_id)
        assert heads(lake) == before
        assert lake.get("main", "d/session=2024-03-01/a") == b"1"
        again = second.publish("d", SESSION, {"a": b"2"}, audit=None, inputs={}, since=second.pin())
        assert again.published and lake.get("main", "d/session=2024-03-01/a") == b"2"

    def test_a_partition_that_was_new_to_both(self, lake: Lake) -> None:
        second = publisher(lake, "run-2")
        read_at = second.pin()
        publisher(lake, "run-1").publish("d", SESSION, {"a": b"1"}, audit=None, inputs={}, since=read_at)
        with pytest.raises(Overtaken, match="run-1"):
            second.publish("d", SESSION, {"a": b"2"}, audit=None, inputs={}, since=read_at)

    def test_other_partitions_in_between_do_not_matter(self, lake: Lake) -> None:
        mine = publisher(lake, "run-2")
        read_at = mine.pin()
        publisher(lake, "run-1").publish("d", "session=other", {"a": b"1"}, audit=None, inputs={}, since=read_at)
        assert mine.publish("d", SESSION, {"a": b"2"}, audit=None, inputs={}, since=read_at).published

    def test_the_same_content_from_both_is_no_quarrel(self, lake: Lake) -> None:
        second = publisher(lake, "run-2")
        read_at = second.pin()
        first = publisher(lake, "run-1").publish("d", SESSION, {"a": b"1"}, audit=None, inputs={}, since=read_at)
        done = second.publish("d", SESSION, {"a": b"1"}, audit=None, inputs={}, since=read_at)
        assert (done.published, done.commit_id) == (False, first.commit_id)

    def test_overtaken_in_the_very_moment_of_the_merge(self, lake: Lake) -> None:
        publisher(lake, "run-0").publish("d", SESSION, {"a": b"0"}, audit=None, inputs={})
        second = publisher(lake, "run-2")
        met: list[Any] = []

        def meanwhile(_: Reader) -> None:
            if not met:
                met.append(publisher(lake, "run-1").publish("d", SESSION, {"a": b"1"}, audit=None, inputs={}))

        with pytest.raises(Overtaken, match="run-1"):
            second.publish("d", SESSION, {"a": b"2"}, audit=meanwhile, inputs={}, since=second.pin())
        assert lake.get("main", "d/session=2024-03-01/a") == b"1"
        assert list(lake.list_branches()) == ["main"]

    def test_files_of_two_runs_do_not_stay_mixed(self, lake: Lake) -> None:
        second, met = publisher(lake, "run-2"), []

        def meanwhile(_: Reader) -> None:
            if not met:
                files = {"a": b"same", "b": b"1"}
                met.append(publisher(lake, "run-1").publish("d", SESSION, files, audit=None, inputs={}))

        files = {"a": b"same", "c": b"2"}
        done = second.publish("d", SESSION, files, audit=meanwhile, inputs={}, since=second.pin())
        assert done.published
        assert {item.path[-1]: lake.get("main", item.path) for item in lake.list("main", "d/")} == files


@everywhere
class TestAudit:
    def test_what_fails_stays_off_main_and_under_a_tag(self, lake: Lake) -> None:
        good = publisher(lake).publish("bars", SESSION, FRAME.head(1), audit=None, inputs={})
        with pytest.raises(AuditFailed, match="Close must be below 2") as caught:
            publisher(lake, "run/2").publish("bars", SESSION, FRAME, audit=refuse, inputs={})
        error = caught.value
        assert isinstance(error.__cause__, ContractViolation)
        assert error.tag == "quarantine-bars-session-2024-03-01-run-2"
        assert (error.dataset, error.partition) == ("bars", "session=2024-03-01")
        assert f"trading lake show {error.tag} bars/session=2024-03-01/data.parquet" in str(error)
        assert lake.resolve("main") == good.commit_id
        assert lake.list_tags() == {error.tag: error.commit_id}
        assert Snapshot(lake, error.tag).frame("bars", SESSION).equals(FRAME)
        assert lake.get_commit(error.tag).metadata["refused"] == "Close must be below 2"
        assert list(lake.list_branches()) == ["main"]

    def test_each_failure_of_a_run_has_its_tag(self, lake: Lake) -> None:
        tags = []
        for height in (1, 2):
            with pytest.raises(AuditFailed) as caught:
                publisher(lake).publish("bars", SESSION, FRAME.head(height), audit=refuse, inputs={})
            tags.append(caught.value.tag)
        assert tags == [(stem := "quarantine-bars-session-2024-03-01-run-1"), f"{stem}-2"]
        assert [Snapshot(lake, tag).frame("bars", SESSION).height for tag in tags] == [1, 2]

    def test_content_already_on_main_is_judged_too(self, lake: Lake) -> None:
        done = publisher(lake).publish("bars", SESSION, FRAME, audit=None, inputs={})
        with pytest.raises(AuditFailed, match="holds this very content"):
            publisher(lake).publish("bars", SESSION, FRAME, audit=refuse, inputs={})
        assert lake.resolve("main") == done.commit_id

    def test_the_tag_says_what_was_refused_also_of_content_from_before(self, lake: Lake) -> None:
        publisher(lake).publish("bars", SESSION, FRAME, audit=None, inputs={})
        with pytest.raises(AuditFailed) as refused:
            publisher(lake, "run-2").publish("bars", SESSION, FRAME, audit=refuse, inputs={})
        record = lake.get_commit(refused.value.tag).metadata
        assert (record["asset_key"], record["partition"], record["run_id"]) == ("bars", "session=2024-03-01", "run-2")
        assert record["refused"] == "Close must be below 2"
        assert Snapshot(lake, refused.value.tag).frame("bars", SESSION).equals(FRAME)
        assert list(lake.list_branches()) == ["main"]

    def test_a_lake_that_cannot_be_read_is_no_refusal(self, lake: Lake) -> None:
        def unreadable(reader: Reader) -> None:
            raise LakeUnavailable("gone for a walk")

        with pytest.raises(LakeUnavailable):
            publisher(lake).publish("bars", SESSION, FRAME, audit=unreadable, inputs={})
        assert lake.list_tags() == {} and list(lake.list_branches()) == ["main"]

    def test_a_fault_in_the_audit_publishes_nothing_and_is_not_dressed_up(self, lake: Lake) -> None:
        before = heads(lake)

        def broken(reader: Reader) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            publisher(lake).publish("bars", SESSION, FRAME, audit=broken, inputs={})
        assert heads(lake) == before and lake.list_tags() == {}

    def test_an_audit_reads_other_datasets_and_its_own_files(self, lake: Lake) -> None:
        publisher(lake).publish("other", SESSION, FRAME.head(1), audit=None, inputs={})
        seen: list[Any] = []

        def audit(reader: Reader) -> None:
            seen.append((reader.files(), reader.content("n"), reader.path("n").read_bytes()))
            seen.append(reader.snapshot.frame("other", SESSION).height)

        publisher(lake).publish("bars", SESSION, {"n": b"1", "m": b"2"}, audit=audit, inputs={})
        assert seen == [(["m", "n"], b"1", b"1"), 1]


@everywhere
class TestReading:
    def test_scan_reads_partitions_in_the_order_asked_and_in_place(self, lake: Lake) -> None:
        work = publisher(lake)
        for day in range(1, 8):
            frame = pl.DataFrame({"day": [day] * day})
            work.publish("d", {"session": f"2024-03-{day:02d}"}, frame, audit=None, inputs={})
        pin = work.pin()
        work.publish("d", {"session": "2024-03-01"}, pl.DataFrame({"day": [99]}), audit=None, inputs={})
        everything = work.scan_frames(pin, "d").collect()
        assert everything["day"].to_list() == [day for day in range(1, 8) for _ in range(day)]
        some = work.scan_frames(pin, "d", [{"session": "2024-03-02"}, "session=2024-03-01"])
        assert some.collect()["day"].to_list() == [2, 2, 1]
        wide = [f"session=2024-03-{1 + n % 7:02d}" for n in range(64)]
        assert work.scan_frames(pin, "d", wide).collect().height == sum(range(1, 8))
        assert work.snapshot(pin).partitions("d") == [f"session=2024-03-{day:02d}" for day in range(1, 8)]
        assert work.exists(pin, "d", "session=2024-03-07")
        assert not work.exists(pin, "d", "session=2024-03-08")

    def test_what_is_missing_is_named(self, lake: Lake) -> None:
        work = publisher(lake)
        work.publish("d", SESSION, FRAME, audit=None, inputs={})
        with pytest.raises(ObjectNotFound, match="session=no"):
            work.scan_frames("main", "d", ["session=no"])
        with pytest.raises(ObjectNotFound, match="session=no"):
            work.scan_frames("main", "d", ["session=no"] * 65)
        with pytest.raises(ObjectNotFound, match="none"):
            work.scan_frames("main", "none")
        with pytest.raises(ObjectNotFound):
            work.scan_frames("main", "d", [])


@everywhere
class TestJanitor:
    def test_leftovers_go_after_the_grace_period_only(self, lake: Lake) -> None:
        lake.create_branch("wap-run-step-20240301T120000xab12", "main")
        lake.create_branch("wap-run-step-20240301T150000xab12", "main")
        lake.create_branch("wap-of-a-user", "main")
        removed = remove_leftover_branches(lake, timedelta(hours=2), NOW + timedelta(hours=3))
        assert removed == ["wap-run-step-20240301T120000xab12"]
        assert list(lake.list_branches("wap")) == ["wap-of-a-user", "wap-run-step-20240301T150000xab12"]

    @pytest.mark.slow
    def test_a_killed_publish_leaves_all_or_nothing_and_a_retry_publishes_once(
        self, lake_uri: str, writer: Callable[..., dict[str, Any] | None], lake_provided: Provided
    ) -> None:
        with open_lake(lake_uri) as lake:

            def publish(run_id: str) -> None:
                files = {f"{part}.bin": f"{run_id} {part}".encode() for part in "ab"}
                publisher(lake, run_id).publish("d", "session=1", files, audit=None, inputs={})

            def published() -> int:
                return sum(c.metadata.get("run_id") == "new" for c in lake.log("main", first_parent=True))

            whole = writer("publish", lake_uri, "count", "d", "session=count", "count", kill_at=10**9)
            assert whole is not None
            points = range(1, whole["calls"], 4 if lake_provided.kind == "embedded" else 3)
            assert len(points) > 25
            leftovers = outcomes = 0
            for point in points:
                publish("old")
                before = published()
                writer("publish", lake_uri, "new", "d", "session=1", "new", kill_at=point)
                found = {lake.get("main", f"d/session=1/{part}.bin") for part in "ab"}
                assert found in ({b"old a", b"old b"}, {b"new a", b"new b"})
                outcomes |= 1 if b"old a" in found else 2
                publish("new")
                assert lake.get("main", "d/session=1/a.bin") == b"new a"
                assert published() - before == 1
                leftovers = len(lake.list_branches("wap-"))
            assert leftovers > 0 and outcomes == 3, "killed before and after the merge"
            late = max(datetime.now(UTC), NOW) + timedelta(hours=1)
            assert len(remove_leftover_branches(lake, timedelta(minutes=30), late)) == leftovers
            assert list(lake.list_branches()) == ["main"]
            if isinstance(lake, EmbeddedLake):
                assert list(lake.verify()) == []

    def test_quarantine_goes_after_its_retention(self, lake: Lake) -> None:
        with pytest.raises(AuditFailed) as caught:
            publisher(lake).publish("bars", SESSION, FRAME, audit=refuse, inputs={})
        lake.create_tag("promoted-1", "main")
        made = lake.get_commit(caught.value.tag).created
        assert remove_old_quarantine(lake, timedelta(days=30), made + timedelta(days=29)) == []
        removed = remove_old_quarantine(lake, timedelta(days=30), made + timedelta(days=30))
        assert removed == [caught.value.tag]
        assert list(lake.list_tags()) == ["promoted-1"]


class TestEncodedAhead:
    def test_it_is_the_frame_itself(self, lake: Lake) -> None:
        ahead = {"data.parquet": EncodedFrame.of(FRAME)}
        done = publisher(lake).publish("bars", SESSION, ahead, audit=None, inputs={})
        assert done.rows == FRAME.height
        assert json.loads(lake.get_commit("main").metadata["rows"]) == {"data.parquet": FRAME.height}
        again = publisher(lake).publish("bars", SESSION, FRAME, audit=None, inputs={})
        assert (again.published, again.data_version) == (False, done.data_version)


class TestLayout:
    def test_paths(self) -> None:
        assert partition_path({"session": "2024-03-01", "variant": "risk 1"}) == ("session=2024-03-01/variant=risk 1")
        assert partition_path("") == ""
        assert object_path("a/b", "k=v") == "a/b/k=v/data.parquet"
        assert object_path("a", "") == "a/data.parquet"

    def test_a_frame_has_the_same_bytes_however_it_was_made(self) -> None:
        plain = pl.DataFrame({"a": list(range(2000)), "s": [f"x{n % 7}" for n in range(2000)]})
        nulls = pl.DataFrame({"a": [None, *range(2000)], "s": ["", *plain["s"]]})
        expected = encode_frame(plain)
        assert encode_frame(pl.concat([plain[:700], plain[700:]], rechunk=False)) == expected
        assert encode_frame(plain.sort("a")) == expected
        assert encode_frame(plain.lazy().filter(pl.col("a") >= 0).collect()) == expected
        assert encode_frame(nulls[1:]) == expected
        assert encode_frame(plain.with_columns(pl.col("a").cast(pl.Int32))) != expected
