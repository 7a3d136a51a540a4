"""Local copies: verified, below a size, shared by processes, and good for as long as a process may read them."""

import fcntl
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from resources.lake import CorruptObject, LakeUnavailable
from resources.lake.lakefs.cache import LocalCopies
from resources.lake.lakefs.content import Fingerprint

ROOT = Path(__file__).parents[4]

USER = """
import hashlib, sys, time
from pathlib import Path
from resources.lake.lakefs.cache import LocalCopies
from resources.lake.lakefs.content import Fingerprint

def content(data): return Fingerprint("sha256", hashlib.sha256(data).hexdigest(), len(data))
copies = LocalCopies(Path(sys.argv[1]), int(sys.argv[2]))
"""
"""What a process of its own begins with: a cache directory and a limit are given."""


def content(data: bytes) -> Fingerprint:
    return Fingerprint("sha256", hashlib.sha256(data).hexdigest(), len(data))


def writing(data: bytes) -> Callable[[BinaryIO], None]:
    def fetch(file: BinaryIO) -> None:
        file.write(data)

    return fetch


def never(file: BinaryIO) -> None:
    raise AssertionError("fetched although there is a copy")


def stored(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in (directory / "objects").glob("*/*")}


@pytest.fixture
def user() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts processes that use a cache; they are killed when the test ends."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str, directory: Path, limit: int, *arguments: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", USER + script, str(directory), str(limit), *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=30)


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


