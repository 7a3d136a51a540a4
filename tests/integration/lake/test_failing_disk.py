"""A disk that refuses any one call: the lake is unavailable, shows the old state, and works once the disk does."""

import errno
import os
import resource
import shutil
import signal
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from resources.lake import Lake, LakeUnavailable, ObjectInfo, open_lake
from resources.lake.embedded import EmbeddedLake

DISK_CALLS = frozenset({"open", "write", "flush", "fsync", "fchmod", "replace", "unlink", "utime"})
DATABASE_CALLS = frozenset({"execute", "executemany"})


class FailAt:
    """Lets this thread's n-th call to the disk fail instead, as the disk or SQLite would report it."""

    def __init__(self, number: int, code: int) -> None:
        self.left = number
        self.code = code

    def __call__(self, frame: Any, event: str, called: Any) -> None:
        name = getattr(called, "__name__", "")
        if event != "c_call" or name not in DISK_CALLS | DATABASE_CALLS:
            return
        self.left -= 1
        if self.left == 0:
            if name in DATABASE_CALLS:
                raise sqlite3.OperationalError("disk I/O error")
            raise OSError(self.code, os.strerror(self.code))

    def __enter__(self) -> None:
        sys.setprofile(self)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("template") / "store"
    with open_lake(store.as_uri()) as lake:
        for branch in ("start", "ready", "work", "empty"):
            lake.create_branch(branch, "main")
            for path in ("x", "y", "z"):
                if branch != "empty":
                    lake.put(branch, path, f"{branch} {path}".encode())
            if branch in ("start", "ready"):
                lake.commit(branch, branch)
            if branch == "start":
                lake.merge(branch, "main", branch)
        lake.create_branch("lost", "main")
        lake.put("lost", "lost", b"lost")
        lake.delete_branch("lost")
    return store


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "store"))


def opened(store: Path) -> EmbeddedLake:
    lake = open_lake(store.as_uri())
    assert isinstance(lake, EmbeddedLake)
    return lake


def merge(lake: EmbeddedLake) -> None:
    lake.merge("ready", "main", "m", strategy="source-wins")


def collect(lake: EmbeddedLake) -> None:
    lake.gc(timedelta(0), grace=timedelta(0))


def put_file(lake: EmbeddedLake) -> None:
    lake.put("empty", "p", lake.directory / "lake.db")


OPERATIONS: list[Callable[[EmbeddedLake], object]] = [
    lambda lake: lake.put("empty", "p", b"p" * 3000),
    lambda lake: lake.put("empty", "p", b"p" * 300_000),
    lambda lake: lake.put("empty", "p", b"work x"),
    put_file,
    lambda lake: lake.delete("work", ["x", "y"]),
    lambda lake: lake.commit("work", "m"),
    merge,
    lambda lake: lake.discard("work"),
    lambda lake: lake.create_branch("made", "main"),
    lambda lake: lake.delete_branch("work"),
    lambda lake: lake.create_tag("made", "main"),
    lambda lake: lake.rollback("ready", "main"),
    lambda lake: lake.revert("ready", "ready"),
    collect,
]
NAMES = [
    *("put", "put_large", "put_again", "put_file", "delete", "commit", "merge", "discard", "create_branch"),
    *("delete_branch", "create_tag", "rollback", "revert", "gc"),
]


def seen(lake: Lake) -> dict[str, Any]:
    branches = lake.list_branches()
    return {
        ref: {item.path: lake.get(ref, item.path) for item in lake.list(ref) if isinstance(item, ObjectInfo)}
        for ref in [*branches, *(f"{name}@" for name in branches), *lake.list_tags()]
    }


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_every_call_refused_in_order(store: Path, operation: Callable[[EmbeddedLake], object], code: int) -> None:
    with opened(store) as lake:
        old, sources_refused = seen(lake), 0
        for number in count(1):
            try:
                with FailAt(number, code):
                    operation(lake)
                break  # no call was left to fail
            except LakeUnavailable as error:
                assert str(store) in str(error)
            except OSError:  # the caller's own file cannot be opened, of which the lake knows nothing
                assert operation is put_file and not sources_refused
                sources_refused += 1
            assert seen(lake) == old, f"call {number} refused"
            assert list((store / "tmp").iterdir()) == [], f"call {number} refused"
        assert number > 3
        assert list(lake.verify()) == []
        assert (seen(lake) != old) == (operation is not collect)


@pytest.fixture
def unkilled_by_limits() -> Iterator[None]:
    """A write past the limit fails, as on a full disk, where it would kill by default."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.usefixtures("unkilled_by_limits")
@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_files_that_cannot_grow(template: Path, tmp_path: Path, operation: Callable[[EmbeddedLake], object]) -> None:
    """The kernel refuses writes past a size, SQLite's own too: the write-ahead log, a page of it, an object."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    refused = 0
    for size in [0, 1, *range(500, 120_000, 1900), *range(120_000, 800_000, 40_000)]:
        store = Path(shutil.copytree(template, tmp_path / "store"))
        with opened(store) as lake:
            old = seen(lake)
            try:
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
                try:
                    operation(lake)
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            except LakeUnavailable:
                refused += 1
                assert seen(lake) == old, f"files of {size} bytes at most"
                assert list(lake.verify()) == []
                operation(lake)
            else:
                shutil.rmtree(store)
                break
            assert list(lake.verify()) == []
            assert (seen(lake) != old) == (operation is not collect)
        shutil.rmtree(store)
    else:
        pytest.fail("the limits tried are all too small")
    assert refused > 1


def test_the_whole_object_is_synced_before_it_gets_its_name(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss of power cannot be played here: the order of the calls must do."""
    synced: list[int] = []
    sync = os.fsync

    def watch(descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            assert not list((store / "objects").glob(f"*/{sha256(content).hexdigest()}"))
            synced.append(status.st_size)
        else:
            synced.append(-1)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    with opened(store) as lake:
        for content in (b"small", b"larger than any buffer" * 10_000):
            synced.clear()
            lake.put("empty", "p", content)
            assert synced == [len(content), -1]  # the file, then the directory with its name
