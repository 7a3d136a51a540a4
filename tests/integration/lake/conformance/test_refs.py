"""Branches, tags and commit ids."""

from pathlib import Path

import pytest
from harness.lake_actions import Land, commit_on, paths, side_by_side
from harness.lake_implementations import Provided

from resources.lake import AlreadyExists, Forbidden, InvalidName, Lake, ObjectNotFound, RefNotFound


def test_a_new_repository_has_one_commit_on_main(lake: Lake) -> None:
    (first,) = lake.log("main")
    assert first.parents == ()
    assert lake.list_branches() == {"main": first.id}
    assert lake.list_tags() == {}
    assert list(lake.list("main")) == []


def test_a_new_branch_sees_its_source(lake: Lake, land: Land) -> None:
    head = land({"a": b"1"})
    assert lake.create_branch("dev", "main") == head
    assert lake.get("dev", "a") == b"1"
    assert lake.resolve("dev") == head


def test_a_new_branch_and_a_merge_copy_no_object(lake: Lake, lake_provided: Provided, land: Land) -> None:
    land({f"p/{number}": bytes([number]) for number in range(20)})
    stored = [_stored_at(lake, lake_provided, "main", f"p/{number}") for number in range(20)]
    assert len(set(stored)) == 20
    files = _object_files(lake_provided)
    lake.create_branch("dev", "main")
    assert [_stored_at(lake, lake_provided, "dev", f"p/{number}") for number in range(20)] == stored
    commit_on(lake, "dev", {"new": b"new"})
    new = _stored_at(lake, lake_provided, "dev", "new")
    lake.merge("dev", "main", "m")
    assert _stored_at(lake, lake_provided, "main", "new") == new
    assert [_stored_at(lake, lake_provided, "main", f"p/{number}") for number in range(20)] == stored
    assert len(_object_files(lake_provided)) == len(files) + (lake_provided.kind == "embedded")


def _stored_at(lake: Lake, provided: Provided, ref: str, path: str) -> str:
    """Where the bytes are: the object's file, or its address in the server's storage."""
    if provided.kind == "embedded":
        return str(lake.local_path(ref, path))
    with provided.raw() as client:
        address = client.ask("GET", f"/refs/{ref}/objects/stat", path=path).json["physical_address"]
    assert isinstance(address, str) and address
    return address


def _object_files(provided: Provided) -> list[Path]:
    """Files of the embedded store; a server's are its own affair."""
    if provided.kind != "embedded":
        return []
    return list(Path(provided.uri.removeprefix("file://")).glob("objects/*/*"))


def test_a_branch_from_a_commit_or_tag(lake: Lake, land: Land) -> None:
    first = land({"a": b"1"})
    land({"a": b"2"})
    lake.create_tag("v1", first)
    assert lake.create_branch("from-commit", first) == first
    assert lake.create_branch("from-tag", "v1") == first
    assert lake.get("from-tag", "a") == b"1"


def test_a_branch_does_not_carry_what_is_staged_on_its_source(lake: Lake) -> None:
    lake.create_branch("one", "main")
    lake.put("one", "a", b"staged")
    lake.create_branch("two", "one")
    with pytest.raises(ObjectNotFound):
        lake.get("two", "a")


def test_duplicates_and_collisions(lake: Lake) -> None:
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
def test_invalid_names(lake: Lake, name: str) -> None:
    with pytest.raises(InvalidName):
        lake.create_branch(name, "main")
    with pytest.raises(InvalidName):
        lake.create_tag(name, "main")


@pytest.mark.parametrize("name", ["a", "_", "9", "wap-1-2", "A_b-C"])
def test_valid_names(lake: Lake, name: str) -> None:
    lake.create_branch(name, "main")
    assert name in lake.list_branches()


def test_refs_that_do_not_exist(lake: Lake) -> None:
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


def test_reading_from_a_ref_that_does_not_exist(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    for ref in ("nope", "0" * 64, "nope@", "dev~9"):
        for read in (
            lambda ref: lake.get(ref, "a"),
            lambda ref: lake.stat(ref, "a"),
            lambda ref: lake.local_path(ref, "a"),
            lake.local_paths,
            lake.get_commit,
            lake.log,
            lambda ref: lake.diff("main", ref),
            lambda ref: lake.diff(ref, "main", mode="two_dot"),
            lambda ref: lake.merge_base("main", ref),
        ):
            with pytest.raises(RefNotFound):
                read(ref)


def test_writing_to_a_branch_that_does_not_exist(lake: Lake) -> None:
    head = lake.resolve("main")
    for branch in ("nope", head):
        for write in (
            lambda branch: lake.put(branch, "a", b""),
            lambda branch: lake.delete(branch, ["a"]),
            lambda branch: lake.commit(branch, "m"),
            lake.uncommitted,
            lake.discard,
            lambda branch: lake.discard(branch, path="a"),
            lambda branch: lake.rollback(branch, head),
            lambda branch: lake.merge("main", branch, "m"),
        ):
            with pytest.raises(RefNotFound):
                write(branch)


def test_listing_by_prefix_in_byte_order(lake: Lake) -> None:
    for name in ("b-2", "b-10", "B-1", "a_b"):
        lake.create_branch(name, "main")
        lake.create_tag(f"t{name}", "main")
    assert list(lake.list_branches("b-")) == ["b-10", "b-2"]
    assert list(lake.list_branches()) == ["B-1", "a_b", "b-10", "b-2", "main"]
    assert list(lake.list_tags("tb")) == ["tb-10", "tb-2"]


def test_1001_tags_are_listed(lake: Lake) -> None:
    names = [f"t{number:04d}" for number in range(1001)]
    side_by_side(lake, lambda name: lake.create_tag(name, "main"), names)
    assert list(lake.list_tags()) == names
    assert list(lake.list_tags("t05")) == names[500:600]


def test_a_commit_id_and_a_unique_prefix_of_it_are_refs(lake: Lake, land: Land) -> None:
    commit = land({"a": b"1"})
    land({"a": b"2"})
    assert lake.get(commit, "a") == b"1"
    assert lake.get(commit[:20], "a") == b"1"


def test_a_tag_outlives_its_branch_and_never_moves(lake: Lake) -> None:
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


def test_the_default_branch_stays(lake: Lake) -> None:
    with pytest.raises(Forbidden):
        lake.delete_branch("main")


def test_a_branch_made_again_starts_clean(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    lake.put("dev", "a", b"1")
    lake.delete_branch("dev")
    lake.create_branch("dev", "main")
    assert list(lake.uncommitted("dev")) == []


def test_main_changes_by_merges_only(lake: Lake, land: Land) -> None:
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
