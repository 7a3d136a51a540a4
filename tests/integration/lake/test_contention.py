"""Writers in each other's way: a clear error which the caller's retry gets over, and nothing lost."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resources.lake import Contention, ObjectInfo, open_lake
from resources.lake.embedded import EmbeddedLake
from resources.lake.embedded.objects import ObjectFiles
from resources.lake.publish import Publisher

NO_GRACE = timedelta(0)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[EmbeddedLake]:
    with EmbeddedLake(tmp_path / "store", clock=now, busy_seconds=0.1) as lake:
        lake.create_branch("dev", "main")
        yield lake


@contextlib.contextmanager
def held(lake: EmbeddedLake, seconds: float) -> Iterator[None]:
    """Another writer, stopped in the middle of a transaction for a while."""
    began, done = threading.Event(), threading.Event()

    def hold() -> None:
        sql = sqlite3.connect(lake.directory / "lake.db", isolation_level=None)
        sql.execute("BEGIN IMMEDIATE")
        began.set()
        done.wait(seconds)
        sql.rollback()
        sql.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert began.wait(10)
        yield
    finally:
        done.set()
        holder.join(10)


@pytest.mark.parametrize(
    "call",
    [
        lambda lake: lake.put("dev", "a", b"a"),
        lambda lake: lake.delete("dev", "a"),
        lambda lake: lake.commit("dev", "m", allow_empty=True),
        lambda lake: lake.merge("main", "dev", "m"),
        lambda lake: lake.create_branch("new", "main"),
        lambda lake: lake.create_tag("new", "main"),
        lambda lake: lake.gc(timedelta(0)),
    ],
)
def test_a_writer_that_holds_the_store_too_long(
    impatient: EmbeddedLake, call: Callable[[EmbeddedLake], object]
) -> None:
    with held(impatient, 60):
        began = time.monotonic()
        with pytest.raises(Contention, match=r"held the store for 0\.1 s.*repeat it.*look for a process"):
            call(impatient)
        assert time.monotonic() - began < 20
        assert impatient.list_branches().keys() == {"dev", "main"}  # readers are not held up
    call(impatient)
    assert list(impatient.verify()) == []


def test_a_publication_goes_through_once_the_store_is_free(impatient: EmbeddedLake) -> None:
    publisher = Publisher(impatient, run_id="r", code_version="1", clock=now)
    with held(impatient, 1.0):
        done = publisher.publish("bars", "session=2024-01-02", {"a": b"content"}, audit=None, inputs={})
    assert done.published and impatient.get("main", "bars/session=2024-01-02/a") == b"content"
    assert sum(bool(commit.parents) for commit in impatient.log("main", first_parent=True)) == 1


def test_a_store_opened_while_another_writer_holds_it(impatient: EmbeddedLake, tmp_path: Path) -> None:
    with held(impatient, 60), EmbeddedLake(tmp_path / "store", clock=now, busy_seconds=0.1) as other:
        assert other.resolve("main") == impatient.resolve("main")


class TestCollectionsBesideWriters:
    def test_an_object_taken_between_its_writing_and_its_staging_is_written_again(
        self, impatient: EmbeddedLake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write, taken = ObjectFiles.write, []

        def write_then_collect(files: ObjectFiles, data: bytes | Path) -> tuple[str, int]:
            written = write(files, data)
            if not taken:  # the second time the store's lock is held
                taken.append(impatient.gc(timedelta(0), grace=NO_GRACE).objects)
            return written

        monkeypatch.setattr(ObjectFiles, "write", write_then_collect)
        impatient.put("dev", "a", b"a")
        assert taken == [1]
        assert impatient.get("dev", "a") == b"a"

    def test_no_collection_sweeps_while_an_object_is_written_again(
        self, impatient: EmbeddedLake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another process collects after each write: the second one is made under the lock, where it cannot."""
        write, swept = ObjectFiles.write, []

        def write_then_collect(files: ObjectFiles, data: bytes | Path) -> tuple[str, int]:
            written = write(files, data)
            with EmbeddedLake(impatient.directory, clock=now, busy_seconds=0.05) as other:
                try:
                    swept.append(other.gc(timedelta(0), grace=NO_GRACE).objects)
                except Contention:
                    swept.append(None)
            return written

        monkeypatch.setattr(ObjectFiles, "write", write_then_collect)
        impatient.put("dev", "a", b"a")
        assert swept == [1, None]
        assert impatient.get("dev", "a") == b"a"

    def test_two_collections_beside_puts_and_merges(self, tmp_path: Path) -> None:
        """Each has a store of its own; the same few contents come, go and come again."""
        store, stop, errors = tmp_path / "store", threading.Event(), []
        rounds = 40

        def guarded(work: Callable[[EmbeddedLake], None]) -> Callable[[], None]:
            def run() -> None:
                try:
                    with EmbeddedLake(store, clock=now) as lake:
                        work(lake)
                except Exception as error:
                    errors.append(error)

            return run

        def collect(lake: EmbeddedLake) -> None:
            while not stop.is_set():
                lake.gc(timedelta(0), grace=NO_GRACE)

        def publish(lake: EmbeddedLake) -> None:
            name = threading.current_thread().name
            for number in range(rounds):
                branch = f"{name}-{number}"
                with lake.unsynced():
                    lake.create_branch(branch, "main")
                    lake.put(branch, f"{name}/a", str(number % 3).encode())
                    lake.put(branch, f"{name}/{number}", branch.encode())
                    lake.commit(branch, branch)
                    lake.merge(branch, "main", branch)
                    lake.delete_branch(branch)
                assert lake.get("main", f"{name}/a") == str(number % 3).encode()

        collectors = [threading.Thread(target=guarded(collect)) for _ in range(2)]
        writers = [threading.Thread(target=guarded(publish), name=f"w{n}") for n in range(2)]
        for thread in collectors + writers:
            thread.start()
        for thread in writers:
            thread.join(120)
        stop.set()
        for thread in collectors:
            thread.join(60)
        assert errors == []
        with open_lake(store.as_uri()) as lake:
            items = [item for item in lake.list("main") if isinstance(item, ObjectInfo)]
            assert len(items) == 2 * (rounds + 1)
            assert all(lake.get("main", item.path) for item in items)
            assert isinstance(lake, EmbeddedLake) and list(lake.verify()) == []
            assert lake.gc(timedelta(0), grace=NO_GRACE).kept_objects == len({item.checksum for item in items})
