"""History as a server tells it: by whole seconds, page by page."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest
from harness.lakefs_faults import Fault

from resources.lake import DirtyBranch, Lake, MergeConflict, NoChanges, ObjectNotFound, RefNotFound

from .conftest import Remote


def history(remote: Remote, merges: int = 12) -> None:
    """Commits of two branches merged into main, all within a second."""
    for number in range(merges):
        branch = f"b{number}"
        remote.behind.create_branch(branch, "main")
        remote.behind.put(branch, f"p{number % 3}", str(number).encode())
        remote.behind.commit(branch, branch)
        remote.behind.merge(branch, "main", f"merge {branch}")


def test_children_come_first_whatever_the_order_within_a_second(remote: Remote) -> None:
    """A real server sorts commits of one second by their ids."""
    history(remote)
    answer = json.loads(remote.request("GET", "/refs/main/commits?amount=1000"))
    head, *others = answer["results"]
    answer["results"] = [head, *sorted(others, key=lambda commit: commit["id"])]
    remote.faults.add(Fault("answer", "GET", "/refs/main/commits", status=200, body=json.dumps(answer).encode()))
    found = list(remote.lake.log("main"))
    position = {commit.id: number for number, commit in enumerate(found)}
    assert len(position) == len(found) == len(others) + 1
    for commit in found:
        assert all(position[commit.id] < position[parent] for parent in commit.parents)


def test_a_walk_over_many_pages_is_not_confused_by_what_becomes_of_the_branch(remote: Remote) -> None:
    for number in range(250):
        remote.behind.commit("dev", str(number), allow_empty=True)
    expected = [commit.id for commit in remote.behind.log("dev")]
    walk = remote.lake.log("dev")
    start = [commit.id for commit in islice(walk, 50)]
    remote.behind.commit("dev", "meanwhile", allow_empty=True)
    remote.behind.delete_branch("dev")
    assert start + [commit.id for commit in walk] == expected
    assert remote.count("GET", "/commits") == 2


def test_a_short_log_asks_for_little(remote: Remote) -> None:
    history(remote, 3)
    assert len(list(remote.lake.log("main", limit=2, first_parent=True))) == 2
    assert remote.count() == remote.count("GET", "/commits.*amount=4&") == 1


def test_the_paths_of_a_conflict_are_all_named(remote: Remote) -> None:
    remote.behind.create_branch("other", "main")
    for number in range(30):
        remote.behind.put("dev", f"p/{number:02d}", b"dev")
        remote.behind.put("other", f"p/{number:02d}", b"other")
    remote.behind.put("dev", "fine", b"x")
    remote.behind.commit("dev", "m")
    remote.behind.commit("other", "m")
    with pytest.raises(MergeConflict, match=r"p/00, p/01, .* and 20 more") as caught:
        remote.lake.merge("dev", "other", "m")
    assert caught.value.paths == tuple(f"p/{number:02d}" for number in range(30))


def test_a_revert_of_nothing_makes_no_commit(remote: Remote) -> None:
    remote.lake.put("dev", "a", b"1")
    undone = remote.lake.commit("dev", "m")
    empty = remote.lake.commit("dev", "m", allow_empty=True)
    with pytest.raises(NoChanges):
        remote.lake.revert("dev", empty.id)
    remote.lake.revert("dev", undone.id)
    with pytest.raises(NoChanges):
        remote.lake.revert("dev", undone.id)
    remote.lake.put("dev", "b", b"1")
    with pytest.raises(DirtyBranch):
        remote.lake.revert("dev", undone.id)
    assert remote.count("POST", "/revert") == 1


def test_equal_objects_at_two_paths_are_two_on_the_server(remote: Remote) -> None:
    """A real server that sees two neighbours of equal content and metadata loses one of them in a merge."""
    stored = []
    for path in ("a", "b"):
        remote.lake.put("dev", path, b"same")
        stored.append(json.loads(remote.request("GET", f"/refs/dev/objects/stat?path={path}"))["metadata"])
        assert dict(remote.lake.stat("dev", path).metadata) == {}
    assert stored[0] != stored[1]


def test_a_rollback_forgets_what_would_become_a_change(remote: Remote) -> None:
    remote.lake.put("dev", "a", b"1")
    first = remote.lake.commit("dev", "1")
    remote.lake.put("dev", "a", b"2")
    remote.lake.commit("dev", "2")
    remote.lake.put("dev", "a", b"2")  # as committed
    remote.lake.rollback("dev", first.id)
    assert remote.lake.get("dev", "a") == b"1"
    assert list(remote.lake.uncommitted("dev")) == []


def test_parent_and_forked_child_share_no_connection(remote: Remote, tmp_path: Path) -> None:
    for path in ("parent", "child"):
        remote.lake.put("dev", path, path.encode() * 1000)
    # the server takes its time, so that both wait for an answer at once
    remote.strike("delay", "GET", "/objects[?]", first=2, times=60, seconds=0.03)
    script = """
import os, sys
from resources.lake import open_lake
lake = open_lake(sys.argv[1])
assert lake.get("dev", "parent") == b"parent" * 1000
child = os.fork()
mine = "parent" if child else "child"
for _ in range(30):
    assert lake.get("dev", mine) == mine.encode() * 1000
if child:
    assert os.waitpid(child, 0)[1] == 0
    print("both")
"""
    root = Path(__file__).parents[4]
    done = subprocess.run(
        [sys.executable, "-c", script, remote.uri], cwd=root, timeout=60, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("both\n", 0), done.stderr


def test_threads_share_a_lake(patient: Lake) -> None:
    def work(number: int) -> bytes:
        patient.put("dev", f"n/{number}", str(number).encode())
        return patient.get("dev", f"n/{number}")

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(64))) == [str(number).encode() for number in range(64)]
    patient.close()
    assert len(list(patient.list("dev"))) == 64  # opens anew


def test_an_absent_object_and_an_absent_ref_are_told_apart(remote: Remote) -> None:
    for read in (remote.lake.get, remote.lake.stat, remote.lake.local_path):
        with pytest.raises(ObjectNotFound, match="'nothing' at 'dev'"):
            read("dev", "nothing")
        for ref in ("nope", "main~9", "dev$", "a b", "dev@@", f"{remote.behind.resolve('dev')}@"):
            with pytest.raises(RefNotFound, match=re.escape(ref)):
                read(ref, "nothing")
