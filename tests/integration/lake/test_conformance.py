"""What every lake does, whatever it is made of: the protocol's semantics, situation by situation."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources.lake import (
    AlreadyExists,
    DirtyBranch,
    Forbidden,
    InvalidName,
    Lake,
    MergeConflict,
    NoChanges,
    ObjectInfo,
    ObjectNotFound,
    PreconditionFailed,
    Prefix,
    RefNotFound,
    Unsupported,
    open_lake,
)

Land = Callable[..., str]


def changes(iterator) -> list[tuple[str, str]]:
    return [(change.path, change.type) for change in iterator]


def paths(iterator) -> list[str]:
    return [item.path for item in iterator]


def commit_on(lake: Lake, branch: str, objects: dict[str, bytes | None], message: str = "m"):
    for path, data in objects.items():
        if data is None:
            lake.delete(branch, path)
        else:
            lake.put(branch, path, data)
    return lake.commit(branch, message)


class TestRefs:
    def test_a_new_repository_has_one_commit_on_main(self, lake: Lake) -> None:
        (first,) = lake.log("main")
        assert first.parents == ()
        assert lake.list_branches() == {"main": first.id}
        assert lake.list_tags() == {}
        assert list(lake.list("main")) == []

    def test_a_new_branch_sees_its_source(self, lake: Lake, land: Land) -> None:
        head = land({"a": b"1"})
        assert lake.create_branch("dev", "main") == head
        assert lake.get("dev", "a") == b"1"
        assert lake.resolve("dev") == head

    def test_a_branch_from_a_commit_or_tag(self, lake: Lake, land: Land) -> None:
        first = land({"a": b"1"})
        land({"a": b"2"})
        lake.create_tag("v1", first)
        assert lake.create_branch("from-commit", first) == first
        assert lake.create_branch("from-tag", "v1") == first
        assert lake.get("from-tag", "a") == b"1"

    def test_a_branch_does_not_carry_what_is_staged_on_its_source(self, lake: Lake) -> None:
        lake.create_branch("one", "main")
        lake.put("one", "a", b"staged")
        lake.create_branch("two", "one")
        with pytest.raises(ObjectNotFound):
            lake.get("two", "a")

    def test_duplicates_and_collisions(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        lake.create_tag("v1", "main")
        with pytest.raises(AlreadyExists, match="dev"):
            lake.create_branch("dev", "main")
        with pytest.raises(AlreadyExists):
            lake.create_branch("v1", "main")
        with pytest.raises(AlreadyExists):
            lake.create_tag("dev", "main")
        with pytest.raises(AlreadyExists):
            lake.create_tag("v1", "main")
        with pytest.raises(AlreadyExists):
            lake.create_branch("main", "main")

    @pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "a.b", "a@", "é", "a\n"])
    def test_invalid_names(self, lake: Lake, name: str) -> None:
        with pytest.raises(InvalidName):
            lake.create_branch(name, "main")
        with pytest.raises(InvalidName):
            lake.create_tag(name, "main")

    @pytest.mark.parametrize("name", ["a", "_", "9", "wap-1-2", "A_b-C"])
    def test_valid_names(self, lake: Lake, name: str) -> None:
        lake.create_branch(name, "main")
        assert name in lake.list_branches()

    def test_refs_that_do_not_exist(self, lake: Lake) -> None:
        with pytest.raises(RefNotFound, match="nope"):
            lake.resolve("nope")
        with pytest.raises(RefNotFound):
            lake.create_branch("dev", "nope")
        with pytest.raises(RefNotFound):
            lake.create_tag("v", "nope")
        with pytest.raises(RefNotFound):
            lake.delete_branch("nope")
        with pytest.raises(RefNotFound):
            lake.delete_tag("nope")
        with pytest.raises(RefNotFound):
            lake.put("nope", "a", b"")
        with pytest.raises(RefNotFound):
            lake.list("nope")
        with pytest.raises(RefNotFound):
            lake.merge("nope", "main", "m")
        with pytest.raises(RefNotFound):
            lake.merge("main", "nope", "m")
        with pytest.raises(RefNotFound):
            lake.resolve("")

    def test_listing_by_prefix_in_byte_order(self, lake: Lake) -> None:
        for name in ("b-2", "b-10", "B-1", "a_b"):
            lake.create_branch(name, "main")
            lake.create_tag(f"t{name}", "main")
        assert list(lake.list_branches("b-")) == ["b-10", "b-2"]
        assert list(lake.list_branches()) == ["B-1", "a_b", "b-10", "b-2", "main"]
        assert list(lake.list_tags("tb")) == ["tb-10", "tb-2"]

    def test_a_commit_id_and_a_unique_prefix_of_it_are_refs(self, lake: Lake, land: Land) -> None:
        commit = land({"a": b"1"})
        land({"a": b"2"})
        assert lake.get(commit, "a") == b"1"
        assert lake.get(commit[:20], "a") == b"1"

    def test_a_tag_outlives_its_branch_and_never_moves(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        kept = commit_on(lake, "dev", {"a": b"1"})
        assert lake.create_tag("keep", "dev") == kept.id
        commit_on(lake, "dev", {"a": b"2"})
        lake.delete_branch("dev")
        assert lake.get("keep", "a") == b"1"
        assert lake.resolve("keep") == kept.id
        lake.delete_tag("keep")
        with pytest.raises(RefNotFound):
            lake.resolve("keep")

    def test_the_default_branch_stays(self, lake: Lake) -> None:
        with pytest.raises(Forbidden):
            lake.delete_branch("main")

    def test_a_branch_made_again_starts_clean(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        lake.put("dev", "a", b"1")
        lake.delete_branch("dev")
        lake.create_branch("dev", "main")
        assert list(lake.uncommitted("dev")) == []


class TestStaging:
    def test_staged_is_visible_on_the_branch_and_not_at_its_head(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        lake.put("dev", "a", b"1")
        assert lake.get("dev", "a") == b"1"
        assert paths(lake.list("dev")) == ["a"]
        assert list(lake.list("dev@")) == []
        with pytest.raises(ObjectNotFound):
            lake.get("dev@", "a")
        with pytest.raises(RefNotFound):
            lake.resolve(f"{lake.resolve('dev')}@")

    def test_branches_are_isolated(self, lake: Lake) -> None:
        lake.create_branch("one", "main")
        lake.create_branch("two", "main")
        commit_on(lake, "one", {"a": b"1"})
        lake.put("one", "b", b"1")
        assert list(lake.list("two")) == []
        assert list(lake.list("main")) == []

    def test_uncommitted_names_what_differs_from_the_head(self, lake: Lake) -> None:
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

    def test_put_then_delete_before_a_commit_leaves_nothing(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        lake.put("dev", "a", b"1")
        lake.delete("dev", ["a"])
        with pytest.raises(NoChanges):
            lake.commit("dev", "m")

    def test_delete_then_put_again_is_a_change(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        commit_on(lake, "dev", {"a": b"1"})
        lake.delete("dev", "a")
        lake.put("dev", "a", b"2")
        assert changes(lake.uncommitted("dev")) == [("a", "changed")]

    def test_deleting_what_is_not_there_succeeds(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        lake.delete("dev", ["a", "b"])
        lake.delete("dev", [])
        assert list(lake.uncommitted("dev")) == []

    def test_more_than_a_thousand_deletes_in_one_call(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        names = [f"n/{number:05d}" for number in range(1203)]
        with lake.unsynced():
            for name in names:
                lake.put("dev", name, b"x")
            lake.put("dev", "o", b"x")
        lake.commit("dev", "m")
        lake.delete("dev", names)
        assert paths(lake.list("dev")) == ["o"]
        lake.commit("dev", "m")
        assert paths(lake.list("dev@")) == ["o"]

    def test_discard_all_a_path_a_prefix(self, lake: Lake) -> None:
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


class TestObjects:
    def test_round_trip(self, lake: Lake, tmp_path: Path) -> None:
        lake.create_branch("dev", "main")
        info = lake.put("dev", "a", b"content", metadata={"k": "v", "ü": "ö"})
        assert (info.path, info.size, dict(info.metadata)) == ("a", 7, {"k": "v", "ü": "ö"})
        assert info.modified.tzinfo is not None and info.modified.year >= 2024
        assert lake.stat("dev", "a") == info
        assert list(lake.list("dev")) == [info]
        lake.commit("dev", "m")
        assert lake.stat("dev@", "a") == info

    def test_a_file_is_put_like_its_bytes(self, lake: Lake, tmp_path: Path) -> None:
        lake.create_branch("dev", "main")
        data = random.Random(1).randbytes(3_000_000)
        source = tmp_path / "source"
        source.write_bytes(data)
        from_file = lake.put("dev", "file", source)
        assert from_file.checksum == lake.put("dev", "bytes", data).checksum
        source.write_bytes(b"changed later")
        assert lake.get("dev", "file") == data

    def test_a_local_path_is_a_read_only_file_with_the_content(self, lake: Lake, land: Land) -> None:
        land({"a": b"content", "b/c": b"more"})
        path = lake.local_path("main", "a")
        assert path.read_bytes() == b"content"
        assert path.stat().st_mode & 0o222 == 0
        everything = lake.local_paths("main")
        assert {name: local.read_bytes() for name, local in everything.items()} == {
            "a": b"content",
            "b/c": b"more",
        }
        assert list(lake.local_paths("main", "b/")) == ["b/c"]

    def test_zero_bytes(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        assert lake.put("dev", "empty", b"").size == 0
        assert lake.get("dev", "empty") == b""
        assert lake.local_path("dev", "empty").read_bytes() == b""

    def test_byte_ranges(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        lake.put("dev", "a", b"0123456789")
        assert lake.get("dev", "a", byte_range=(0, 4)) == b"0123"
        assert lake.get("dev", "a", byte_range=(3, 10)) == b"3456789"
        assert lake.get("dev", "a", byte_range=(8, 100)) == b"89"
        for wrong in [(10, 11), (50, 60), (-1, 3), (5, 4)]:
            with pytest.raises(PreconditionFailed):
                lake.get("dev", "a", byte_range=wrong)

    @pytest.mark.parametrize(
        "path",
        [
            "a b", "100%", "a+b", "q?x=1&y=2", "#", "ünïcödé/日本/😀", "a//b", "/lead", "trail/", "..", "a\\b",
            "'; drop--", "%2F", "\ue000", "x" * 1024, "é" * 512,
        ],
    )  # fmt: skip
    def test_odd_paths(self, lake: Lake, path: str) -> None:
        lake.create_branch("dev", "main")
        lake.put("dev", path, b"odd")
        lake.commit("dev", "m")
        assert lake.get("dev@", path) == b"odd"
        assert lake.stat("dev@", path).path == path
        assert paths(lake.list("dev@", path[:3])) == [path]
        lake.delete("dev", [path])
        lake.commit("dev", "m")
        assert list(lake.list("dev@")) == []

    @pytest.mark.parametrize("path", ["", "x" * 1025, "é" * 513, "\ud800"])
    def test_paths_that_are_none(self, lake: Lake, path: str) -> None:
        lake.create_branch("dev", "main")
        with pytest.raises(InvalidName):
            lake.put("dev", path, b"")
        with pytest.raises(InvalidName):
            lake.get("dev", path)

    def test_absent_objects(self, lake: Lake, land: Land) -> None:
        land({"a/b": b"1"})
        for path in ("a", "a/", "a/b/c", "b"):
            for read in (lake.get, lake.stat, lake.local_path):
                with pytest.raises(ObjectNotFound):
                    read("main", path)

    def test_if_absent(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        lake.put("dev", "a", b"1", if_absent=True)
        with pytest.raises(PreconditionFailed):
            lake.put("dev", "a", b"2", if_absent=True)
        lake.commit("dev", "m")
        with pytest.raises(PreconditionFailed):
            lake.put("dev", "a", b"2", if_absent=True)
        lake.delete("dev", "a")
        lake.put("dev", "a", b"3", if_absent=True)
        assert lake.get("dev", "a") == b"3"


class TestListing:
    def test_2501_objects_in_order_and_after(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        names = sorted(f"k/{random.Random(n).randrange(10**9)}-{n}" for n in range(2501))
        shuffled = random.Random(0).sample(names, len(names))
        with lake.unsynced():
            for name in shuffled[:2000]:
                lake.put("dev", name, b"x")
            lake.commit("dev", "m")
            for name in shuffled[2000:]:
                lake.put("dev", name, b"x")
        assert paths(lake.list("dev")) == names
        assert paths(lake.list("dev", after=names[1000])) == names[1001:]
        assert paths(lake.list("dev", after=names[1000] + "~")) == [n for n in names if n > names[1000] + "~"]
        assert paths(lake.list("dev", "k/7")) == [n for n in names if n.startswith("k/7")]
        assert paths(lake.list("dev@")) == sorted(shuffled[:2000])

    def test_byte_order_is_not_the_order_of_letters(self, lake: Lake, land: Land) -> None:
        names = ["Z", "a", "ab", "a/b", "a-b", "é", "z", "\uffee", "😀"]
        land(dict.fromkeys(names, b"x"))
        assert paths(lake.list("main")) == sorted(names, key=str.encode)

    def test_delimiter(self, lake: Lake, land: Land) -> None:
        land(dict.fromkeys(["a", "b/1", "b/2/x", "b/2/y", "b0", "c/1"], b"x"))
        found = list(lake.list("main", delimiter="/"))
        assert paths(found) == ["a", "b/", "b0", "c/"]
        assert [type(item) for item in found] == [ObjectInfo, Prefix, ObjectInfo, Prefix]
        assert paths(lake.list("main", "b/", delimiter="/")) == ["b/1", "b/2/"]
        assert paths(lake.list("main", "b", delimiter="/")) == ["b/", "b0"]
        assert paths(lake.list("main", after="b/", delimiter="/")) == ["b0", "c/"]
        assert paths(lake.list("main", after="a", delimiter="/")) == ["b/", "b0", "c/"]
        assert paths(lake.list("main", "b/", after="b/1", delimiter="/")) == ["b/2/"]

    def test_delimiter_with_many_behind_a_prefix_and_staging_on_top(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        with lake.unsynced():
            for folder in "abc":
                for number in range(150):
                    lake.put("dev", f"{folder}/{number:03d}", b"x")
            lake.commit("dev", "m")
            for number in range(150):
                lake.delete("dev", f"b/{number:03d}")
            lake.put("dev", "bb/1", b"x")
        assert paths(lake.list("dev", delimiter="/")) == ["a/", "bb/", "c/"]
        assert paths(lake.list("dev@", delimiter="/")) == ["a/", "b/", "c/"]


class TestCommits:
    def test_message_metadata_parents_time(self, lake: Lake) -> None:
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

    def test_nothing_staged_is_no_commit_unless_asked_for(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        with pytest.raises(NoChanges):
            lake.commit("dev", "m")
        empty = lake.commit("dev", "m", allow_empty=True)
        assert lake.resolve("dev") == empty.id
        assert empty.parents == (lake.resolve("main"),)

    def test_the_same_again_is_no_change(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        lake.put("dev", "a", b"1", metadata={"k": "v"})
        first = lake.commit("dev", "m")
        lake.put("dev", "a", b"1", metadata={"k": "v"})
        with pytest.raises(NoChanges):
            lake.commit("dev", "m")
        assert lake.resolve("dev") == first.id

    def test_other_metadata_is_a_change(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        lake.put("dev", "a", b"1", metadata={"k": "v"})
        lake.commit("dev", "m")
        lake.put("dev", "a", b"1", metadata={"k": "w"})
        assert changes(lake.uncommitted("dev")) == [("a", "changed")]
        lake.commit("dev", "m")
        assert dict(lake.stat("dev@", "a").metadata) == {"k": "w"}

    def test_old_commits_keep_what_was_overwritten_and_deleted(self, lake: Lake, land: Land) -> None:
        first = land({"a": b"1", "b": b"1"})
        lake.create_branch("dev", "main")
        commit_on(lake, "dev", {"a": b"2", "b": None})
        lake.merge("dev", "main", "m")
        assert lake.get(first, "a") == b"1"
        assert paths(lake.list(first)) == ["a", "b"]
        assert paths(lake.list("main")) == ["a"]

    def test_log(self, lake: Lake, land: Land) -> None:
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

    def test_log_of_a_path(self, lake: Lake, land: Land) -> None:
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

    def test_log_of_a_path_agrees_with_comparing_every_commit(self, lake: Lake) -> None:
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

    def test_rollback(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        first = commit_on(lake, "dev", {"a": b"1"})
        commit_on(lake, "dev", {"a": b"2"})
        lake.put("dev", "a", b"staged")
        with pytest.raises(DirtyBranch):
            lake.rollback("dev", first.id)
        lake.discard("dev")
        assert lake.rollback("dev", first.id) == first.id
        assert lake.get("dev", "a") == b"1"

    def test_revert(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        commit_on(lake, "dev", {"a": b"1", "b": b"1"})
        undone = commit_on(lake, "dev", {"a": b"2", "b": None, "c": b"1"})
        commit_on(lake, "dev", {"d": b"1"})
        reverted = lake.revert("dev", undone.id)
        assert {p: lake.get("dev@", p) for p in paths(lake.list("dev@"))} == {"a": b"1", "b": b"1", "d": b"1"}
        assert undone.id in reverted.message
        with pytest.raises(NoChanges):
            lake.revert("dev", undone.id)

    def test_a_revert_in_conflict_changes_nothing(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        commit_on(lake, "dev", {"a": b"1"})
        undone = commit_on(lake, "dev", {"a": b"2"})
        head = commit_on(lake, "dev", {"a": b"3"})
        with pytest.raises(MergeConflict) as caught:
            lake.revert("dev", undone.id)
        assert caught.value.paths == ("a",)
        assert lake.resolve("dev") == head.id

    def test_reverting_a_merge_needs_a_parent(self, lake: Lake) -> None:
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

    def test_the_first_commit_cannot_be_reverted_and_a_dirty_branch_not_at_all(self, lake: Lake) -> None:
        lake.create_branch("dev", "main")
        with pytest.raises(PreconditionFailed):
            lake.revert("dev", lake.resolve("main"))
        commit = commit_on(lake, "dev", {"a": b"1"})
        lake.put("dev", "b", b"1")
        with pytest.raises(DirtyBranch):
            lake.revert("dev", commit.id)


class TestMerge:
    def two(self, lake: Lake, land: Land, base: dict[str, bytes]) -> None:
        land(base)
        lake.create_branch("dest", "main")
        lake.create_branch("source", "main")

    def test_a_merge_has_both_heads_as_parents(self, lake: Lake, land: Land) -> None:
        self.two(lake, land, {"a": b"0"})
        dest, source = lake.resolve("dest"), commit_on(lake, "source", {"a": b"1"}).id
        result = lake.merge("source", "dest", "why", {"k": "v"})
        commit = lake.get_commit("dest")
        assert not result.already_merged
        assert (result.commit_id, commit.parents) == (commit.id, (dest, source))
        assert (commit.message, dict(commit.metadata)) == ("why", {"k": "v"})
        assert lake.get("dest", "a") == b"1"

    def test_both_sides_land(self, lake: Lake, land: Land) -> None:
        self.two(lake, land, {"a": b"0", "b": b"0", "c": b"0"})
        commit_on(lake, "source", {"a": b"1", "b": None, "new": b"s"})
        commit_on(lake, "dest", {"c": b"1", "other": b"d"})
        lake.merge("source", "dest", "m")
        expected = {"a": b"1", "c": b"1", "new": b"s", "other": b"d"}
        assert {p: lake.get("dest@", p) for p in paths(lake.list("dest@"))} == expected

    @pytest.mark.parametrize(
        ("source", "dest"),
        [(b"1", b"2"), (b"1", None), (None, b"2")],
        ids=["changed both", "changed, deleted", "deleted, changed"],
    )
    def test_conflicts_name_the_paths_and_change_nothing(self, lake: Lake, land: Land, source, dest) -> None:
        self.two(lake, land, {"p": b"0", "q": b"0"})
        commit_on(lake, "source", {"p": source, "q": b"s", "fine": b"1"})
        head = commit_on(lake, "dest", {"p": dest, "q": b"d"})
        with pytest.raises(MergeConflict, match="p") as caught:
            lake.merge("source", "dest", "m")
        assert caught.value.paths == ("p", "q")
        assert lake.resolve("dest") == head.id
        assert list(lake.uncommitted("dest")) == []

    def test_added_on_both_sides_conflicts_only_if_different(self, lake: Lake, land: Land) -> None:
        self.two(lake, land, {"a": b"0"})
        commit_on(lake, "source", {"same": b"1", "gone": b"1"})
        commit_on(lake, "dest", {"same": b"1", "gone": b"2"})
        with pytest.raises(MergeConflict) as caught:
            lake.merge("source", "dest", "m")
        assert caught.value.paths == ("gone",)

    def test_the_same_change_on_both_sides_is_none(self, lake: Lake, land: Land) -> None:
        self.two(lake, land, {"p": b"0", "q": b"0"})
        commit_on(lake, "source", {"p": b"1", "q": None})
        commit_on(lake, "dest", {"p": b"1", "q": None})
        assert not lake.merge("source", "dest", "m").already_merged
        assert paths(lake.list("dest@")) == ["p"]

    @pytest.mark.parametrize(("strategy", "winner"), [("source-wins", b"s"), ("dest-wins", b"d")])
    def test_strategies(self, lake: Lake, land: Land, strategy, winner) -> None:
        self.two(lake, land, {"p": b"0", "x": b"0", "y": b"0"})
        commit_on(lake, "source", {"p": b"s", "x": None, "y": b"s", "only": b"s"})
        commit_on(lake, "dest", {"p": b"d", "x": b"d", "y": None})
        lake.merge("source", "dest", "m", strategy=strategy)
        result = {p: lake.get("dest@", p) for p in paths(lake.list("dest@"))}
        if winner == b"s":
            assert result == {"p": b"s", "y": b"s", "only": b"s"}
        else:
            assert result == {"p": b"d", "x": b"d", "only": b"s"}
        with pytest.raises(Unsupported):
            commit_on(lake, "source", {"p": b"again"})
            lake.merge("source", "dest", "m", strategy="coin-toss")

    def test_repeating_a_merge_changes_nothing(self, lake: Lake, land: Land) -> None:
        self.two(lake, land, {"a": b"0"})
        commit_on(lake, "source", {"a": b"1"})
        merged = lake.merge("source", "dest", "m").commit_id
        again = lake.merge("source", "dest", "m")
        assert again.already_merged and again.commit_id == merged == lake.resolve("dest")
        commit_on(lake, "dest", {"a": b"2"})
        assert lake.merge("source", "dest", "m").already_merged
        assert lake.get("dest", "a") == b"2"

    def test_further_work_on_a_merged_branch_merges_again(self, lake: Lake, land: Land) -> None:
        self.two(lake, land, {"a": b"0"})
        commit_on(lake, "source", {"a": b"1"})
        lake.merge("source", "dest", "m")
        commit_on(lake, "source", {"a": b"2"})
        lake.merge("source", "dest", "m")
        assert lake.get("dest@", "a") == b"2"

    def test_a_dirty_destination_is_refused(self, lake: Lake, land: Land) -> None:
        self.two(lake, land, {"a": b"0"})
        commit_on(lake, "source", {"a": b"1"})
        lake.put("dest", "z", b"1")
        with pytest.raises(DirtyBranch, match="z"):
            lake.merge("source", "dest", "m")
        lake.discard("dest")
        lake.merge("source", "dest", "m")

    def test_what_was_staged_without_a_difference_does_not_undo_a_merge(self, lake: Lake, land: Land) -> None:
        self.two(lake, land, {"a": b"0"})
        commit_on(lake, "source", {"a": b"1"})
        lake.put("dest", "a", b"0")
        lake.merge("source", "dest", "m")
        assert lake.get("dest", "a") == b"1"

    def test_what_is_staged_on_the_source_stays_there(self, lake: Lake, land: Land) -> None:
        self.two(lake, land, {"a": b"0"})
        commit_on(lake, "source", {"a": b"1"})
        lake.put("source", "staged", b"1")
        lake.merge("source", "dest", "m")
        assert paths(lake.list("dest")) == ["a"]
        assert changes(lake.uncommitted("source")) == [("staged", "added")]

    def test_a_commit_or_tag_as_source(self, lake: Lake, land: Land) -> None:
        self.two(lake, land, {"a": b"0"})
        first = commit_on(lake, "source", {"a": b"1"})
        commit_on(lake, "source", {"a": b"2"})
        lake.create_tag("v", first.id)
        lake.merge("v", "dest", "m")
        assert lake.get("dest", "a") == b"1"

    def test_merge_base(self, lake: Lake, land: Land) -> None:
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


class TestDiff:
    def test_two_dot_and_three_dot(self, lake: Lake, land: Land) -> None:
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

    def test_staging_shows_in_two_dot_only(self, lake: Lake, land: Land) -> None:
        land({"a": b"0", "b": b"0", "c": b"0"})
        lake.create_branch("dev", "main")
        commit_on(lake, "dev", {"a": b"1"})
        lake.put("dev", "a", b"0")
        lake.put("dev", "n", b"1")
        lake.delete("dev", "c")
        assert changes(lake.diff("main", "dev", mode="two_dot")) == [("c", "removed"), ("n", "added")]
        assert changes(lake.diff("main", "dev@", mode="two_dot")) == [("a", "changed")]
        assert changes(lake.diff("main", "dev")) == [("a", "changed")]

    def test_an_unknown_mode(self, lake: Lake) -> None:
        with pytest.raises(Unsupported):
            lake.diff("main", "main", mode="four_dot")


class TestProtection:
    def test_main_changes_by_merges_only(self, lake: Lake, land: Land) -> None:
        head = land({"a": b"1"})
        for call in (
            lambda: lake.put("main", "b", b"1"),
            lambda: lake.delete("main", ["a"]),
            lambda: lake.commit("main", "m", allow_empty=True),
            lambda: lake.rollback("main", head),
            lambda: lake.revert("main", head, parent=1),
        ):
            with pytest.raises(Forbidden, match="main"):
                call()
        assert lake.resolve("main") == head
        assert paths(lake.list("main")) == ["a"]


class TestSeveralProcesses:
    def test_concurrent_commits_lose_nothing(self, lake: Lake, lake_uri: str, in_processes) -> None:
        lake.create_branch("dev", "main")
        names = [f"f/{number}" for number in range(12)]
        made = in_processes("commit_one", [(lake_uri, "dev", name) for name in names])
        assert paths(lake.list("dev@")) == sorted(names)
        assert list(lake.uncommitted("dev")) == []
        assert len(list(lake.log("dev"))) == 1 + sum(made)

    def test_concurrent_merges_of_different_paths_all_land(self, lake: Lake, lake_uri: str, in_processes) -> None:
        merged = in_processes("merge_one", [(lake_uri, f"b{n}", f"p/{n}") for n in range(12)])
        assert {p: lake.get("main", p) for p in paths(lake.list("main"))} == {
            f"p/{n}": f"b{n}".encode() for n in range(12)
        }
        assert {c.id for c in lake.log("main", first_parent=True)} >= set(merged)
        assert len(set(merged)) == 12

    def test_concurrent_merges_of_one_path_have_one_winner(self, lake: Lake, lake_uri: str, in_processes) -> None:
        for number in range(6):
            lake.create_branch(f"c{number}", "main")
            commit_on(lake, f"c{number}", {"same": str(number).encode()})
        outcomes = in_processes("merge_branch", [(lake_uri, f"c{number}") for number in range(6)])
        assert outcomes.count("conflict: same") == 5
        (winner,) = [number for number, outcome in enumerate(outcomes) if outcome != "conflict: same"]
        assert lake.get("main", "same") == str(winner).encode()

    def test_if_absent_has_one_winner(self, lake: Lake, lake_uri: str, in_processes) -> None:
        lake.create_branch("dev", "main")
        won = in_processes("put_if_absent", [(lake_uri, "dev", str(n)) for n in range(8)])
        (winner,) = [value for value in won if value]
        assert lake.get("dev", "contested") == winner.encode()

    def test_opening_a_new_lake_in_many_processes_makes_one(self, tmp_path: Path, in_processes) -> None:
        uri = (tmp_path / "fresh").as_uri()
        in_processes("merge_one", [(uri, f"b{n}", f"p/{n}") for n in range(8)])
        with open_lake(uri) as lake:
            assert len(list(lake.list("main"))) == 8
            assert sum(not c.parents for c in lake.log("main")) == 1


class TestUris:
    def test_percent_encoding(self, tmp_path: Path) -> None:
        directory = tmp_path / "a b%20c"
        with open_lake(directory.as_uri()) as lake:
            assert lake.uri == directory.as_uri()
        assert (directory / "objects").is_dir()

    @pytest.mark.parametrize("uri", ["file://host/x", "file:relative", "file:///"])
    def test_malformed(self, uri: str) -> None:
        with pytest.raises(InvalidName):
            open_lake(uri)

    @pytest.mark.parametrize("uri", ["/plain/path", "s3://bucket", "lakefs://host:80/repository"])
    def test_unsupported(self, uri: str) -> None:
        with pytest.raises(Unsupported, match="file:///"):
            open_lake(uri)
