"""A small table on disk, read with its hash."""

import datetime as dt
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from resources.sources.errors import SourceError, SourceFileRefused


@dataclass(frozen=True)
class CsvTable:
    """What a file holds: ``rows`` as declared, ``sha256`` (hex) of its bytes, ``arrived`` its time of change, UTC."""

    rows: pl.DataFrame
    sha256: str
    arrived: dt.datetime


def read_csv(path: Path, columns: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> CsvTable:
    """The columns named, typed; further ones are left out, optional ones that are absent come as nulls.

    Args:
        columns: polars dtype by name; Date, Float64 or String. Dates are YYYY-MM-DD or YYYYMMDD.

    Raises:
        SourceError: no such file.
        SourceFileRefused: not CSV, a column missing, or a value of another type, with its row.
    """
    try:
        content = path.read_bytes()
        changed = path.stat().st_mtime
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}; it must be a CSV file") from None
    try:
        text = pl.read_csv(io.BytesIO(content), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise SourceFileRefused(str(path), f"not CSV with a header: {str(error).splitlines()[0]}") from None
    for name in columns:
        if name not in text.columns:
            raise SourceFileRefused(str(path), f"column {name!r} is missing; it has {', '.join(text.columns)}")
    wanted = {**columns, **(optional or {})}
    typed = [
        _typed(text[name], dtype, path) if name in text.columns else pl.Series(name, [None] * text.height, dtype=dtype)
        for name, dtype in wanted.items()
    ]
    arrived = dt.datetime.fromtimestamp(changed, dt.UTC)
    return CsvTable(pl.DataFrame(typed), hashlib.sha256(content).hexdigest(), arrived)


def _typed(text: pl.Series, dtype: Any, path: Path) -> pl.Series:
    text = text.str.strip_chars().replace("", None)
    if dtype == pl.String:
        return text
    if dtype == pl.Date:
        days = text.str.to_date("%Y-%m-%d", strict=False)
        typed = days.zip_with(days.is_not_null(), text.str.to_date("%Y%m%d", strict=False))
    else:
        typed = text.cast(dtype, strict=False)
    wrong = (typed.is_null() & text.is_not_null()).arg_true()
    if len(wrong):
        row = int(wrong[0])
        right = "a date YYYY-MM-DD" if dtype == pl.Date else "a number"
        raise SourceFileRefused(str(path), f"row {row + 2}: {text.name} is {text[row]!r}; it must be {right} or empty")
    return typed
