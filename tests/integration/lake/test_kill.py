"""Every operation killed at its every point: the old state or the new one, and a store that verifies."""

import random
import shutil
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from harness.older_store import to_format_1
from harness.spawner import Spawner

from resources.lake import Lake, ObjectInfo, open_lake
from resources.lake.embedded import EmbeddedLake

NO_GRACE = timedelta(0)
OPERATIONS = [
    "put",
    "put_large",
    "put_over_what_is_stored",
    "delete",
    "commit",
    "merge",
    "discard",
    "create_branch",
    "delete_branch",
    "create_tag",
    "delete_tag",
    "rollback",
    "revert",
    "gc",
]


@pytest.fixture(scope="module")
def spawner() -> Iterator[Spawner]:
    with Spawner(Path(__file__).with_name("kill_spawner.py"), Path(__file__).parents[3]) as running:
        yield running


def opened(store: Path) -> EmbeddedLake:
    lake = open_lake(store.as_uri())
    assert isinstance(lake, EmbeddedLake)
    return lake


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with something for every operation to do."""
    store = tmp_path_factory.mktemp("template") / "store"
    with opened(store) as lake:
        lake.create_branch("start", "main")
        for path, data in {"keep": b"keep", "old": b"old", "x": b"old x", "y": b"old y"}.items():
            lake.put("start", path, data)
        lake.commit("start", "start")
        lake.merge("start", "main", "start")
        for branch in ("ready", "work"):
            lake.create_branch(branch, "main")
            for path in ("x", "y"):
                lake.put(branch, path, f"{branch} {path}".encode())
            lake.delete(branch, "old")
        lake.commit("ready", "ready")
        lake.create_branch("empty", "main")
        lake.create_tag("pinned", "main")
        lake.create_branch("lost", "main")
        for number in range(3):
            lake.put("lost", f"lost/{number}", b"lost" * (number + 1))
        lake.commit("lost", "lost")
        lake.put("lost", "never", b"committed")
        lake.delete_branch("lost")
    return store


def copied(template: Path, to: Path) -> Path:
    """Objects are linked, as a store only ever replaces or removes their files."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(template, to, copy_function=link_objects))


def link_objects(source: str, target: str) -> None:
    if "/objects/" in source:
        Path(target).hardlink_to(source)
    else:
        shutil.copy2(source, target)


def state(store: Path) -> dict[str, Any]:
    """All that can be seen, in terms which do not differ between two runs of the same operation."""
    with opened(store) as lake:
        assert list(lake.verify()) == []
        refs = {**lake.list_branches(), **lake.list_tags()}
        return {
            ref: (
                content(lake, ref),
                [(change.path, change.type) for change in lake.uncommitted(ref)] if ref in lake.list_branches() else [],
                [commit.message.partition(" ")[0] for commit in lake.log(ref)],
            )
            for ref in refs
        }


def content(lake: Lake, ref: str) -> dict[str, tuple[bytes, dict[str, str]]]:
    items = [item for item in lake.list(ref) if isinstance(item, ObjectInfo)]
    return {item.path: (lake.get(ref, item.path), dict(item.metadata)) for item in items}


def files(store: Path) -> set[str]:
    return {path.name for path in (store / "objects").glob("*/*")}


def reached(store: Path) -> set[str]:
    """Files which refs and staging reach."""
    with opened(store) as lake:
        refs = [*lake.list_branches(), *lake.list_tags(), *(f"{name}@" for name in lake.list_branches())]
        return {item.checksum for ref in refs for item in lake.list(ref) if isinstance(item, ObjectInfo)}


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_at_every_point(operation: str, template: Path, spawner: Spawner, tmp_path: Path) -> None:
    store = copied(template, tmp_path / "store")
    old = state(store)
    killed, calls = spawner.run(operation, store.as_uri())
    new = state(store)
    assert not killed and calls > 3
    assert operation == "gc" or operation == "put_over_what_is_stored" or new != old
    found = []
    for point in count(1):
        copied(template, store)
        killed, _ = spawner.run(operation, store.as_uri(), kill_before=point)
        now = state(store)
        assert now in (old, new), f"killed before call {point} of {calls}"
        found.append(now == new)
        if not killed:
            break
        if now == old:
            spawner.run(operation, store.as_uri())
            assert state(store) == new, f"killed before call {point} of {calls}, then repeated"
        if point % 4 == 0 or operation == "gc":
            with opened(store) as lake:
                lake.gc(NO_GRACE, grace=NO_GRACE)
            assert files(store) == reached(store)
    assert found[-1] and len(found) == calls + 1
    assert found == sorted(found), "once the new state was there, a later kill showed the old one"


@pytest.mark.slow
def test_killed_at_every_point_of_a_migration(template: Path, spawner: Spawner, tmp_path: Path) -> None:
    older, store = copied(template, tmp_path / "older"), tmp_path / "store"
    expected = state(older)
    to_format_1(older)
    for point in count(1):
        copied(older, store)
        killed, _ = spawner.run("open_only", store.as_uri(), kill_before=point)
        assert state(store) == expected, f"killed before call {point}"
        if not killed:
            break
    assert point > 50


def test_killed_at_points_of_a_publication(template: Path, spawner: Spawner, tmp_path: Path) -> None:
    """Several changes made in one commit and one merge: main never shows a part."""
    store = copied(template, tmp_path / "store")
    with opened(store) as lake:
        old = content(lake, "main")
    _, calls = spawner.run("publication", store.as_uri(), "first")
    with opened(store) as lake:
        new = content(lake, "main")
    assert new.keys() ^ old.keys() == {"old", "own"} and calls > 60
    for point in sorted(random.Random(11).sample(range(1, calls), 40)):
        copied(template, store)
        assert spawner.run("publication", store.as_uri(), "first", kill_before=point)[0]
        with opened(store) as lake:
            now = content(lake, "main")
            assert now in (old, new), f"killed before call {point} of {calls}"
            assert list(lake.verify()) == []
        if now == old:
            spawner.run("publication", store.as_uri(), "again")  # what a retry does: start over on another branch
        with opened(store) as lake:
            assert content(lake, "main") == new


def test_killed_while_a_new_store_is_made(spawner: Spawner, tmp_path: Path) -> None:
    killed = 0
    for point in count(1, 11):
        store = tmp_path / f"fresh{point}"
        if not spawner.run("open_only", store.as_uri(), kill_before=point)[0]:
            break
        killed += 1
        with opened(store) as lake:
            lake.create_branch("dev", "main")
            lake.put("dev", "a", b"1")
            lake.commit("dev", "m")
            lake.merge("dev", "main", "m")
            assert content(lake, "main") == {"a": (b"1", {})}
            assert sum(not commit.parents for commit in lake.log("main")) == 1
            assert list(lake.verify()) == []
    assert killed > 20
