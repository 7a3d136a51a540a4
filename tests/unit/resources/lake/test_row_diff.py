"""Row diffs against answers worked out by hand, and the law that a diff applied to the old rows gives the new ones."""

import datetime as dt
import io
import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from resources.lake.row_diff import RowDiff, apply_rows, as_text, diff_rows

NAN = math.nan


def bars(text: str) -> pl.DataFrame:
    return pl.read_csv(io.StringIO(text.replace(" ", "")), schema_overrides={"minute": pl.Int64, "Close": pl.Float64})


OLD = bars(
    """Symbol,minute,Close,Volume
    AAA,1,10.0,100
    AAA,2,10.5,200
    AAA,3,11.0,300
    BBB,1,20.0,400"""
)
NEW = bars(
    """Symbol,minute,Close,Volume
    AAA,2,10.5,200
    AAA,1,10.1,100
    AAA,3,11.5,310
    BBB,2,20.5,500
    CCC,1,30.0,600"""
)


def test_added_removed_and_changed_by_key() -> None:
    diff = diff_rows(OLD, NEW, ["Symbol", "minute"])
    assert diff.added.rows() == [("BBB", 2, 20.5, 500), ("CCC", 1, 30.0, 600)]
    assert diff.removed.rows() == [("BBB", 1, 20.0, 400)]
    assert diff.changed_before.rows() == [("AAA", 1, 10.0, 100), ("AAA", 3, 11.0, 300)]
    assert diff.changed_after.rows() == [("AAA", 1, 10.1, 100), ("AAA", 3, 11.5, 310)]
    assert (diff.changed, diff.columns, diff.repeated_keys, diff.whole_rows_because) == (2, (), 0, "")
    assert (diff.rows_before, diff.rows_after) == (4, 5)


def test_the_cells_name_old_and_new_of_each_column_that_differs() -> None:
    cells = diff_rows(OLD, NEW, ["Symbol", "minute"]).cells()
    assert cells.columns == ["row", "change", "column", "old", "new"]
    assert cells.filter(change="changed").rows() == [
        ('{"Symbol":"AAA","minute":"1"}', "changed", "Close", "10.0", "10.1"),
        ('{"Symbol":"AAA","minute":"3"}', "changed", "Close", "11.0", "11.5"),
        ('{"Symbol":"AAA","minute":"3"}', "changed", "Volume", "300", "310"),
    ]
    assert cells.filter(change="removed").rows() == [
        ('{"Symbol":"BBB","minute":"1"}', "removed", "Symbol", "BBB", None),
        ('{"Symbol":"BBB","minute":"1"}', "removed", "minute", "1", None),
        ('{"Symbol":"BBB","minute":"1"}', "removed", "Close", "20.0", None),
        ('{"Symbol":"BBB","minute":"1"}', "removed", "Volume", "400", None),
    ]
    assert cells.filter(change="added").height == 2 * 4


def test_without_a_key_whole_rows_are_counted() -> None:
    old = pl.DataFrame({"a": [1, 1, 1, 2]})
    new = pl.DataFrame({"a": [1, 3, 2, 2]})
    diff = diff_rows(old, new)
    assert (diff.removed.rows(), diff.added.rows()) == ([(1,), (1,)], [(3,), (2,)])
    assert diff.changed == 0
    assert diff.whole_rows_because == "no key is declared"
    assert diff.cells()["row"].to_list() == ["1", "2", "1", "2"]


def test_the_same_rows_in_another_order_are_no_difference() -> None:
    assert diff_rows(OLD, OLD.reverse(), ["Symbol", "minute"]).is_empty
    assert diff_rows(OLD, OLD.reverse()).is_empty
    assert diff_rows(OLD, OLD.select(reversed(OLD.columns)), ["Symbol", "minute"]).is_empty


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        (NAN, NAN, False),
        (None, None, False),
        (NAN, None, True),
        (None, 0.0, True),
        (NAN, 0.0, True),
        (0.1 + 0.2, 0.3, True),
        (-0.0, 0.0, False),
        (math.inf, -math.inf, True),
    ],
)
@pytest.mark.parametrize("key", [["k"], []])
def test_values_are_compared_exactly(old: float | None, new: float | None, differs: bool, key: list[str]) -> None:
    before, after = (
        pl.DataFrame({"k": [1], "v": [value]}, schema={"k": pl.Int64, "v": pl.Float64}) for value in (old, new)
    )
    assert diff_rows(before, after, key).is_empty is not differs


def test_null_is_a_key_like_any_other() -> None:
    old = pl.DataFrame({"k": [None, 1], "v": [1, 2]}, schema={"k": pl.Int64, "v": pl.Int64})
    new = pl.DataFrame({"k": [1, None], "v": [2, 9]}, schema={"k": pl.Int64, "v": pl.Int64})
    diff = diff_rows(old, new, ["k"])
    assert (diff.changed_before.rows(), diff.changed_after.rows()) == ([(None, 1)], [(None, 9)])
    assert not diff.added.height and not diff.removed.height


def test_rows_of_a_repeated_key_are_compared_whole() -> None:
    old = pl.DataFrame({"k": [1, 1, 2], "v": [10, 11, 20]})
    new = pl.DataFrame({"k": [1, 1, 1, 2], "v": [11, 12, 12, 21]})
    diff = diff_rows(old, new, ["k"])
    assert diff.repeated_keys == 1
    assert diff.removed.rows() == [(1, 10)]
    assert diff.added.rows() == [(1, 12), (1, 12)]
    assert diff.changed_after.rows() == [(2, 21)]


