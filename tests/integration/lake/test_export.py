"""Exports: complete with a manifest or visibly not, never outside their folder, resumed after a kill."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from resources.lake import AlreadyExists, CorruptObject, InvalidName, Lake
from resources.lake.embedded import EmbeddedLake
from resources.lake.export import MANIFEST, export

Land = Callable[..., str]
CONTENT = {"a/k=1/data.parquet": b"one", "a/k=2/data.parquet": b"two", "b/x y ü.txt": b"", "top": b"t" * 5000}


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_export_is_the_commit_as_files_with_a_manifest(lake: Lake, land: Land, tmp_path: Path) -> None:
    commit = land(CONTENT)
    report = export(lake, "main", tmp_path / "out")
    found = files(tmp_path / "out")
    manifest = json.loads(found.pop(MANIFEST))
    assert found == CONTENT
    assert manifest == {
        "commit": commit,
        "prefix": "",
        "files": [
            {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for path, data in sorted(CONTENT.items())
        ],
    }
    assert (report.commit_id, report.files, report.written, report.bytes) == (commit, 4, 4, 5006)


def test_only_a_prefix(lake: Lake, land: Land, tmp_path: Path) -> None:
    land(CONTENT)
    export(lake, "main", tmp_path / "out", prefix="a/")
    assert set(files(tmp_path / "out")) == {"a/k=1/data.parquet", "a/k=2/data.parquet", MANIFEST}


def test_a_folder_with_something_in_it_is_left_alone(lake: Lake, land: Land, tmp_path: Path) -> None:
    land(CONTENT)
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(AlreadyExists, match=r"is not empty: mine\.txt is in it"):
        export(lake, "main", out)
    assert files(out) == {"mine.txt": b"mine"}
    export(lake, "main", out, overwrite=True)
    assert files(out).items() >= {"mine.txt": b"mine", **CONTENT}.items()


def test_an_export_over_another_leaves_nothing_of_it(lake: Lake, land: Land, tmp_path: Path) -> None:
    land(CONTENT)
    export(lake, "main", tmp_path / "out")
    (tmp_path / "out" / "a" / "mine.txt").write_text("mine")
    lake.create_branch("less", "main")
    lake.delete("less", ["a/k=2/data.parquet", "b/x y ü.txt"])
    lake.put("less", "top", b"new")
    lake.commit("less", "less")
    with pytest.raises(AlreadyExists, match="holds an export of commit"):
        export(lake, "less", tmp_path / "out")
    report = export(lake, "less", tmp_path / "out", overwrite=True)
    found = files(tmp_path / "out")
    assert {entry["path"] for entry in json.loads(found.pop(MANIFEST))["files"]} == {"a/k=1/data.parquet", "top"}
    assert found == {"a/k=1/data.parquet": b"one", "top": b"new", "a/mine.txt": b"mine"}
    assert (report.removed, report.written) == (2, 1)
    assert not (tmp_path / "out" / "b").exists() and not (tmp_path / "out" / "a" / "k=2").exists()


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [1, 2, 3])
def test_cut_off_there_is_no_manifest_and_the_next_completes_it(
    lake: Lake, land: Land, tmp_path: Path, after: int
) -> None:
    land(CONTENT)

    def die(done: int, _total: int) -> None:
        if done == after:
            raise Killed

    with pytest.raises(Killed):
        export(lake, "main", tmp_path / "out", progress=die)
    assert not (tmp_path / "out" / MANIFEST).exists()
    first = next(path for path in sorted(CONTENT))
    (tmp_path / "out" / first).write_bytes(b"eno")  # of the right size, and damaged meanwhile
    report = export(lake, "main", tmp_path / "out")
    found = files(tmp_path / "out")
    found.pop(MANIFEST)
    assert found == CONTENT
    assert report.written == len(CONTENT) - after + 1


def test_a_cut_off_export_of_something_else_is_not_mixed_in(lake: Lake, land: Land, tmp_path: Path) -> None:
    land(CONTENT)

    def die(_done: int, _total: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        export(lake, "main", tmp_path / "out", progress=die)
    with pytest.raises(AlreadyExists, match="holds a cut-off export of commit"):
        export(lake, "main", tmp_path / "out", prefix="b/")
    export(lake, "main", tmp_path / "out", prefix="b/", overwrite=True)
    assert set(files(tmp_path / "out")) == {"b/x y ü.txt", MANIFEST}


@pytest.mark.parametrize(
    "path",
    [
        "../out.txt",
        "a/../../out.txt",
        "/etc/out.txt",
        "a//b",
        "./a",
        "a/.",
        "x" * 300,
        MANIFEST,
        ".export-under-way.json",
    ],
)
def test_a_path_that_would_lead_elsewhere_is_refused_before_anything_is_written(
    lake: Lake, land: Land, tmp_path: Path, path: str
) -> None:
    try:
        land({"a/good": b"1", path: b"bad"})
    except InvalidName as error:
        pytest.skip(f"this lake holds no such path: {error}")
    with pytest.raises(InvalidName) as refused:
        export(lake, "main", tmp_path / "deep" / "out")
    assert repr(path) in str(refused.value)
    assert not (tmp_path / "deep").exists()


def test_an_object_below_another_is_refused(lake: Lake, land: Land, tmp_path: Path) -> None:
    land({"a": b"1", "a/b": b"2"})
    with pytest.raises(InvalidName, match="'a/b' cannot be exported: its path lies below the object 'a'"):
        export(lake, "main", tmp_path / "out")


def test_a_link_does_not_lead_out(lake: Lake, land: Land, tmp_path: Path) -> None:
    land(CONTENT)
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(outside)
    with pytest.raises(InvalidName, match="leads out of"):
        export(lake, "main", tmp_path / "out", overwrite=True)
    assert not any(outside.iterdir())


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(lake: Lake, land: Land, tmp_path: Path) -> None:
    land({"top": b"new"})
    secret = tmp_path / "secret"
    secret.write_bytes(b"old")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "top").symlink_to(secret)
    export(lake, "main", tmp_path / "out", overwrite=True)
    assert secret.read_bytes() == b"old"
    assert (tmp_path / "out" / "top").read_bytes() == b"new"


def test_a_damaged_object_ends_it_without_a_manifest(tmp_path: Path, lake: Lake, land: Land) -> None:
    if not isinstance(lake, EmbeddedLake):
        pytest.skip("damages a file of the embedded store")
    land(CONTENT)
    local = lake.local_path("main", "top")
    local.chmod(0o644)
    local.write_bytes(b"u" * 5000)
    with pytest.raises(CorruptObject):
        export(lake, "main", tmp_path / "out")
    assert not (tmp_path / "out" / MANIFEST).exists()