class TestOneProcess:
    def test_a_copy_is_read_only_and_fetched_once(self, tmp_path: Path) -> None:
        copies = LocalCopies(tmp_path / "cache", 10**6)
        assert copies.held(content(b"data")) is None
        path = copies.get(content(b"data"), writing(b"data"), "main/a")
        assert path.read_bytes() == b"data" and path.stat().st_mode & 0o222 == 0
        assert copies.get(content(b"data"), never, "main/a") == path
        assert LocalCopies(tmp_path / "cache", 10**6).get(content(b"data"), never, "main/a") == path

    def test_what_was_fetched_is_verified(self, tmp_path: Path) -> None:
        copies = LocalCopies(tmp_path / "cache", 10**6)
        answers = iter([b"evil", b"", b"good"])
        path = copies.get(content(b"good"), lambda file: writing(next(answers))(file), "main/a")
        assert path.read_bytes() == b"good"
        with pytest.raises(CorruptObject, match="main/b"):
            copies.get(content(b"other"), writing(b"evil!"), "main/b")
        assert list(stored(tmp_path / "cache")) == [content(b"good").name]

    @pytest.mark.parametrize("damage", [b"evil", b"goo", b"", b"good and more", None])
    def test_a_damaged_copy_is_found_and_fetched_again(self, damage: bytes | None, tmp_path: Path) -> None:
        directory = tmp_path / "cache"
        script = "copies.get(content(b'good'), lambda file: file.write(b'good'), 'main/a')"
        command = [sys.executable, "-c", USER + script, str(directory), "1000000"]
        subprocess.run(command, check=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)})
        (copy,) = (directory / "objects").glob("*/*")
        if damage is None:
            copy.unlink()
        else:
            copy.chmod(0o644)
            copy.write_bytes(damage)
        copies = LocalCopies(directory, 10**6)
        assert copies.held(content(b"good")) is None
        assert copies.get(content(b"good"), writing(b"good"), "main/a").read_bytes() == b"good"
        (copy,) = (directory / "objects").glob("*/*")
        assert copy.read_bytes() == b"good"

    def test_a_copy_of_another_size_is_found_at_every_use(self, tmp_path: Path) -> None:
        copies = LocalCopies(tmp_path / "cache", 10**6)
        path = copies.get(content(b"good"), writing(b"good"), "main/a")
        path.chmod(0o644)
        path.write_bytes(b"goo")
        assert copies.get(content(b"good"), writing(b"good"), "main/a").read_bytes() == b"good"

    def test_the_ones_used_longest_ago_go_first(self, tmp_path: Path) -> None:
        directory = tmp_path / "cache"
        copies = LocalCopies(directory, 10_000)
        data = {number: bytes([number]) * 1000 for number in range(30)}
        for number in range(9):
            copies.get(content(data[number]), writing(data[number]), "a")
        for path in (directory / "objects").glob("*/*"):
            is_first = path.name == content(data[0]).name
            os.utime(path, (time.time() - (0 if is_first else 1000),) * 2)
        for number in range(9, 12):
            copies.get(content(data[number]), writing(data[number]), "a")
        names = stored(directory)
        assert sum(names.values()) <= 10_000
        assert {content(data[number]).name for number in (0, 9, 10, 11)} <= names.keys()

    @pytest.mark.parametrize("total", [None, "", "9" * 20])
    def test_the_limit_holds_where_the_count_was_lost(self, total: str | None, tmp_path: Path) -> None:
        copies = LocalCopies(tmp_path, 5_000)
        for number in range(12):
            if number == 5 and total is None:
                (tmp_path / "total").unlink()
            elif number == 5 and total is not None:
                (tmp_path / "total").write_text(total)
            data = bytes([number]) * 1000
            copies.get(content(data), writing(data), "a")
            assert sum(stored(tmp_path).values()) <= 5_000
        assert len(stored(tmp_path)) >= 4

    def test_a_path_that_was_handed_out_stays_good(self, tmp_path: Path) -> None:
        directory = tmp_path / "cache"
        copies = LocalCopies(directory, 5_000)
        paths = {}
        for number in range(40):
            data = bytes([number]) * 1000
            paths[copies.get(content(data), writing(data), "a")] = data
            assert sum(stored(directory).values()) <= 5_000
        for path, data in paths.items():
            assert path.read_bytes() == data

    def test_an_object_larger_than_the_limit_can_still_be_read(self, tmp_path: Path) -> None:
        copies = LocalCopies(tmp_path / "cache", 10)
        assert copies.get(content(b"x" * 100), writing(b"x" * 100), "a").read_bytes() == b"x" * 100

    def test_many_threads(self, tmp_path: Path) -> None:
        directory = tmp_path / "cache"
        copies = LocalCopies(directory, 20_000)
        data = [random.Random(number % 50).randbytes(1000) for number in range(400)]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda each: copies.get(content(each), writing(each), "a"), data))
        assert [path.read_bytes() for path in found] == data
        assert sum(stored(directory).values()) <= 20_000

    def test_a_directory_that_cannot_be_used(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(LakeUnavailable, match=r"cache .*/file/cache.*[?]cache=DIRECTORY"):
            LocalCopies(tmp_path / "file" / "cache", 10).get(content(b"x"), writing(b"x"), "a")

    def test_a_full_disk_says_so_and_leaves_nothing(self, tmp_path: Path) -> None:
        def full(file: BinaryIO) -> None:
            file.write(b"some")
            with Path("/dev/full").open("wb", buffering=0) as device:
                device.write(b"x")

        copies = LocalCopies(tmp_path / "cache", 10**6)
        with pytest.raises(LakeUnavailable, match="make room there"):
            copies.get(content(b"x"), full, "a")
        assert stored(tmp_path / "cache") == {}
        assert not list((tmp_path / "cache").glob("leases/*/part-*"))


class TestManyProcesses:
    def test_one_fetches_and_all_read(self, tmp_path: Path, user: Callable[..., "subprocess.Popen[str]"]) -> None:
        LocalCopies(tmp_path, 10**6).get(content(b"shared"), writing(b"shared"), "a")
        script = "print(copies.get(content(b'shared'), None, 'a').read_text(), flush=True)"
        assert [line(process) for process in [user(script, tmp_path, 10**6) for _ in range(3)]] == ["shared"] * 3

    def test_the_limit_holds_while_many_write(
        self, tmp_path: Path, user: Callable[..., "subprocess.Popen[str]"]
    ) -> None:
        script = """
for number in range(60):
    data = f"{sys.argv[3]} {number}".encode().ljust(1000)
    path = copies.get(content(data), lambda file: file.write(data), "a")
    assert path.read_bytes() == data
print("done", flush=True)
"""
        processes = [user(script, tmp_path, 20_000, number) for number in range(6)]
        most, ended = 0, threading.Event()

        def watch() -> None:
            nonlocal most
            while not ended.is_set():
                with (tmp_path / "lock").open("w") as lock:  # a look at many folders is none at one moment
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    most = max(most, sum(stored(tmp_path).values()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            assert [line(process) for process in processes] == ["done"] * 6
        finally:
            ended.set()
            watcher.join()
        assert 10_000 < most <= 20_000
        assert sum(stored(tmp_path).values()) <= 20_000

    def test_a_process_killed_while_fetching_leaves_nothing_for_long(
        self, tmp_path: Path, user: Callable[..., "subprocess.Popen[str]"]
    ) -> None:
        script = """
def fetch(file):
    file.write(b"ha"); file.flush()
    print("begun", flush=True)
    time.sleep(100)
copies.get(content(b"half"), fetch, "a")
"""
        process = user(script, tmp_path, 10**6)
        assert line(process) == "begun"
        assert list(tmp_path.glob("leases/*/part-*"))
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        copies = LocalCopies(tmp_path, 10**6)
        assert copies.get(content(b"half"), writing(b"half"), "a").read_bytes() == b"half"
        assert not list(tmp_path.glob("leases/*/part-*"))
        assert len(list(tmp_path.glob("leases/*"))) == 1

    def test_what_a_living_process_was_given_is_not_swept_away(
        self, tmp_path: Path, user: Callable[..., "subprocess.Popen[str]"]
    ) -> None:
        script = """
path = copies.get(content(b"mine"), lambda file: file.write(b"mine"), "a")
print(path, flush=True)
time.sleep(100)
"""
        process = user(script, tmp_path, 100)
        theirs = Path(line(process))
        copies = LocalCopies(tmp_path, 100)
        for number in range(20):
            copies.get(content(b"%02d" % number * 30), writing(b"%02d" % number * 30), "a")
        assert content(b"mine").name not in stored(tmp_path)
        assert theirs.read_bytes() == b"mine"

    def test_a_forked_child_has_a_lease_of_its_own(
        self, tmp_path: Path, user: Callable[..., "subprocess.Popen[str]"]
    ) -> None:
        script = """
import os
before = copies.get(content(b"one"), lambda file: file.write(b"one"), "a")
child = os.fork()
path = copies.get(content(b"one"), None, "a")
assert path.read_bytes() == before.read_bytes() == b"one"
assert (path == before) == bool(child)
if child:
    assert os.waitpid(child, 0)[1] == 0
    print("both", flush=True)
"""
        assert line(user(script, tmp_path, 10**6)) == "both"
