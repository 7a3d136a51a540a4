"""What is staged on a branch."""

import pytest
from harness.lake_actions import changes, commit_on, paths, put_all

from resources.lake import Lake, NoChanges, ObjectNotFound, RefNotFound


def test_staged_is_visible_on_the_branch_and_not_at_its_head(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    lake.put("dev", "a", b"1")
    assert lake.get("dev", "a") == b"1"
    assert paths(lake.list("dev")) == ["a"]
    assert list(lake.list("dev@")) == []
    with pytest.raises(ObjectNotFound):
        lake.get("dev@", "a")
    with pytest.raises(RefNotFound):
        lake.resolve(f"{lake.resolve('dev')}@")


def test_branches_are_isolated(lake: Lake) -> None:
    lake.create_branch("one", "main")
    lake.create_branch("two", "main")
    commit_on(lake, "one", {"a": b"1"})
    lake.put("one", "b", b"1")
    assert list(lake.list("two")) == []
    assert list(lake.list("main")) == []


def test_uncommitted_names_what_differs_from_the_head(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    commit_on(lake, "dev", {"p/changed": b"1", "p/gone": b"1", "p/same": b"1"})
    lake.put("dev", "p/changed", b"2")
    lake.put("dev", "p/same", b"1")
    lake.put("dev", "p/new", b"1")
    lake.put("dev", "q/new", b"1")
    lake.delete("dev", ["p/gone", "p/never"])
    expected = [("p/changed", "changed"), ("p/gone", "removed"), ("p/new", "added"), ("q/new", "added")]
    assert changes(lake.uncommitted("dev")) == expected
    assert changes(lake.uncommitted("dev", "p/")) == expected[:3]


def test_put_then_delete_before_a_commit_leaves_nothing(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    lake.put("dev", "a", b"1")
    lake.delete("dev", ["a"])
    with pytest.raises(NoChanges):
        lake.commit("dev", "m")


def test_delete_then_put_again_is_a_change(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    commit_on(lake, "dev", {"a": b"1"})
    lake.delete("dev", "a")
    lake.put("dev", "a", b"2")
    assert changes(lake.uncommitted("dev")) == [("a", "changed")]


def test_deleting_what_is_not_there_succeeds(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    lake.delete("dev", ["a", "b"])
    lake.delete("dev", [])
    assert list(lake.uncommitted("dev")) == []


def test_more_than_a_thousand_deletes_in_one_call(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    names = [f"n/{number:05d}" for number in range(1203)]
    put_all(lake, "dev", [*names, "o"])
    lake.commit("dev", "m")
    lake.delete("dev", names)
    assert paths(lake.list("dev")) == ["o"]
    lake.commit("dev", "m")
    assert paths(lake.list("dev@")) == ["o"]


def test_discard_all_a_path_a_prefix(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    commit_on(lake, "dev", {"p/1": b"old"})
    for path in ("p/1", "p/2", "q/1", "r"):
        lake.put("dev", path, b"new")
    lake.discard("dev", path="r")
    assert paths(lake.uncommitted("dev")) == ["p/1", "p/2", "q/1"]
    lake.discard("dev", prefix="p/")
    assert paths(lake.uncommitted("dev")) == ["q/1"]
    assert lake.get("dev", "p/1") == b"old"
    lake.discard("dev")
    assert list(lake.uncommitted("dev")) == []
