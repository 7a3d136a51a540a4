"""Differences of two refs."""

import pytest
from harness.lake_actions import Land, changes, commit_on, paths, put_all

from resources.lake import Lake, Unsupported


def test_two_dot_and_three_dot(lake: Lake, land: Land) -> None:
    land({"both": b"0", "left": b"0", "right": b"0", "gone": b"0"})
    lake.create_branch("l", "main")
    lake.create_branch("r", "main")
    commit_on(lake, "l", {"left": b"1", "both": b"l"})
    commit_on(lake, "r", {"right": b"1", "both": b"r", "gone": None, "new": b"1"})
    expected = [("both", "conflict"), ("gone", "removed"), ("new", "added"), ("right", "changed")]
    assert changes(lake.diff("l", "r")) == expected
    assert changes(lake.diff("l", "r", mode="two_dot")) == [
        ("both", "changed"),
        ("gone", "removed"),
        ("left", "changed"),
        ("new", "added"),
        ("right", "changed"),
    ]
    assert changes(lake.diff("r", "l", mode="two_dot", prefix="n")) == [("new", "removed")]
    assert list(lake.diff("l", "l")) == list(lake.diff("l", "l", mode="two_dot")) == []


def test_what_both_sides_changed_alike_is_no_difference(lake: Lake, land: Land) -> None:
    land({"p": b"0", "q": b"0"})
    for side in ("l", "r"):
        lake.create_branch(side, "main")
        commit_on(lake, side, {"p": b"1", "q": None, "n": b"1"})
    commit_on(lake, "r", {"more": b"1"})
    assert changes(lake.diff("l", "r")) == changes(lake.diff("l", "r", mode="two_dot")) == [("more", "added")]


def test_1001_differences(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    names = [f"k/{number:04d}" for number in range(1001)]
    put_all(lake, "dev", names)
    assert paths(lake.uncommitted("dev")) == names
    lake.commit("dev", "m")
    assert paths(lake.diff("main", "dev")) == paths(lake.diff("main", "dev", mode="two_dot")) == names


def test_staging_shows_in_two_dot_only(lake: Lake, land: Land) -> None:
    land({"a": b"0", "b": b"0", "c": b"0"})
    lake.create_branch("dev", "main")
    commit_on(lake, "dev", {"a": b"1"})
    lake.put("dev", "a", b"0")
    lake.put("dev", "n", b"1")
    lake.delete("dev", "c")
    assert changes(lake.diff("main", "dev", mode="two_dot")) == [("c", "removed"), ("n", "added")]
    assert changes(lake.diff("main", "dev@", mode="two_dot")) == [("a", "changed")]
    assert changes(lake.diff("main", "dev")) == [("a", "changed")]


def test_an_unknown_mode(lake: Lake) -> None:
    with pytest.raises(Unsupported):
        lake.diff("main", "main", mode="four_dot")
