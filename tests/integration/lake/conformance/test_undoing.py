"""Rollback and revert."""

import pytest
from harness.lake_actions import commit_on, contents, paths

from resources.lake import DirtyBranch, Lake, MergeConflict, NoChanges, PreconditionFailed


def test_rollback(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    first = commit_on(lake, "dev", {"a": b"1"})
    commit_on(lake, "dev", {"a": b"2"})
    lake.put("dev", "a", b"staged")
    with pytest.raises(DirtyBranch):
        lake.rollback("dev", first.id)
    lake.discard("dev")
    assert lake.rollback("dev", first.id) == first.id
    assert lake.get("dev", "a") == b"1"


def test_what_was_staged_without_a_difference_does_not_survive_a_rollback(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    first = commit_on(lake, "dev", {"a": b"1"})
    commit_on(lake, "dev", {"a": b"2"})
    lake.put("dev", "a", b"2")
    lake.rollback("dev", first.id)
    assert lake.get("dev", "a") == b"1"
    assert list(lake.uncommitted("dev")) == []


def test_revert(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    commit_on(lake, "dev", {"a": b"1", "b": b"1"})
    undone = commit_on(lake, "dev", {"a": b"2", "b": None, "c": b"1"})
    commit_on(lake, "dev", {"d": b"1"})
    reverted = lake.revert("dev", undone.id)
    assert contents(lake, "dev@") == {"a": b"1", "b": b"1", "d": b"1"}
    assert undone.id in reverted.message
    with pytest.raises(NoChanges):
        lake.revert("dev", undone.id)


def test_a_revert_in_conflict_changes_nothing(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    commit_on(lake, "dev", {"a": b"1"})
    undone = commit_on(lake, "dev", {"a": b"2"})
    head = commit_on(lake, "dev", {"a": b"3"})
    with pytest.raises(MergeConflict) as caught:
        lake.revert("dev", undone.id)
    assert caught.value.paths == ("a",)
    assert lake.resolve("dev") == head.id


def test_reverting_a_merge_needs_a_parent(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    lake.create_branch("topic", "main")
    commit_on(lake, "dev", {"a": b"1"})
    commit_on(lake, "topic", {"b": b"1"})
    merged = lake.merge("topic", "dev", "m").commit_id
    for parent in (0, 3, -1):
        with pytest.raises(PreconditionFailed):
            lake.revert("dev", merged, parent=parent)
    lake.revert("dev", merged, parent=1)
    assert paths(lake.list("dev@")) == ["a"]


def test_the_first_commit_cannot_be_reverted_and_a_dirty_branch_not_at_all(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    with pytest.raises(PreconditionFailed):
        lake.revert("dev", lake.resolve("main"))
    commit = commit_on(lake, "dev", {"a": b"1"})
    lake.put("dev", "b", b"1")
    with pytest.raises(DirtyBranch):
        lake.revert("dev", commit.id)
