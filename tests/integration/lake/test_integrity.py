"""Any flipped bit of a store is found by verify, with what it touches, or changes nothing that can be read."""

import random
import shutil
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from harness.filled_store import dump, live_commits, make, opened, outcome, problems, read_all, run

from resources.lake import CorruptObject, ObjectInfo
from resources.lake.embedded import EmbeddedLake

FLIPS = 300


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sound") / "lake"
    make(directory)
    return directory


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "store"))


def flipped(data: bytes, bit: int) -> bytes:
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def put_database(directory: Path, data: bytes) -> None:
    for name in ("lake.db-wal", "lake.db-shm"):
        (directory / name).unlink(missing_ok=True)
    (directory / "lake.db").write_bytes(data)


def test_any_flipped_bit_of_the_database_is_found_or_changes_nothing(store: Path) -> None:
    whole = (store / "lake.db").read_bytes()
    before = read_all(store)
    assert isinstance(before, dict) and problems(store) == []
    seed = random.randrange(1 << 32)
    rng, found = random.Random(seed), 0
    for _ in range(FLIPS):
        bit = rng.randrange(len(whole) * 8)
        put_database(store, flipped(whole, bit))
        if problems(store):
            found += 1
        else:
            assert read_all(store) == before, f"seed {seed}: bit {bit} changed what is read, and verify is silent"
    assert found > FLIPS // 4


def heads_among(lake: EmbeddedLake, commits: tuple[str, ...]) -> set[str]:
    heads = {**lake.list_branches(), **lake.list_tags()}
    return {name for name, head in heads.items() if head in commits}


def test_any_flipped_bit_of_an_object_is_found_with_its_paths_commits_and_refs(store: Path) -> None:
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    with opened(store) as lake:
        held: dict[str, set[tuple[str, str]]] = {}  # ref and path by checksum
        for ref in [*live_commits(lake), "dev"]:
            for item in lake.list(ref):
                assert isinstance(item, ObjectInfo)
                held.setdefault(item.checksum, set()).add((ref, item.path))
        staged = {
            lake.stat("dev", change.path).checksum for change in lake.uncommitted("dev") if change.type != "removed"
        }
        files = sorted((store / "objects").glob("*/*"))
        assert len(files) > 50 and len(staged) == 2
        for file in [*(store / "objects" / name[:2] / name for name in staged), *rng.sample(files, 30)]:
            content = file.read_bytes()
            file.chmod(0o644)
            file.write_bytes(flipped(content, rng.randrange(len(content) * 8)))
            (problem,) = lake.verify()
            assert (problem.kind, problem.name) == ("object", file.name), f"seed {seed}"
            assert set(problem.commits) == {ref for ref, _ in held[file.name]} - {"dev"}
            assert set(problem.paths) == {path for _, path in held[file.name]}
            assert set(problem.refs) == heads_among(lake, problem.commits) | ({"dev"} if file.name in staged else set())
            assert "backup" in problem.remedy
            for ref, path in held[file.name]:
                for byte_range in (None, (0, 1)):
                    with pytest.raises(CorruptObject):
                        lake.get(ref, path, byte_range=byte_range)
            file.write_bytes(content)
        assert list(lake.verify()) == []


def test_any_flipped_bit_of_a_tree_node_is_found_with_what_cannot_be_read(store: Path) -> None:
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    with opened(store) as lake:
        before = dump(lake)
        paths = {c: [item.path for item in lake.list(c)] for c in live_commits(lake)}
    nodes = run(store, "SELECT hash, data FROM nodes")
    assert len(nodes) > 10
    found = 0
    for name, data in rng.sample(nodes, min(len(nodes), 30)):
        change_node(store, name, flipped(data, rng.randrange(len(data) * 8)))
        with opened(store) as lake:
            reported = list(lake.verify())
            if not reported:
                assert dump(lake) == before, f"seed {seed}"
                continue
            found += 1
            (problem,) = reported
            assert (problem.kind, problem.name) == ("node", name.hex()), f"seed {seed}"
            lost = {c for c in paths if isinstance(outcome(lambda c=c, lake=lake: list(lake.list(c))), str)}
            assert set(problem.commits) == lost and set(problem.refs) == heads_among(lake, problem.commits)
            unread = {p for c in paths for p in paths[c] if isinstance(outcome(lambda c=c, p=p: lake.stat(c, p)), str)}
            assert unread <= set(problem.paths)
            assert set(problem.paths) <= {path for found in paths.values() for path in found} | changed_paths(store)
        change_node(store, name, data)
    assert found > 20
    assert problems(store) == []


def test_a_tree_node_exchanged_for_another_is_found_and_never_read(store: Path) -> None:
    (wrong, _), (right, data) = run(store, "SELECT hash, data FROM nodes ORDER BY length(data) DESC LIMIT 2")
    with opened(store) as lake:
        live = live_commits(lake)
    change_node(store, wrong, data)
    with opened(store) as lake:
        (problem,) = lake.verify()
        assert (problem.kind, problem.name) == ("node", wrong.hex()) and right != wrong
        assert problem.commits and set(problem.commits) <= set(live)
        for commit in problem.commits:
            with pytest.raises(CorruptObject, match="does not match its hash"):
                list(lake.list(commit))


def change_node(store: Path, name: bytes, data: bytes) -> None:
    run(store, "UPDATE nodes SET data = ? WHERE hash = ?", data, name)


def changed_paths(store: Path) -> set[str]:
    return {path for (path,) in run(store, "SELECT path FROM changes")}


def test_verify_beside_writers_and_collections_reports_nothing(store: Path) -> None:
    """What a collection takes while verify looks is not missing."""
    stop, errors = threading.Event(), []

    def write() -> None:
        try:
            with opened(store) as lake:
                number = 0
                while not stop.is_set():
                    branch, number = f"beside-{number}", number + 1
                    with lake.unsynced():
                        lake.create_branch(branch, "main")
                        for name in ("a", "b"):
                            lake.put(branch, f"beside/{name}", f"{branch} {name}".encode())
                        lake.commit(branch, branch)
                        if number % 2:
                            lake.merge(branch, "main", branch, strategy="source-wins")
                        lake.delete_branch(branch)
                        lake.gc(timedelta(0), grace=timedelta(0))
        except Exception as error:
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with opened(store) as lake:
            for _ in range(25):
                assert list(lake.verify()) == []
    finally:
        stop.set()
        writer.join(timeout=60)
    assert not writer.is_alive() and errors == []
