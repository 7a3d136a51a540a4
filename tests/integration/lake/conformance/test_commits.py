"""Commits and the log."""

import random
from datetime import UTC, datetime

import pytest
from harness.lake_actions import Land, changes, commit_on, paths

from resources.lake import Lake, NoChanges


def test_message_metadata_parents_time(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    base = lake.resolve("dev")
    lake.put("dev", "a", b"1")
    commit = lake.commit("dev", "why ü", {"run_id": "1", "k": "v"})
    assert commit.message == "why ü"
    assert dict(commit.metadata) == {"run_id": "1", "k": "v"}
    assert commit.parents == (base,)
    assert commit.created.tzinfo == UTC and commit.created > datetime(2024, 1, 1, tzinfo=UTC)
    assert lake.get_commit(commit.id) == lake.get_commit("dev") == commit
    assert next(lake.log("dev")) == commit
    assert list(lake.uncommitted("dev")) == []


def test_nothing_staged_is_no_commit_unless_asked_for(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    with pytest.raises(NoChanges):
        lake.commit("dev", "m")
    empty = lake.commit("dev", "m", allow_empty=True)
    assert lake.resolve("dev") == empty.id
    assert empty.parents == (lake.resolve("main"),)


def test_the_same_again_is_no_change(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    lake.put("dev", "a", b"1", metadata={"k": "v"})
    first = lake.commit("dev", "m")
    lake.put("dev", "a", b"1", metadata={"k": "v"})
    with pytest.raises(NoChanges):
        lake.commit("dev", "m")
    assert lake.resolve("dev") == first.id


def test_other_metadata_is_a_change(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    lake.put("dev", "a", b"1", metadata={"k": "v"})
    lake.commit("dev", "m")
    lake.put("dev", "a", b"1", metadata={"k": "w"})
    assert changes(lake.uncommitted("dev")) == [("a", "changed")]
    lake.commit("dev", "m")
    assert dict(lake.stat("dev@", "a").metadata) == {"k": "w"}


def test_old_commits_keep_what_was_overwritten_and_deleted(lake: Lake, land: Land) -> None:
    first = land({"a": b"1", "b": b"1"})
    lake.create_branch("dev", "main")
    commit_on(lake, "dev", {"a": b"2", "b": None})
    lake.merge("dev", "main", "m")
    assert lake.get(first, "a") == b"1"
    assert paths(lake.list(first)) == ["a", "b"]
    assert paths(lake.list("main")) == ["a"]


def test_log(lake: Lake, land: Land) -> None:
    first = next(lake.log("main")).id
    one, two = land({"a": b"1"}, "one"), land({"b": b"1"}, "two")
    assert [c.id for c in lake.log("main", first_parent=True)] == [two, one, first]
    everything = [c.id for c in lake.log("main")]
    assert len(everything) == len(set(everything)) == 5
    position = {commit: index for index, commit in enumerate(everything)}
    for commit in lake.log("main"):
        assert all(position[commit.id] < position[parent] for parent in commit.parents)
    assert [c.id for c in lake.log("main", limit=2)] == everything[:2]
    assert list(lake.log("main", limit=0)) == []


def test_the_same_commit_twice_within_a_second_is_two(lake: Lake) -> None:
    for branch in ("one", "two"):
        lake.create_branch(branch, "main")
    made = [commit_on(lake, branch, {"a": b"1"}) for branch in ("one", "two")]
    assert made[0].id != made[1].id
    assert lake.merge_base("one", "two") == lake.resolve("main")


def test_log_of_a_path(lake: Lake, land: Land) -> None:
    one = land({"a": b"1"})
    two = land({"b": b"1"})
    three = land({"a": b"2", "c": b"1"})
    assert [c.id for c in lake.log("main", first_parent=True, path="a")] == [three, one]
    assert [c.id for c in lake.log("main", first_parent=True, path="a", limit=1)] == [three]
    assert [c.id for c in lake.log(two, first_parent=True, path="a")] == [one]
    assert [c.id for c in lake.log("main", first_parent=True, path="b")] == [two]
    assert list(lake.log("main", path="never")) == []
    both = [c.id for c in lake.log("main", path="a")]
    assert len(both) == 4 and [c for c in both if c in (one, three)] == [three, one]


def test_log_of_a_path_agrees_with_comparing_every_commit(lake: Lake) -> None:
    rng = random.Random(5)
    for number in range(40):
        branch = f"b{number}"
        lake.create_branch(branch, "main")
        for _ in range(rng.randint(1, 2)):
            commit_on(lake, branch, {f"p{rng.randrange(4)}": str(rng.random()).encode()})
        lake.merge(branch, "main", "m")
    for path in ("p0", "p1", "p2", "p3"):
        for first_parent in (False, True):
            expected = [
                c.id
                for c in lake.log("main", first_parent=first_parent)
                if c.parents and path in paths(lake.diff(c.parents[0], c.id, mode="two_dot"))
            ]
            assert expected
            assert [c.id for c in lake.log("main", path=path, first_parent=first_parent)] == expected
