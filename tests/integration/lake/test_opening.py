"""A new embedded lake that several processes open at once."""

import sqlite3
import threading
import time
from pathlib import Path

from resources.lake import open_lake

_HELD_SECONDS = 0.4


def test_opening_waits_for_another_process_that_is_just_making_the_store(tmp_path: Path) -> None:
    directory = tmp_path / "lake"
    directory.mkdir()
    other = sqlite3.connect(directory / "lake.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")  # what the first process does, before the file is in WAL mode
    released = threading.Timer(_HELD_SECONDS, other.execute, ["ROLLBACK"])
    released.start()
    began = time.monotonic()
    try:
        with open_lake(directory.as_uri()) as lake:
            assert list(lake.list_branches()) == ["main"]
        assert time.monotonic() - began >= _HELD_SECONDS / 2
    finally:
        released.join(10)
        other.close()
