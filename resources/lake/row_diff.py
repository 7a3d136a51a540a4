"""How two frames differ, row by row: added, removed, and changed by key with the old and the new values."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final

import polars as pl

_NTH: Final = "__nth"
_LEFT: Final = "__left"
_RIGHT: Final = "__right"


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """One column that is not the same on both sides; None where it is not there.

    Attributes:
        name: the column.
        before, after: its type.
        compared: its values were compared all the same, as both types hold integers, or both floats.
    """

    name: str
    before: pl.DataType | None
    after: pl.DataType | None
    compared: bool = False

    def __str__(self) -> str:
        if self.before is None:
            return f"column {self.name} added ({self.after})"
        if self.after is None:
            return f"column {self.name} removed ({self.before})"
        note = "" if self.compared else ", its values are not compared"
        return f"column {self.name} is {self.after}, was {self.before}{note}"


@dataclass(frozen=True, slots=True)
class RowDiff:
    """What turns one frame into another. The order of rows does not count.

    Values are compared exactly: null equals null only, NaN equals NaN only, -0.0 equals 0.0.

    Attributes:
        key: columns that name a row; () where whole rows are compared, as a multiset.
        added: rows only the new frame has, with its columns.
        removed: rows only the old frame has, with its columns.
        changed_before: old rows whose key is on both sides and whose values differ.
        changed_after: their new rows, in the same order.
        columns: columns that were added, removed, or got another type. Such a change alone changes no row.
        carried: where ``columns`` is not empty, the new values of those columns in the rows that are else as they were,
            after their key.
        repeated_keys: keys that one side has more than once. Their rows are compared whole, so they are added or
            removed, never changed.
        whole_rows_because: why whole rows are compared; "" where they are not.
        rows_before, rows_after: rows of the two frames.
    """

    key: tuple[str, ...]
    added: pl.DataFrame
    removed: pl.DataFrame
    changed_before: pl.DataFrame
    changed_after: pl.DataFrame
    columns: tuple[ColumnChange, ...]
    carried: pl.DataFrame
    repeated_keys: int
    whole_rows_because: str
    rows_before: int
    rows_after: int

    def __post_init__(self) -> None:
        if self.changed_before.height != self.changed_after.height:
            raise ValueError(
                f"changed rows must come in pairs: {self.changed_before.height} old, {self.changed_after.height} new"
            )

    @property
    def changed(self) -> int:
        """Number of rows that changed."""
        return self.changed_after.height

    @property
    def is_empty(self) -> bool:
        """The same rows and columns."""
        return not (self.added.height or self.removed.height or self.changed or self.columns)

    def compared_columns(self) -> list[str]:
        """Columns besides the key whose values are compared."""
        return [name for name in _compared(self.changed_before, self.changed_after) if name not in self.key]

    def cells(self) -> pl.DataFrame:
        """Every difference as one line of text: ``row, change, column, old, new``.

        ``row`` is the key as JSON, or the row's number within ``added`` or ``removed`` where there is no key or the key is
        repeated. A changed row has a line for each column that differs, an added or removed one for each of its columns.
        """
        parts = [
            _lines(self.added, self.key, "added"),
            _lines(self.removed, self.key, "removed"),
            *(self._changed_lines(column) for column in self.compared_columns()),
        ]
        return pl.concat([part for part in parts if part.height] or [pl.DataFrame(schema=_CELLS)])

    def _changed_lines(self, column: str) -> pl.DataFrame:
        old, new = self.changed_before, self.changed_after
        differs = _differs(old, new, [column])
        old, new = old.filter(differs), new.filter(differs)
        return pl.DataFrame(
            {
                "row": _row_names(new, self.key),
                "change": ["changed"] * new.height,
                "column": [column] * new.height,
                "old": as_text(old[column]),
                "new": as_text(new[column]),
            },
            schema=_CELLS,
        )


_CELLS: Final = dict.fromkeys(("row", "change", "column", "old", "new"), pl.String())


def diff_rows(before: pl.DataFrame, after: pl.DataFrame, key: Sequence[str] = ()) -> RowDiff:
    """How ``after`` differs from ``before``.

    Args:
        before: the old frame.
        after: the new frame.
        key: columns that name a row, none for a comparison of whole rows. A key that a side does not have, or that
            changed its type, cannot be used; the result says so.
    """
    columns = _column_changes(before, after)
    because = _unusable(before, after, key)
    names = () if because else tuple(key)
    if not names:
        removed, added = _subtract(before, after), _subtract(after, before)
        nothing = pl.DataFrame()
        return RowDiff(
            names,
            added,
            removed,
            before.clear(),
            after.clear(),
            columns,
            nothing,
            0,
            because,
            before.height,
            after.height,
        )
    keys = list(names)
    repeated = pl.concat([_repeated(before, keys), _repeated(after, keys)]).unique()
    old, new = (_without(frame, repeated, keys) for frame in (before, after))
    old_repeated, new_repeated = (_only(frame, repeated, keys) for frame in (before, after))
    pairs = (
        old.select(keys)
        .with_row_index(_LEFT)
        .join(new.select(keys).with_row_index(_RIGHT), on=keys, how="inner", nulls_equal=True, maintain_order="right")
    )
    left, right = old[pairs[_LEFT]], new[pairs[_RIGHT]]
    differs = _differs(left, right, [name for name in _compared(old, new) if name not in names])
    moved = [change.name for change in columns if change.after is not None]
    return RowDiff(
        key=names,
        added=pl.concat([_without(new, old, keys), _subtract(new_repeated, old_repeated)]),
        removed=pl.concat([_without(old, new, keys), _subtract(old_repeated, new_repeated)]),
        changed_before=left.filter(differs),
        changed_after=right.filter(differs),
        columns=columns,
        carried=right.filter(~differs).select(*keys, *moved) if columns else pl.DataFrame(),
        repeated_keys=repeated.height,
        whole_rows_because=because,
        rows_before=before.height,
        rows_after=after.height,
    )


def apply_rows(before: pl.DataFrame, diff: RowDiff) -> pl.DataFrame:
    """``before`` with ``diff`` applied: the rows and columns of the new frame, in any order."""
    names = diff.added.columns
    if not before.columns:
        return pl.concat([diff.added, diff.changed_after])
    kept = _subtract(before, pl.concat([diff.removed, diff.changed_before]))
    if diff.columns and diff.key:
        moved = [name for name in diff.carried.columns if name not in diff.key]
        kept = kept.drop(moved, strict=False).join(
            diff.carried, on=list(diff.key), how="inner", nulls_equal=True, maintain_order="left"
        )
    elif diff.columns:
        kept = diff.added.clear()  # without a key no row outlives a change of columns
    return pl.concat([kept.select(names), diff.added, diff.changed_after])


def as_text(values: pl.Series) -> pl.Series:
    """Values for a person or a CSV file: instants as ISO 8601 in UTC, nested values as JSON, null as null."""
    dtype = values.dtype
    if dtype.is_nested():
        held = pl.DataFrame({"v": values})
        texts = held.select(pl.struct("v").struct.json_encode().str.strip_prefix('{"v":').str.strip_suffix("}"))
        return held.select(pl.when(pl.col("v").is_not_null()).then(texts.to_series())).to_series()
    if isinstance(dtype, pl.Datetime):
        zoned = values.dt.convert_time_zone("UTC") if dtype.time_zone else values
        return zoned.dt.to_string("%Y-%m-%dT%H:%M:%S%.f" + ("Z" if dtype.time_zone else ""))
    if dtype == pl.Binary:
        return values.bin.encode("hex")
    return values.cast(pl.String)


def _lines(frame: pl.DataFrame, key: Sequence[str], change: str) -> pl.DataFrame:
    """The cells of added or removed rows, row by row."""
    if not frame.height or not frame.columns:
        return pl.DataFrame(schema=_CELLS)
    side, other = ("new", "old") if change == "added" else ("old", "new")
    texts = pl.DataFrame([as_text(frame[name]).alias(name) for name in frame.columns])
    long = (
        texts.with_columns(_row_names(frame, key).alias(_LEFT))
        .with_row_index(_NTH)
        .unpivot(index=[_NTH, _LEFT], variable_name="column", value_name=side)
        .sort(_NTH, maintain_order=True)
    )
    return long.select(
        pl.col(_LEFT).alias("row"),
        pl.lit(change).alias("change"),
        "column",
        *(
            (pl.lit(None, pl.String).alias(other), side)
            if side == "new"
            else (side, pl.lit(None, pl.String).alias(other))
        ),
    )


def _row_names(frame: pl.DataFrame, key: Sequence[str]) -> pl.Series:
    if not key:
        return pl.int_range(1, frame.height + 1, eager=True).cast(pl.String)
    parts = pl.DataFrame([as_text(frame[name]).alias(name) for name in key])
    return parts.select(pl.struct(list(key)).struct.json_encode()).to_series()


def _column_changes(before: pl.DataFrame, after: pl.DataFrame) -> tuple[ColumnChange, ...]:
    if not before.columns or not after.columns:
        return ()  # the whole frame is new or gone: nothing more to say of its columns
    old, new = before.schema, after.schema
    return tuple(
        ColumnChange(name, old.get(name), new.get(name), _comparable(old.get(name), new.get(name)))
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    )


def _comparable(a: pl.DataType | None, b: pl.DataType | None) -> bool:
    """The same type, or two of which a wider one holds the values of both without loss."""
    if a is None or b is None:
        return False
    return a == b or (a.is_integer() and b.is_integer()) or (a.is_float() and b.is_float())


def _compared(before: pl.DataFrame, after: pl.DataFrame) -> list[str]:
    old, new = before.schema, after.schema
    return [name for name in old if _comparable(old[name], new.get(name))]


def _unusable(before: pl.DataFrame, after: pl.DataFrame, key: Sequence[str]) -> str:
    if not key:
        return "no key is declared"
    if not before.columns or not after.columns:
        return "one side has no columns"
    for name in key:
        for frame, side in ((before, "old"), (after, "new")):
            if name not in frame.columns:
                return f"the {side} rows have no key column {name}"
        if before.schema[name] != after.schema[name]:
            return f"key column {name} is {after.schema[name]}, was {before.schema[name]}"
    return ""


def _differs(left: pl.DataFrame, right: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    """For each pair of rows, whether one of the columns ``names`` differs."""
    masks = []
    for name in names:
        old, new = left[name], right[name]
        if old.dtype != new.dtype:
            common = pl.Int128 if old.dtype.is_integer() else pl.Float64
            old, new = old.cast(common), new.cast(common)
        masks.append(old.ne_missing(new))
    return reduce(or_, masks, pl.repeat(False, left.height, eager=True, dtype=pl.Boolean))


def _repeated(frame: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    return frame.select(key).filter(pl.struct(key).is_duplicated()).unique()


def _without(frame: pl.DataFrame, other: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    return frame.join(other, on=key, how="anti", nulls_equal=True, maintain_order="left")


def _only(frame: pl.DataFrame, other: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    return frame.join(other, on=key, how="semi", nulls_equal=True, maintain_order="left")


def _subtract(frame: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Rows of ``frame`` beyond those that ``other`` has as often; all where their columns differ."""
    if not frame.columns or dict(frame.schema) != dict(other.schema):
        return frame
    names = frame.columns
    nth = pl.int_range(pl.len()).over(names).alias(_NTH)
    return _without(frame.with_columns(nth), other.select(names).with_columns(nth), [*names, _NTH]).drop(_NTH)
