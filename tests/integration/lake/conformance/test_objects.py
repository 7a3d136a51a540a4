"""Objects: content, metadata, paths, ranges."""

import random
from pathlib import Path

import pytest
from harness.lake_actions import Land, paths

from resources.lake import InvalidName, Lake, ObjectNotFound, PreconditionFailed


def test_round_trip(lake: Lake, tmp_path: Path) -> None:
    lake.create_branch("dev", "main")
    info = lake.put("dev", "a", b"content", metadata={"k": "v", "ü": "ö"})
    assert (info.path, info.size, dict(info.metadata)) == ("a", 7, {"k": "v", "ü": "ö"})
    assert info.modified.tzinfo is not None and info.modified.year >= 2024
    assert lake.stat("dev", "a") == info
    assert list(lake.list("dev")) == [info]
    lake.commit("dev", "m")
    assert lake.stat("dev@", "a") == info


@pytest.mark.parametrize(
    "metadata",
    [
        {"Upper": "Case"}, {"": "empty key"}, {"empty value": ""}, {"space around": "  x  "}, {"line": "a\nb"},
        {"colon:": "a:b"}, {"日本": "😀"}, {"under_score": "1", "under-score": "2"}, {"a": "1", "A": "2"},
    ],
)  # fmt: skip
def test_metadata_comes_back_as_it_was(lake: Lake, metadata: dict[str, str]) -> None:
    lake.create_branch("dev", "main")
    info = lake.put("dev", "a", b"x", metadata=metadata)
    assert dict(info.metadata) == metadata
    lake.commit("dev", "m")
    assert dict(lake.stat("dev@", "a").metadata) == metadata
    (listed,) = lake.list("dev@")
    assert listed == lake.stat("dev@", "a")


def test_a_file_is_put_like_its_bytes(lake: Lake, tmp_path: Path) -> None:
    lake.create_branch("dev", "main")
    data = random.Random(1).randbytes(3_000_000)
    source = tmp_path / "source"
    source.write_bytes(data)
    from_file = lake.put("dev", "file", source)
    assert from_file.checksum == lake.put("dev", "bytes", data).checksum
    source.write_bytes(b"changed later")
    assert lake.get("dev", "file") == data


def test_a_local_path_is_a_read_only_file_with_the_content(lake: Lake, land: Land) -> None:
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


def test_zero_bytes(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    assert lake.put("dev", "empty", b"").size == 0
    assert lake.get("dev", "empty") == b""
    assert lake.local_path("dev", "empty").read_bytes() == b""


def test_byte_ranges(lake: Lake) -> None:
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
def test_odd_paths(lake: Lake, path: str) -> None:
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
def test_paths_that_are_none(lake: Lake, path: str) -> None:
    lake.create_branch("dev", "main")
    with pytest.raises(InvalidName):
        lake.put("dev", path, b"")
    with pytest.raises(InvalidName):
        lake.get("dev", path)


def test_absent_objects(lake: Lake, land: Land) -> None:
    land({"a/b": b"1"})
    for path in ("a", "a/", "a/b/c", "b"):
        for read in (lake.get, lake.stat, lake.local_path):
            with pytest.raises(ObjectNotFound):
                read("main", path)


def test_if_absent(lake: Lake) -> None:
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
