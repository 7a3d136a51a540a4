"""Many processes at work on one store at once, killed at random moments.

The store opens and verifies after every kill, main has each publication whole or not at all, and nothing that
was acknowledged to a worker is lost.
"""

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from harness.spawner import Spawner

from resources.lake import Commit, Gone, Lake, ObjectInfo, open_lake
from resources.lake.embedded import EmbeddedLake

ROUNDS = 40
WORKERS = 4
KILLS_PER_ROUND = 4
SHARED = "shared"
TEXTS: dict[str, str] = {}  # by checksum


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    with Spawner(Path(__file__).with_name("kill_spawner.py"), Path(__file__).parents[3]) as running:
        yield running


@dataclass
class Acknowledged:
    """What the workers were told, read from what they wrote down."""

    committed: dict[str, tuple[str, dict[str, str | None]]] = field(default_factory=dict)  # branch: id, edits
    merged: dict[str, str] = field(default_factory=dict)  # publication: commit id
    tagged: dict[str, str] = field(default_factory=dict)
    staged: set[str] = field(default_factory=set)
    claimed: dict[str, str] = field(default_factory=dict)
    deleting: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)

    def read(self, logs: Path) -> None:
        for log in logs.iterdir():
            for line in log.read_text().splitlines():
                kind, *facts = json.loads(line)
                assert kind != "error", f"{log.name}: {facts[0]}"
                if kind == "committed":
                    self.committed[facts[0]] = (facts[1], facts[2])
                elif kind in ("merged", "tagged"):
                    getattr(self, kind)[facts[0]] = facts[1]
                elif kind == "claimed":
                    path, session = facts
                    assert self.claimed.setdefault(path, session) == session, f"{path} was won twice"
                else:
                    getattr(self, kind).add(facts[0])


@pytest.mark.slow
def test_workers_killed_at_random_moments(spawner: Spawner, tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    store, logs = tmp_path / "store", tmp_path / "logs"
    logs.mkdir()
    with open_lake(store.as_uri()) as lake:
        lake.create_branch(SHARED, "main")
    kills = sessions = 0

    def start() -> int:
        nonlocal sessions
        sessions += 1
        session = f"s{sessions}"
        return spawner.start("torture", store.as_uri(), session, rng.randrange(1 << 32), str(logs / session))

    for number in range(ROUNDS):
        workers = [start() for _ in range(WORKERS)]
        for _ in range(KILLS_PER_ROUND):
            time.sleep(rng.uniform(0.0, 0.1))
            spawner.kill(workers.pop(rng.randrange(WORKERS)))
            workers.append(start())
            kills += 1
        if number % 3 == 0:
            assert_verifies(store, f"seed {seed}, round {number}, beside {WORKERS} workers")
        time.sleep(rng.uniform(0.0, 0.2))
        for pid in workers:
            spawner.kill(pid)
            kills += 1
        assert_verifies(store, f"seed {seed}, round {number}")
        told = Acknowledged()
        told.read(logs)
        with open_lake(store.as_uri()) as lake:
            check(lake, told, f"seed {seed}, round {number}")
            remove_left_branches(lake, logs)
    assert kills >= 200
    assert len(told.merged) > 50 and told.tagged and told.staged and told.claimed, "the workers did too little"


def assert_verifies(store: Path, when: str) -> None:
    lake = open_lake(store.as_uri())
    assert isinstance(lake, EmbeddedLake)
    with lake:
        assert list(lake.verify()) == [], when


def check(lake: Lake, told: Acknowledged, when: str) -> None:
    history = list(lake.log("main@", first_parent=True))[::-1]
    by_publication = {c.metadata["publication"]: c for c in history if c.parents}
    assert len(by_publication) == len(history) - 1, f"{when}: published twice"
    for name, commit_id in told.merged.items():
        assert by_publication[name].id == commit_id, f"{when}: merge of {name} lost"
    expected = replayed(history)
    assert content(lake, "main") == expected[history[-1].id], when
    for commit in history:
        try:
            assert content(lake, commit.id) == expected[commit.id], f"{when}: {commit.id}"
        except Gone:
            continue  # retention took its content
    tags = lake.list_tags()
    for name, commit_id in told.tagged.items():
        assert tags[name] == commit_id, f"{when}: tag {name} lost"
    for name, commit_id in tags.items():
        assert content(lake, name) == expected[commit_id], f"{when}: {name}"
    check_branches(lake, told, when)
    shared = content(lake, SHARED)
    for path in told.staged:
        assert shared[path] == path, f"{when}: {path} lost"
    for path, session in told.claimed.items():
        assert shared[path] == session, f"{when}: {path}"


def check_branches(lake: Lake, told: Acknowledged, when: str) -> None:
    branches = lake.list_branches("w-")
    for branch, (commit_id, edits) in told.committed.items():
        if branch not in told.deleting:
            assert branches[branch] == commit_id, f"{when}: {branch} lost"
            now = content(lake, branch)
            assert {path: now.get(path) for path in edits} == edits, f"{when}: {branch}"
    assert not told.deleted & branches.keys(), f"{when}: deleted branches came back"


def replayed(history: list[Commit]) -> dict[str, dict[str, str]]:
    """What main must hold at each commit, by what the commits say that they changed."""
    now: dict[str, str] = {}
    states = {}
    for commit in history:
        for path, text in json.loads(commit.metadata.get("edits", "{}")).items():
            now.pop(path, None)
            if text is not None:
                now[path] = text
        states[commit.id] = dict(now)
    return states


def content(lake: Lake, ref: str) -> dict[str, str]:
    """Text by path. Each object is read once: that a file still matches its checksum is for verify to say."""
    found = {}
    for item in lake.list(ref):
        assert isinstance(item, ObjectInfo)
        if item.checksum not in TEXTS:
            TEXTS[item.checksum] = lake.get(ref, item.path).decode()
        found[item.path] = TEXTS[item.checksum]
    return found


def remove_left_branches(lake: Lake, logs: Path) -> None:
    """As the janitor does; the workers' own record says so from now on."""
    with (logs / "janitor").open("a") as log:
        for branch in lake.list_branches("w-"):
            log.write(json.dumps(["deleting", branch]) + "\n")
            lake.delete_branch(branch)