def test_a_new_column_is_said_and_changes_no_row() -> None:
    diff = diff_rows(OLD, OLD.with_columns(vwap=pl.lit(1.0)), ["Symbol", "minute"])
    assert [str(change) for change in diff.columns] == ["column vwap added (Float64)"]
    assert (diff.added.height, diff.removed.height, diff.changed) == (0, 0, 0)
    assert not diff.is_empty
    assert diff.carried.columns == ["Symbol", "minute", "vwap"]


def test_a_removed_column_is_said() -> None:
    diff = diff_rows(OLD, OLD.drop("Volume"), ["Symbol", "minute"])
    assert [str(change) for change in diff.columns] == ["column Volume removed (Int64)"]


def test_a_wider_integer_is_still_compared() -> None:
    wider = NEW.with_columns(pl.col("Volume").cast(pl.Int32))
    diff = diff_rows(OLD, wider, ["Symbol", "minute"])
    assert [str(change) for change in diff.columns] == ["column Volume is Int32, was Int64"]
    assert diff.changed == 2
    assert diff.cells().filter(column="Volume", change="changed")["new"].to_list() == ["310"]


def test_another_kind_of_type_is_not_compared_and_said() -> None:
    diff = diff_rows(OLD, NEW.with_columns(pl.col("Close").cast(pl.String)), ["Symbol", "minute"])
    assert str(diff.columns[0]) == "column Close is String, was Float64, its values are not compared"
    assert diff.changed_after["Volume"].to_list() == [310]


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (lambda frame: frame.drop("minute"), "the new rows have no key column minute"),
        (lambda frame: frame.cast({"minute": pl.String}), "key column minute is String, was Int64"),
    ],
)
def test_a_key_that_cannot_be_used_is_said(change: Any, because: str) -> None:
    diff = diff_rows(OLD, change(OLD), ["Symbol", "minute"])
    assert diff.whole_rows_because == because
    assert (diff.key, diff.added.height, diff.removed.height) == ((), 4, 4)


def test_a_frame_that_was_not_there() -> None:
    diff = diff_rows(pl.DataFrame(), NEW, ["Symbol", "minute"])
    assert (diff.added.height, diff.removed.height, diff.columns) == (5, 0, ())
    assert_frame_equal(apply_rows(pl.DataFrame(), diff), NEW)


def test_values_as_text() -> None:
    instant = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
    assert as_text(pl.Series([instant, None], dtype=pl.Datetime("us", "UTC"))).to_list() == [
        "2024-01-02T14:30:00Z",
        None,
    ]
    assert as_text(pl.Series([[1, 2], [], None])).to_list() == ["[1,2]", "[]", None]
    assert as_text(pl.Series([0.1, NAN, None])).to_list() == ["0.1", "NaN", None]
    assert as_text(pl.Series([b"\x01"])).to_list() == ["01"]


def test_changed_rows_come_in_pairs() -> None:
    diff = diff_rows(OLD, NEW, ["Symbol", "minute"])
    with pytest.raises(ValueError, match="in pairs: 0 old, 2 new"):
        RowDiff(diff.key, diff.added, diff.removed, OLD.clear(), diff.changed_after, (), diff.carried, 0, "", 4, 5)


VALUES: dict[str, tuple[pl.DataType, st.SearchStrategy[Any]]] = {
    "float": (pl.Float64(), st.sampled_from([None, NAN, 0.0, -0.0, 1.5, math.inf])),
    "int": (pl.Int64(), st.sampled_from([None, 0, 1])),
    "small": (pl.Int16(), st.sampled_from([None, 0, 1])),
    "text": (pl.String(), st.sampled_from([None, "", "a"])),
    "list": (pl.List(pl.Int64()), st.sampled_from([None, [], [1], [None]])),
}


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    kinds = {"k1": "int", "k2": "text", **{name: draw(st.sampled_from(sorted(VALUES))) for name in ("v", "w")}}
    chosen = ["k1", "k2", *draw(st.permutations(["v", "w"]))[: draw(st.integers(0, 2))]]
    rows = draw(st.lists(st.tuples(*(VALUES[kinds[name]][1] for name in chosen)), max_size=8))
    return pl.DataFrame(rows, schema={name: VALUES[kinds[name]][0] for name in chosen}, orient="row")


@settings(max_examples=400, deadline=None)
@given(frames(), frames(), st.sampled_from([("k1", "k2"), ("k1",), ()]), st.booleans())
def test_a_diff_applied_to_the_old_rows_gives_the_new(
    before: pl.DataFrame, after: pl.DataFrame, key: tuple[str, ...], same_columns: bool
) -> None:
    if same_columns:
        after = before.sample(fraction=0.5, seed=1).vstack(before.head(2)) if before.height else before
    diff = diff_rows(before, after, key)
    result = apply_rows(before, diff)
    assert result.schema == after.schema
    assert diff_rows(result, after).is_empty
    assert diff.is_empty is (
        dict(before.schema) == dict(after.schema) and _bag(before) == _bag(after.select(before.columns))
    )
    if not diff.columns:
        assert diff.rows_before - diff.removed.height + diff.added.height == diff.rows_after


def _bag(frame: pl.DataFrame) -> list[str]:
    """The rows as a naive multiset: NaN equals itself, -0.0 equals 0.0."""
    plain = [[0.0 if value == 0 and isinstance(value, float) else value for value in row] for row in frame.rows()]
    return sorted(repr(row) for row in plain)
