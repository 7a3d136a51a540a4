"""Merges of one writer after the other."""

import pytest
from harness.lake_actions import Land, changes, commit_on, contents, paths

from resources.lake import DirtyBranch, Lake, MergeConflict, Unsupported


def fork(lake: Lake, land: Land, base: dict[str, bytes]) -> None:
    """Branches ``dest`` and ``source`` from a main with these objects."""
    land(base)
    lake.create_branch("dest", "main")
    lake.create_branch("source", "main")


def test_a_merge_has_both_heads_as_parents(lake: Lake, land: Land) -> None:
    fork(lake, land, {"a": b"0"})
    dest, source = lake.resolve("dest"), commit_on(lake, "source", {"a": b"1"}).id
    result = lake.merge("source", "dest", "why", {"k": "v"})
    commit = lake.get_commit("dest")
    assert not result.already_merged
    assert (result.commit_id, commit.parents) == (commit.id, (dest, source))
    assert (commit.message, dict(commit.metadata)) == ("why", {"k": "v"})
    assert lake.get("dest", "a") == b"1"


def test_both_sides_land(lake: Lake, land: Land) -> None:
    fork(lake, land, {"a": b"0", "b": b"0", "c": b"0"})
    commit_on(lake, "source", {"a": b"1", "b": None, "new": b"s"})
    commit_on(lake, "dest", {"c": b"1", "other": b"d"})
    lake.merge("source", "dest", "m")
    expected = {"a": b"1", "c": b"1", "new": b"s", "other": b"d"}
    assert contents(lake, "dest@") == expected


@pytest.mark.parametrize(
    ("source", "dest"),
    [(b"1", b"2"), (b"1", None), (None, b"2")],
    ids=["changed both", "changed, deleted", "deleted, changed"],
)
def test_conflicts_name_the_paths_and_change_nothing(lake: Lake, land: Land, source, dest) -> None:
    fork(lake, land, {"p": b"0", "q": b"0"})
    commit_on(lake, "source", {"p": source, "q": b"s", "fine": b"1"})
    head = commit_on(lake, "dest", {"p": dest, "q": b"d"})
    with pytest.raises(MergeConflict, match="p") as caught:
        lake.merge("source", "dest", "m")
    assert caught.value.paths == ("p", "q")
    assert lake.resolve("dest") == head.id
    assert list(lake.uncommitted("dest")) == []


def test_added_on_both_sides_conflicts_only_if_different(lake: Lake, land: Land) -> None:
    fork(lake, land, {"a": b"0"})
    commit_on(lake, "source", {"same": b"1", "gone": b"1"})
    commit_on(lake, "dest", {"same": b"1", "gone": b"2"})
    with pytest.raises(MergeConflict) as caught:
        lake.merge("source", "dest", "m")
    assert caught.value.paths == ("gone",)


def test_the_same_change_on_both_sides_is_none(lake: Lake, land: Land) -> None:
    fork(lake, land, {"p": b"0", "q": b"0"})
    commit_on(lake, "source", {"p": b"1", "q": None})
    commit_on(lake, "dest", {"p": b"1", "q": None})
    assert not lake.merge("source", "dest", "m").already_merged
    assert paths(lake.list("dest@")) == ["p"]


@pytest.mark.parametrize(("strategy", "winner"), [("source-wins", b"s"), ("dest-wins", b"d")])
def test_strategies(lake: Lake, land: Land, strategy, winner) -> None:
    fork(lake, land, {"p": b"0", "x": b"0", "y": b"0"})
    commit_on(lake, "source", {"p": b"s", "x": None, "y": b"s", "only": b"s"})
    commit_on(lake, "dest", {"p": b"d", "x": b"d", "y": None})
    lake.merge("source", "dest", "m", strategy=strategy)
    result = contents(lake, "dest@")
    if winner == b"s":
        assert result == {"p": b"s", "y": b"s", "only": b"s"}
    else:
        assert result == {"p": b"d", "x": b"d", "only": b"s"}
    with pytest.raises(Unsupported):
        commit_on(lake, "source", {"p": b"again"})
        lake.merge("source", "dest", "m", strategy="coin-toss")


def test_repeating_a_merge_changes_nothing(lake: Lake, land: Land) -> None:
    fork(lake, land, {"a": b"0"})
    commit_on(lake, "source", {"a": b"1"})
    merged = lake.merge("source", "dest", "m").commit_id
    again = lake.merge("source", "dest", "m")
    assert again.already_merged and again.commit_id == merged == lake.resolve("dest")
    commit_on(lake, "dest", {"a": b"2"})
    assert lake.merge("source", "dest", "m").already_merged
    assert lake.get("dest", "a") == b"2"


def test_commits_that_change_nothing_are_merged_too(lake: Lake, land: Land) -> None:
    fork(lake, land, {"a": b"0"})
    empty = lake.commit("source", "empty", allow_empty=True)
    dest = lake.resolve("dest")
    merged = lake.merge("source", "dest", "m")
    assert not merged.already_merged
    assert lake.get_commit(merged.commit_id).parents == (dest, empty.id)
    assert lake.merge("source", "dest", "m").already_merged


def test_further_work_on_a_merged_branch_merges_again(lake: Lake, land: Land) -> None:
    fork(lake, land, {"a": b"0"})
    commit_on(lake, "source", {"a": b"1"})
    lake.merge("source", "dest", "m")
    commit_on(lake, "source", {"a": b"2"})
    lake.merge("source", "dest", "m")
    assert lake.get("dest@", "a") == b"2"


def test_a_dirty_destination_is_refused(lake: Lake, land: Land) -> None:
    fork(lake, land, {"a": b"0"})
    commit_on(lake, "source", {"a": b"1"})
    lake.put("dest", "z", b"1")
    with pytest.raises(DirtyBranch, match="z"):
        lake.merge("source", "dest", "m")
    lake.discard("dest")
    lake.merge("source", "dest", "m")


def test_what_was_staged_without_a_difference_does_not_undo_a_merge(lake: Lake, land: Land) -> None:
    fork(lake, land, {"a": b"0"})
    commit_on(lake, "source", {"a": b"1"})
    lake.put("dest", "a", b"0")
    lake.merge("source", "dest", "m")
    assert lake.get("dest", "a") == b"1"


def test_what_is_staged_on_the_source_stays_there(lake: Lake, land: Land) -> None:
    fork(lake, land, {"a": b"0"})
    commit_on(lake, "source", {"a": b"1"})
    lake.put("source", "staged", b"1")
    lake.merge("source", "dest", "m")
    assert paths(lake.list("dest")) == ["a"]
    assert changes(lake.uncommitted("source")) == [("staged", "added")]


def test_a_commit_or_tag_as_source(lake: Lake, land: Land) -> None:
    fork(lake, land, {"a": b"0"})
    first = commit_on(lake, "source", {"a": b"1"})
    commit_on(lake, "source", {"a": b"2"})
    lake.create_tag("v", first.id)
    lake.merge("v", "dest", "m")
    assert lake.get("dest", "a") == b"1"


def test_merge_base(lake: Lake, land: Land) -> None:
    base = land({"a": b"0"})
    self_made = lake.create_branch("one", "main")
    lake.create_branch("two", "main")
    commit_on(lake, "one", {"b": b"1"})
    commit_on(lake, "two", {"c": b"1"})
    assert lake.merge_base("one", "two") == base == self_made
    assert lake.merge_base("one", "main") == base
    assert lake.merge_base("one", "one") == lake.resolve("one")
    one = lake.resolve("one")
    lake.merge("one", "two", "m")
    assert lake.merge_base("one", "two") == one
