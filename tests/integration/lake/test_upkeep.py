"""Verifying through the protocol alone, as of a server: what is damaged, at which paths, and who reaches it."""

import hashlib
from collections.abc import Callable

import pytest

from resources.lake import Lake
from resources.lake.embedded import EmbeddedLake
from resources.lake.upkeep import Maintainable, content_matches, is_verifiable, verify_contents

Land = Callable[..., str]


@pytest.fixture
def damage(lake: Lake) -> Callable[[str, str, bytes | None], str]:
    """Change the stored bytes of an object, or remove them; its checksum."""
    if not isinstance(lake, EmbeddedLake):
        pytest.skip("damages files of the embedded store")

    def change(ref: str, path: str, data: bytes | None) -> str:
        local = lake.local_path(ref, path)
        local.chmod(0o644)
        if data is None:
            local.unlink()
        else:
            local.write_bytes(data)
        return lake.stat(ref, path).checksum

    return change


def test_a_whole_lake_has_no_problem_and_each_content_is_read_once(lake: Lake, land: Land) -> None:
    land({"a/1": b"same", "a/2": b"same", "b": b"other"})
    lake.create_tag("keep", "main")
    land({"b": b"newer"})
    seen: list[tuple[int, int]] = []
    assert list(verify_contents(lake, lambda done, total: seen.append((done, total)))) == []
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_damage_is_told_with_its_paths_commits_and_refs(
    lake: Lake, land: Land, damage: Callable[[str, str, bytes | None], str]
) -> None:
    old = land({"m5/session=1/data.parquet": b"good", "m5/session=2/data.parquet": b"good", "n": b"n"})
    lake.create_tag("decision-1", old)
    land({"m5/session=1/data.parquet": b"new"})
    lake.create_tag("batch-1", "main")
    land({"m5/session=2/data.parquet": b"new"})
    checksum = damage(old, "m5/session=2/data.parquet", b"evil")
    gone = damage(old, "n", None)
    found = {problem.name: problem for problem in verify_contents(lake)}
    assert set(found) == {checksum, gone}
    assert found[checksum].paths == ("m5/session=1/data.parquet", "m5/session=2/data.parquet")
    assert found[checksum].refs == ("batch-1", "decision-1")
    assert found[gone].refs == ("batch-1", "decision-1", "main")
    assert set(found[checksum].commits) == {old, lake.resolve("batch-1")}
    assert all(problem.kind == "object" and problem.detail and problem.remedy for problem in found.values())


def test_the_embedded_lake_looks_after_itself(lake: Lake) -> None:
    assert isinstance(lake, Maintainable) is isinstance(lake, EmbeddedLake)


def test_a_checksum_that_cannot_be_computed_is_not_held_against_the_content() -> None:
    assert content_matches(b"x", hashlib.sha256(b"x").hexdigest())
    assert content_matches(b"x", hashlib.md5(b"x", usedforsecurity=False).hexdigest())
    assert not content_matches(b"y", hashlib.md5(b"x", usedforsecurity=False).hexdigest())
    assert not content_matches(b"y", hashlib.sha256(b"x").hexdigest())
    assert content_matches(b"y", "abc-2") and not is_verifiable("abc-2")
