"""Writers in processes of their own, all at once on one lake."""

from collections.abc import Callable
from typing import Any

import pytest
from harness.lake_actions import commit_on, contents, paths

from resources.lake import Lake, open_lake

InProcesses = Callable[[str, list[tuple[Any, ...]]], list[Any]]


def test_concurrent_commits_lose_nothing(lake: Lake, lake_uri: str, in_processes: InProcesses) -> None:
    lake.create_branch("dev", "main")
    names = [f"f/{number}" for number in range(12)]
    made = in_processes("commit_one", [(lake_uri, "dev", name) for name in names])
    assert paths(lake.list("dev@")) == sorted(names)
    assert list(lake.uncommitted("dev")) == []
    assert len(list(lake.log("dev"))) == 1 + sum(made)


def test_concurrent_merges_of_different_paths_all_land(lake: Lake, lake_uri: str, in_processes: InProcesses) -> None:
    merged = in_processes("merge_one", [(lake_uri, f"b{n}", f"p/{n}") for n in range(12)])
    assert contents(lake, "main") == {f"p/{n}": f"b{n}".encode() for n in range(12)}
    assert {c.id for c in lake.log("main", first_parent=True)} >= set(merged)
    assert len(set(merged)) == 12


def test_concurrent_merges_of_one_path_have_one_winner(lake: Lake, lake_uri: str, in_processes: InProcesses) -> None:
    for number in range(6):
        lake.create_branch(f"c{number}", "main")
        commit_on(lake, f"c{number}", {"same": str(number).encode()})
    outcomes = in_processes("merge_branch", [(lake_uri, f"c{number}") for number in range(6)])
    assert outcomes.count("conflict: same") == 5
    (winner,) = [number for number, outcome in enumerate(outcomes) if outcome != "conflict: same"]
    assert lake.get("main", "same") == str(winner).encode()


def test_if_absent_has_one_winner(lake: Lake, lake_uri: str, in_processes: InProcesses) -> None:
    lake.create_branch("dev", "main")
    won = in_processes("put_if_absent", [(lake_uri, "dev", str(n)) for n in range(8)])
    (winner,) = [value for value in won if value]
    assert lake.get("dev", "contested") == winner.encode()


@pytest.mark.parametrize("lake_provided", ["embedded"], indirect=True)  # repositories of a server are made beforehand
def test_opening_a_new_lake_in_many_processes_makes_one(lake_uri: str, in_processes: InProcesses) -> None:
    in_processes("merge_one", [(lake_uri, f"b{n}", f"p/{n}") for n in range(8)])
    with open_lake(lake_uri) as lake:
        assert len(list(lake.list("main"))) == 8
        assert sum(not c.parents for c in lake.log("main")) == 1
