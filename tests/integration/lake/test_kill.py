"""A writer killed at any moment leaves the old state or the new one, and a store that verifies."""

import random
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from resources.lake import Lake, open_lake
from resources.lake.embedded import EmbeddedLake

OLD = {"keep": b"keep", "old": b"old", "x": b"old x", "y": b"old y"}
NEW = {"keep": b"keep", "x": b"new x", "y": b"new y"}
Killed = Callable[..., dict[str, Any] | None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedLake]:
    lake = open_lake((tmp_path / "store").as_uri())
    assert isinstance(lake, EmbeddedLake)
    lake.create_branch("start", "main")
    for path, data in OLD.items():
        lake.put("start", path, data)
    lake.commit("start", "start")
    lake.merge("start", "main", "start")
    with lake:
        yield lake


def content(lake: Lake, ref: str) -> dict[str, bytes]:
    return {item.path: lake.get(ref, item.path) for item in lake.list(ref)}


def finish(lake: Lake, name: str) -> None:
    """What a retry does: start over on a branch of another name."""
    lake.create_branch(name, "main")
    for path in ("x", "y"):
        lake.put(name, path, NEW[path])
    lake.delete(name, ["old"])
    lake.commit(name, "again")
    lake.merge(name, "main", "again")


def check_points(store: EmbeddedLake, killed_at: Killed, points: list[int]) -> tuple[int, int]:
    """Kill at each point, on main as it was at first; how often the old and the new state was found."""
    found = {"old": 0, "new": 0}
    for point in points:
        name = f"w{point}"
        before = store.resolve("main")
        killed_at(point, "put_commit_merge", store.uri, name, "new")
        now = content(store, "main")
        assert now in (OLD, NEW), f"killed at {point}"
        found["new" if now == NEW else "old"] += 1
        assert list(store.verify()) == []
        if name in store.list_branches():
            assert set(content(store, f"{name}@")) in ({"keep", "old", "x", "y"}, {"keep", "x", "y"})
            store.delete_branch(name)
        if now == OLD:
            finish(store, f"retry{point}")
            assert content(store, "main") == NEW
        # back to the start for the next point, by a merge as everything on main
        assert store.get_commit("main").id != before
        back = f"back{point}"
        store.create_branch(back, "main")
        for path in ("old", "x", "y"):
            store.put(back, path, OLD[path])
        store.commit(back, "back")
        store.merge(back, "main", "back")
    return found["old"], found["new"]


def calls_of_a_whole_run(killed_at: Killed, uri: str) -> int:
    answer = killed_at(10**9, "put_commit_merge", uri, "counting", "counted")
    assert answer is not None
    return int(answer["calls"])


def test_killed_at_points_spread_over_put_commit_and_merge(
    store: EmbeddedLake, writer_killed_at: Killed, tmp_path: Path
) -> None:
    total = calls_of_a_whole_run(writer_killed_at, (tmp_path / "count").as_uri())
    assert total > 100
    points = sorted(random.Random(11).sample(range(1, total), 30))
    old, new = check_points(store, writer_killed_at, points)
    assert old + new == 30 and old > 5


@pytest.mark.slow
def test_killed_in_order_around_the_end_of_the_merge(
    store: EmbeddedLake, writer_killed_at: Killed, tmp_path: Path
) -> None:
    with open_lake((tmp_path / "count").as_uri()):
        total = calls_of_a_whole_run(writer_killed_at, (tmp_path / "count").as_uri())
    old, new = check_points(store, writer_killed_at, list(range(total - 60, total + 1)))
    assert old > 0 and new > 0


def test_killed_while_opening_a_new_store(writer_killed_at: Killed, tmp_path: Path) -> None:
    killed = 0
    for number in count():
        uri = (tmp_path / f"fresh{number}").as_uri()
        if writer_killed_at(1 + number * 5, "put_many", uri, "missing", "p", 0) is not None:
            break
        killed += 1
        with open_lake(uri) as lake:
            finish_on_fresh(lake)
    assert killed > 5


def finish_on_fresh(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    lake.put("dev", "a", b"1")
    lake.commit("dev", "m")
    lake.merge("dev", "main", "m")
    assert content(lake, "main") == {"a": b"1"}
    assert sum(not commit.parents for commit in lake.log("main")) == 1
    assert isinstance(lake, EmbeddedLake) and list(lake.verify()) == []


def test_what_a_killed_put_leaves_is_removed_by_gc(store: EmbeddedLake, writer_killed_at: Killed) -> None:
    from datetime import timedelta

    store.create_branch("dev", "main")
    for point in range(20, 90, 4):
        writer_killed_at(point, "put_many", store.uri, "dev", f"p{point}", 3)
    store.discard("dev")
    reached = {"keep", "old", "x", "y"}
    report = store.gc(timedelta(days=365), grace=timedelta(0))
    assert report.objects > 0
    assert content(store, "main") == OLD and set(OLD) == reached
    assert sum(1 for _ in (store.directory / "objects").glob("*/*")) == len(OLD)
    assert list(store.verify()) == []
