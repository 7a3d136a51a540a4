"""Verify finds every damage and says what it reaches; garbage collection takes what nothing reaches, only that."""

import errno
import os
import random
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resources.lake import CorruptObject, Gone, LakeUnavailable, Unsupported, open_lake
from resources.lake.embedded import EmbeddedLake, GcReport
from resources.lake.embedded.schema import define_seal

NO_GRACE = timedelta(0)


class Time:
    def __init__(self) -> None:
        self.now = datetime(2024, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def lake(tmp_path: Path, time: Time) -> Iterator[EmbeddedLake]:
    opened = open_lake((tmp_path / "lake").as_uri(), clock=time)
    assert isinstance(opened, EmbeddedLake)
    with opened:
        yield opened


def land(lake: EmbeddedLake, objects: dict[str, bytes | None], branch: str = "b") -> str:
    lake.create_branch(branch, "main")
    for path, data in objects.items():
        if data is None:
            lake.delete(branch, path)
        else:
            lake.put(branch, path, data)
    lake.commit(branch, "m")
    merged = lake.merge(branch, "main", "m").commit_id
    lake.delete_branch(branch)
    return merged


def damage(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def stored(lake: EmbeddedLake) -> set[str]:
    return {path.name for path in (lake.directory / "objects").glob("*/*")}


class TestVerify:
    def test_any_flipped_bit_is_reported_with_its_paths_and_commits(self, lake: EmbeddedLake) -> None:
        content = random.Random(2).randbytes(2000)
        first = land(lake, {"bars/session=1/data": content, "bars/session=2/data": content, "x": b"x"})
        second = land(lake, {"bars/session=1/data": b"replaced"})
        assert list(lake.verify()) == []
        file = lake.local_path("main", "bars/session=2/data")
        rng = random.Random(3)
        for _ in range(20):
            bad = bytearray(content)
            bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
            damage(file, bytes(bad))
            (problem,) = lake.verify()
            assert (problem.kind, problem.name) == ("object", file.name)
            assert problem.paths == ("bars/session=1/data", "bars/session=2/data")
            assert {first, second} <= set(problem.commits)
            with pytest.raises(CorruptObject, match="session=2"):
                lake.get("main", "bars/session=2/data")
        assert lake.get("main", "x") == b"x"

    def test_truncated_and_missing_objects(self, lake: EmbeddedLake) -> None:
        land(lake, {"a": b"content a", "b": b"content b"})
        a, b = lake.local_path("main", "a"), lake.local_path("main", "b")
        damage(a, b"content")
        b.unlink()
        found = {problem.paths: problem.detail for problem in lake.verify()}
        assert found == {("a",): "7 bytes, must be 9", ("b",): "missing"}
        with pytest.raises(CorruptObject, match="7 bytes, must have 9"):
            lake.local_path("main", "a")
        with pytest.raises(Gone, match="main/b"):
            lake.get("main", "b")

    def test_putting_the_content_again_heals_it(self, lake: EmbeddedLake) -> None:
        land(lake, {"a": b"content a"})
        damage(lake.local_path("main", "a"), b"damaged a")
        lake.create_branch("dev", "main")
        lake.put("dev", "a", b"content a")
        assert list(lake.verify()) == []
        assert lake.get("main", "a") == b"content a"

    def test_staged_objects_are_checked(self, lake: EmbeddedLake) -> None:
        lake.create_branch("dev", "main")
        lake.put("dev", "a", b"staged")
        lake.local_path("dev", "a").unlink()
        (problem,) = lake.verify()
        assert (problem.paths, problem.commits) == (("a",), ())

    def test_a_damaged_tree_node_or_commit(self, lake: EmbeddedLake) -> None:
        commit = land(lake, {f"p/{n}": b"x" for n in range(300)})
        with sqlite3.connect(lake.directory / "lake.db") as sql:
            define_seal(sql)
            name, data = sql.execute("SELECT hash, data FROM nodes ORDER BY length(data) DESC").fetchone()
            bad = bytearray(data)
            bad[len(bad) // 2] ^= 4
            sql.execute("UPDATE nodes SET data = ? WHERE hash = ?", (bytes(bad), name))
            sql.execute("UPDATE commits SET message = 'forged' WHERE id = ?", (commit,))
        sql.close()
        problems = {problem.kind: problem for problem in lake.verify()}
        assert problems["node"].name == name.hex() and commit in problems["node"].commits
        assert problems["commit"].name == commit
        with sqlite3.connect(lake.directory / "lake.db") as sql:
            sql.execute("DELETE FROM nodes WHERE hash = ?", (name,))
        sql.close()
        (missing,) = (problem for problem in lake.verify() if problem.kind == "node")
        assert missing.detail.startswith("missing; it holds the paths") and "main" in missing.refs
        with open_lake(lake.uri) as again, pytest.raises(Gone, match="verify"):
            list(again.list("main"))


class TestGc:
    def test_what_is_in_the_window_tagged_staged_or_at_a_head_stays(self, lake: EmbeddedLake, time: Time) -> None:
        pinned = land(lake, {"a": b"pinned"})
        lake.create_tag("order-batch", pinned)
        lost = land(lake, {"a": b"lost", "never-changed": b"1"})
        time.now += timedelta(days=100)
        recent = land(lake, {"a": b"recent"})
        land(lake, {"a": b"now"})
        lake.create_branch("dev", "main")
        lake.put("dev", "s", b"staged")
        before = stored(lake)
        dry = lake.gc(timedelta(days=30), dry_run=True, grace=NO_GRACE)
        assert dry.dry_run and (dry.objects, dry.object_bytes) == (1, 4)
        assert stored(lake) == before and lake.get(lost, "a") == b"lost"
        done = lake.gc(timedelta(days=30), grace=NO_GRACE)
        assert (done.objects, done.object_bytes, done.nodes) == (1, 4, dry.nodes)
        assert done.commits_expired == dry.commits_expired > 0 and done.commits_deleted == 0
        assert lake.get("order-batch", "a") == b"pinned"
        assert lake.get(recent, "a") == b"recent"
        assert lake.get("main", "never-changed") == b"1"
        assert lake.get("dev", "s") == b"staged"
        for read in (lambda: lake.get(lost, "a"), lambda: lake.list(lost), lambda: lake.create_tag("t", lost)):
            with pytest.raises(Gone):
                read()
        assert lake.get_commit(lost).id == lost and len(list(lake.log("main"))) == 9
        assert list(lake.verify()) == []
        pinned_at = lake.get_commit(pinned).created
        assert (done.kept_objects, done.kept_bytes, done.oldest_kept) == (5, 6 + 6 + 3 + 1 + 6, pinned_at)
        again = lake.gc(timedelta(days=30), grace=NO_GRACE)
        assert again == GcReport(False, 0, 0, 0, 0, 0, 0, 5, 22, pinned_at)

    def test_an_old_branch_can_still_be_merged(self, lake: EmbeddedLake, time: Time) -> None:
        land(lake, {"a": b"0", "b": b"0"})
        lake.create_branch("old", "main")
        lake.put("old", "a", b"1")
        lake.commit("old", "m")
        land(lake, {"b": b"1"})
        time.now += timedelta(days=100)
        land(lake, {"b": b"2"})
        lake.gc(timedelta(days=1), grace=NO_GRACE)
        lake.merge("old", "main", "m")
        assert (lake.get("main", "a"), lake.get("main", "b")) == (b"1", b"2")

    def test_commits_of_no_ref_go_with_their_content(self, lake: EmbeddedLake, time: Time) -> None:
        lake.create_branch("failed", "main")
        lake.put("failed", "a", b"failed")
        commit = lake.commit("failed", "m")
        lake.create_tag("quarantine-a", commit.id)
        lake.delete_branch("failed")
        time.now += timedelta(days=100)
        assert lake.gc(timedelta(days=30), grace=NO_GRACE).objects == 0
        lake.delete_tag("quarantine-a")
        done = lake.gc(timedelta(days=30), grace=NO_GRACE)
        assert (done.objects, done.commits_deleted) == (1, 1)
        assert stored(lake) == set()

    def test_young_files_stay(self, lake: EmbeddedLake) -> None:
        lake.create_branch("dev", "main")
        lake.put("dev", "a", b"1")
        lake.discard("dev")
        assert lake.gc(timedelta(days=1)).objects == 0
        (file,) = (lake.directory / "objects").glob("*/*")
        os.utime(file, (0, 0))
        assert lake.gc(timedelta(days=1)).objects == 1

    def test_an_object_collected_before_it_is_staged_is_written_again(
        self, lake: EmbeddedLake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lake.create_branch("dev", "main")
        write, collected = lake._objects.write, []

        def collected_at_once(data: bytes | Path) -> tuple[str, int]:
            written = write(data)
            if not collected:  # the second time the store's lock is held: no collection can sweep
                collected.append(lake.gc(timedelta(days=1), grace=NO_GRACE).objects)
            return written

        monkeypatch.setattr(lake._objects, "write", collected_at_once)
        lake.put("dev", "a", b"1")
        assert collected == [1]
        assert lake.get("dev", "a") == b"1"

    def test_puts_at_the_same_time_lose_nothing(self, lake: EmbeddedLake) -> None:
        """The same content is put again and again while collections without any grace take it away."""
        lake.create_branch("dev", "main")
        stop, errors = threading.Event(), []

        def collect() -> None:
            try:
                while not stop.is_set():
                    lake.gc(timedelta(days=1), grace=NO_GRACE)
            except Exception as error:
                errors.append(error)

        collector = threading.Thread(target=collect)
        collector.start()
        try:
            for number in range(150):
                lake.put("dev", "a", str(number % 3).encode())
                assert lake.get("dev", "a") == str(number % 3).encode()
                if number % 2:
                    lake.discard("dev")
        finally:
            stop.set()
            collector.join(timeout=60)
        assert not collector.is_alive() and errors == []


class TestDatabase:
    def test_a_store_of_another_format_is_refused(self, lake: EmbeddedLake) -> None:
        with sqlite3.connect(lake.directory / "lake.db") as sql:
            sql.execute("PRAGMA user_version = 99")
        sql.close()
        with pytest.raises(Unsupported, match="99"):
            open_lake(lake.uri)

    def test_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        (tmp_path / "lake.db").write_bytes(b"no database at all, " * 100)
        with pytest.raises(LakeUnavailable, match=r"lake\.db"):
            open_lake(tmp_path.as_uri())

    def test_threads_share_one_lake(self, lake: EmbeddedLake) -> None:
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for turn in range(10):
                    land(lake, {f"t{number}/{turn}": str(turn).encode()}, branch=f"b{number}-{turn}")
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert errors == []
        assert len(list(lake.list("main"))) == 40

    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_a_forked_child_has_connections_of_its_own(self, lake: EmbeddedLake) -> None:
        land(lake, {"a": b"1"})
        child = os.fork()
        if child == 0:
            try:
                land(lake, {"child": b"1"})
            except BaseException:
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        land(lake, {"parent": b"1"})
        assert [item.path for item in lake.list("main")] == ["a", "child", "parent"]
        assert list(lake.verify()) == []

    def test_a_full_disk_is_an_unavailable_lake_and_leaves_nothing(
        self, lake: EmbeddedLake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        lake.create_branch("dev", "main")
        source = tmp_path / "source"
        source.write_bytes(b"from a file")

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            for data in (b"bytes", source):
                with pytest.raises(LakeUnavailable, match="No space"):
                    lake.put("dev", "a", data)
        assert list((lake.directory / "tmp").iterdir()) == [] and stored(lake) == set()
        with pytest.raises(FileNotFoundError):
            lake.put("dev", "a", tmp_path / "missing")
        lake.put("dev", "a", source)
        assert lake.get("dev", "a") == b"from a file"

    def test_a_directory_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(LakeUnavailable, match="file"):
            open_lake((tmp_path / "file" / "lake").as_uri())
