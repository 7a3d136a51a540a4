"""Bars out of a vendor's parsed JSON, with nothing taken on trust."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import polars as pl

from resources.sources.errors import SourceError
from trading.contracts import INSTANT, PRICES

NullVolume = Literal["refuse", "zero"]
"""What a bar with prices and no volume becomes: left null, so that assembly refuses its partition, or 0 (indices)."""

FIELDS = (*PRICES, "Volume")

_NUMBERS = (int, float, type(None))


def bars_of(
    listed: Sequence[Any],
    timestamps: pl.Series,
    fields: Mapping[str, str],
    *,
    volume_unit: float = 1.0,
    null_volume: NullVolume = "refuse",
) -> pl.DataFrame:
    """Timestamp, Open, High, Low, Close (Float64), Volume (Int64, in ``volume_unit``) in the order of ``listed``.

    Args:
        listed: one mapping a bar.
        timestamps: of the same length, Datetime[us, UTC].
        fields: the vendor's name for each of ours.

    Raises:
        SourceError: a field is missing or no number; names the row.
    """
    columns = {name: numbers(listed, theirs) for name, theirs in fields.items()}
    volume = pl.col("Volume")
    whole = (volume if volume_unit == 1.0 else volume / volume_unit).round().cast(pl.Int64)
    if null_volume == "zero":
        whole = pl.when(pl.any_horizontal(pl.col(*PRICES).is_not_null())).then(whole.fill_null(0)).otherwise(whole)
    frame = pl.DataFrame({"Timestamp": timestamps.cast(INSTANT), **columns})
    try:
        return frame.with_columns(whole.alias("Volume"))
    except pl.exceptions.InvalidOperationError:
        raise SourceError("a volume does not fit 64 bits; raise the setting volume_unit") from None


def numbers(listed: Sequence[Any], field: str) -> pl.Series:
    """One field of all rows as Float64, null where the vendor has null or NaN. SourceError where it is no number."""
    values: list[float | None] = []
    for row, bar in enumerate(listed):
        value = present(bar, field, row)
        if not isinstance(value, _NUMBERS) or isinstance(value, bool):
            raise SourceError(f"row {row + 1}: {field} is {value!r}; it must be a number or null")
        values.append(None if value is None else float(value))
    return pl.Series(field, values, dtype=pl.Float64).fill_nan(None)


def whole_numbers(listed: Sequence[Any], field: str) -> pl.Series:
    """One field of all rows as Int64. SourceError where it is missing or none."""
    values: list[int] = []
    for row, bar in enumerate(listed):
        value = present(bar, field, row)
        if not isinstance(value, int) or isinstance(value, bool):
            raise SourceError(f"row {row + 1}: {field} is {value!r}; it must be a whole number")
        values.append(value)
    return pl.Series(field, values, dtype=pl.Int64)


def present(bar: Any, field: str, row: int) -> Any:
    """The field of one row. SourceError where there is none."""
    if not isinstance(bar, dict) or field not in bar:
        raise SourceError(f"row {row + 1}: {field} is missing; the vendor documents it for every bar")
    return bar[field]
