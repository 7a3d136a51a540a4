"""Diffs of whole commits: Parquet by rows, text by lines, the rest by size."""

import io
from collections.abc import Callable

import polars as pl
import pytest
from harness.lake_implementations import IMPLEMENTATIONS

from resources.lake import Lake, ObjectNotFound, RefNotFound
from resources.lake.content_diff import FileDiff, diff_files
from resources.lake.finding import find_commit, find_object

Land = Callable[..., str]
pytestmark = pytest.mark.parametrize("lake_provided", IMPLEMENTATIONS, indirect=True)
BAR = "bars/session=2024-01-02/data.parquet"


def parquet(closes: dict[str, float]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"Symbol": list(closes), "Close": list(closes.values())}).write_parquet(buffer)
    return buffer.getvalue()


def differences(lake: Lake, before: str, after: str, prefix: str = "") -> dict[str, FileDiff]:
    found = diff_files(lake, before, after, keys_of=lambda path: ("Symbol",) if path == BAR else (), prefix=prefix)
    return {file.path: file for file in found}


def test_each_file_is_compared_as_what_it_is(lake: Lake, land: Land) -> None:
    first = land(
        {
            BAR: parquet({"A": 1.0, "B": 2.0, "C": 3.0}),
            "bars/session=2024-01-02/keyless.parquet": parquet({"A": 1.0}),
            "notes/a.txt": b"one\ntwo\nthree\n",
            "notes/b.json": b'{"a": 1, "b": [1, 2]}',
            "notes/c.bin": b"\0\1",
            "notes/same.txt": b"same",
            "notes/gone.txt": b"x\n",
        }
    )
    branch = "second"
    lake.create_branch(branch, "main")
    lake.delete(branch, "notes/gone.txt")
    for path, data in {
        BAR: parquet({"A": 1.0, "C": 3.5, "D": 4.0}),
        "bars/session=2024-01-02/keyless.parquet": parquet({"A": 1.5}),
        "notes/a.txt": b"one\n2\nthree\n",
        "notes/b.json": b'{"b": [1, 3], "a": 1}',
        "notes/c.bin": b"\0\1\2",
        "notes/new.txt": b"y\nz\n",
    }.items():
        lake.put(branch, path, data)
    second = lake.commit(branch, "second").id
    found = differences(lake, first, second)
    assert list(found) == [
        BAR,
        "bars/session=2024-01-02/keyless.parquet",
        "notes/a.txt",
        "notes/b.json",
        "notes/c.bin",
        "notes/gone.txt",
        "notes/new.txt",
    ]
    bars = found[BAR].rows
    assert bars is not None
    assert (bars.added.rows(), bars.removed.rows()) == ([("D", 4.0)], [("B", 2.0)])
    assert (bars.changed_before.rows(), bars.changed_after.rows()) == ([("C", 3.0)], [("C", 3.5)])
    assert (found[BAR].title, found[BAR].partition) == ("bars/session=2024-01-02", "bars/session=2024-01-02")
    whole = found["bars/session=2024-01-02/keyless.parquet"].rows
    assert whole is not None and (whole.added.height, whole.removed.height, whole.changed) == (1, 1, 0)
    assert found["notes/a.txt"].lines == ("@@ -1,3 +1,3 @@", " one", "-two", "+2", " three")
    assert found["notes/b.json"].lines is not None
    assert [line for line in found["notes/b.json"].lines if line[0] in "+-"] == ["-  2", "+  3"]
    binary = found["notes/c.bin"]
    assert binary.rows is None and binary.lines is None
    assert binary.before is not None and binary.after is not None
    assert (binary.before.size, binary.after.size) == (2, 3)
    assert (found["notes/gone.txt"].type, found["notes/gone.txt"].lines) == ("removed", ("@@ -1 +0,0 @@", "-x"))
    assert (found["notes/new.txt"].type, found["notes/new.txt"].before) == ("added", None)


def test_a_new_partition_is_all_added(lake: Lake, land: Land) -> None:
    before = lake.resolve("main")
    after = land({BAR: parquet({"A": 1.0, "B": 2.0})})
    rows = differences(lake, before, after)[BAR].rows
    assert rows is not None and (rows.added.height, rows.rows_before, rows.columns) == (2, 0, ())


def test_what_is_no_parquet_is_said(lake: Lake, land: Land) -> None:
    before = land({BAR: parquet({"A": 1.0})})
    after = land({BAR: b"nonsense"})
    file = differences(lake, before, after)[BAR]
    assert file.rows is None
    assert file.note.startswith("cannot be read as Parquet: ")


def test_only_what_is_asked_for_is_read(lake: Lake, land: Land) -> None:
    before = lake.resolve("main")
    after = land({"a/x.txt": b"1", "b/x.txt": b"1", "b/y.txt": b"1"})
    assert list(differences(lake, before, after, prefix="b/")) == ["b/x.txt", "b/y.txt"]
    found = diff_files(lake, before, after, keys_of=lambda _: (), wanted=lambda path: path.endswith("x.txt"))
    assert [file.path for file in found] == ["a/x.txt", "b/x.txt"]


def test_changed_metadata_alone_is_said(lake: Lake, land: Land) -> None:
    before = land({"a.txt": b"1"})
    lake.create_branch("meta", "main")
    lake.put("meta", "a.txt", b"1", metadata={"k": "v"})
    after = lake.commit("meta", "meta").id
    assert differences(lake, before, after)["a.txt"].note == "only its metadata changed"


def test_near_misses_of_refs_and_paths(lake: Lake, land: Land) -> None:
    land({BAR: b"1", "bars/session=2024-01-03/data.parquet": b"1", "other/x": b"1"})
    lake.create_tag("decision-abc", "main")
    with pytest.raises(RefNotFound, match=r"decision-abd.*Did you mean decision-abc\?"):
        find_commit(lake, "decision-abd")
    with pytest.raises(RefNotFound, match="trading lake log lists commits"):
        find_commit(lake, "zzzzzzzz")
    with pytest.raises(ObjectNotFound, match=r"Did you mean bars/\?"):
        find_object(lake, "main", "bar/session=2024-01-02/data.parquet")
    with pytest.raises(ObjectNotFound, match=r"Did you mean bars/session=2024-01-02/data.parquet\?"):
        find_object(lake, "main", "bars/session=2024-01-02/date.parquet")
    with pytest.raises(ObjectNotFound, match=r"Did you mean bars/session=2024-01-02/\?"):
        find_object(lake, "main", "bars/session=2024-01-02")
    assert find_object(lake, "main@", BAR).size == 1
