"""One file of bars, Parquet or CSV, into typed columns: strict on names and time zones, lenient on widths."""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from resources.sources.errors import SourceFileRefused
from resources.sources.file_format import STRICT, FileFormat
from resources.sources.file_rows import FileRows
from resources.sources.file_times import read_times, refuse_types
from trading.contracts import PRICES

# A panic of the reader is no Exception: some damaged files cause one.
_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeError)


def sha256(path: Path) -> str:
    """Hex digest of the file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_header(path: Path, shown: str, form: FileFormat = STRICT) -> pl.Schema:
    """Refuse a file whose columns or types are wrong, without reading its rows.

    Returns:
        The file's columns; all text in a CSV file.

    Raises:
        SourceFileRefused: naming the column and what would be right.
    """
    if path.suffix == ".csv":
        names = _csv_header(path, shown, form)
        _check_names(names, shown, form)
        return pl.Schema(dict.fromkeys(names, pl.String()))
    try:
        schema = pl.Schema(pl.read_parquet_schema(path))
    except _UNREADABLE as error:
        raise _unreadable(shown, error) from None
    _check_names(list(schema), shown, form)
    _check_types(schema, shown, form)
    return schema


def count_rows(path: Path, shown: str) -> int:
    """Rows of a Parquet file, from its footer."""
    try:
        return int(pl.scan_parquet(path, hive_partitioning=False).select(pl.len()).collect().item())
    except _UNREADABLE as error:
        raise _unreadable(shown, error) from None


def read_bars(
    path: Path,
    symbol: str,
    shown: str,
    form: FileFormat = STRICT,
    *,
    rows: tuple[int, int] | None = None,
    prices: bool = True,
) -> pl.DataFrame:
    """Rows of one file in its own order.

    Integer and Float32 prices become Float64 (Float32 through its shortest decimal, so that 12.34 stays 12.34), whole
    volumes of any type Int64, Timestamps of any zone and unit Datetime[us, UTC].

    Args:
        path: ``.parquet`` or ``.csv``.
        symbol: whose rows they are; an own Symbol column must say the same.
        shown: the path as messages name it.
        form: what is declared about the file.
        rows: offset and length of a slice; Parquet then decodes no more than the row groups that hold it.
        prices: without them only what can be wrong with a row is read: its time, Symbol and fractional Volume.

    Returns:
        Timestamp (a Date in daily files), Open, High, Low, Close, Volume; without ``prices`` the Timestamp alone.

    Raises:
        SourceFileRefused: unreadable, truncated, wrong columns or types, a time that is missing or cannot be told, a broken
            CSV line (named by its number), a fractional Volume.
    """
    schema = check_header(path, shown, form)
    is_csv = path.suffix == ".csv"
    wanted = _wanted(schema, form, all_columns=prices or is_csv)
    place = FileRows(shown, lines=is_csv, first=rows[0] if rows else 0)
    frame = _read_csv(path, shown, form, wanted) if is_csv else _read_parquet(path, shown, wanted, rows)
    frame = frame if rows is None or not is_csv else frame.slice(*rows)
    own = form.symbol_column
    if own is not None and own in frame.columns:
        others = frame.filter(pl.col(own).ne_missing(symbol))
        if others.height:
            found = others[own][0]
            raise SourceFileRefused(shown, f"{others.height} rows of Symbol {found!r}; it must hold only {symbol!r}")
    times = read_times([frame[name] for name in form.time_columns], form, place).alias("Timestamp")
    figures = [name for name in form.figures.values() if name in frame.columns]
    if is_csv:
        frame = frame.with_columns(_number(frame[name], form, place) for name in dict.fromkeys(figures))
    volume = form.figures["Volume"]
    whole = [_whole(frame[volume], form, place).alias("Volume")] if volume in figures else []
    if not prices:
        return times.to_frame()
    ours = frame.select(_price(frame.schema[form.figures[name]], form, name) for name in PRICES)
    return pl.DataFrame([times, *ours, *whole])


def _price(dtype: pl.DataType, form: FileFormat, name: str) -> pl.Expr:
    theirs = pl.col(form.figures[name])
    price = (theirs.cast(pl.String) if dtype == pl.Float32 else theirs).cast(pl.Float64)
    return (price if form.price_divisor == 1 else price / form.price_divisor).alias(name)


def _needed(form: FileFormat) -> list[str]:
    """The file's columns that are read, each once."""
    return list(dict.fromkeys((*form.time_columns, *form.figures.values())))


def _check_names(names: Sequence[str], shown: str, form: FileFormat) -> None:
    needed = _needed(form)
    found = " ".join(names) or "none"
    expected = f"the columns must be {' '.join(needed)}"
    if form.columns is not None:
        expected = f"the columns declared are {' '.join(needed)}"
    own = form.symbol_column
    for wanted in [*needed, *([own] if own and form.columns else [])]:
        if wanted not in names:
            twin = next((n for n in names if n.strip().lower() == wanted.lower()), None)
            hint = f"; {twin!r} must be spelled {wanted!r}" if twin else ""
            raise SourceFileRefused(shown, f"column {wanted!r} is missing{hint}; {expected}, they are {found}")
    for name in names if form.columns is None else ():
        if name not in needed and name != own:
            raise SourceFileRefused(shown, f"column {name!r} is not expected: leave it out; {expected}")
    if len(set(names)) != len(names):
        raise SourceFileRefused(shown, f"a column comes twice; {expected}")


def _check_types(schema: pl.Schema, shown: str, form: FileFormat) -> None:
    refuse_types([schema[name] for name in form.time_columns], form, shown)
    for name in form.figures.values():
        if not schema[name].is_numeric():
            raise SourceFileRefused(shown, f"column {name} must be a number, it is {schema[name]}")
    own = form.symbol_column
    if own is not None and own in schema and schema[own] != pl.String:
        raise SourceFileRefused(shown, f"column {own} must be text, it is {schema[own]}")


def _wanted(schema: pl.Schema, form: FileFormat, *, all_columns: bool) -> list[str]:
    """The file's columns to read: all that are needed, or only those in which a row can be wrong."""
    wanted = _needed(form) if all_columns else list(form.time_columns)
    volume, own = form.figures["Volume"], form.symbol_column
    if not all_columns and not schema[volume].is_integer():
        wanted.append(volume)
    if own is not None and own in schema:
        wanted.append(own)
    return list(dict.fromkeys(wanted))


def _read_parquet(path: Path, shown: str, wanted: list[str], rows: tuple[int, int] | None) -> pl.DataFrame:
    try:
        scan = pl.scan_parquet(path, hive_partitioning=False).select(wanted)
        return (scan if rows is None else scan.slice(*rows)).collect()
    except _UNREADABLE as error:
        raise _unreadable(shown, error) from None


def _unreadable(shown: str, error: BaseException) -> SourceFileRefused:
    kind = "CSV" if shown.endswith(".csv") else "Parquet"
    first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return SourceFileRefused(shown, f"cannot be read as {kind} ({first}); send the file again")


def _csv_header(path: Path, shown: str, form: FileFormat) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return next(csv.reader(stream, delimiter=form.separator), [])
    except (OSError, UnicodeError, csv.Error) as error:
        raise _unreadable(shown, error) from None


def _read_csv(path: Path, shown: str, form: FileFormat, wanted: list[str]) -> pl.DataFrame:
    """The ``wanted`` columns as stripped text."""
    try:
        text = pl.read_csv(path, infer_schema=False, encoding="utf8", separator=form.separator)
    except _UNREADABLE as error:
        raise _broken_line(path, shown, form) or _unreadable(shown, error) from None
    text = text.select(pl.col(name).fill_null("").str.strip_chars() for name in wanted)
    if text.select(pl.any_horizontal((pl.all() == "").any())).item():
        broken = _broken_line(path, shown, form)
        if broken:
            raise broken
    return text


def _broken_line(path: Path, shown: str, form: FileFormat) -> SourceFileRefused | None:
    """The first line whose number of fields differs from the header's."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter=form.separator)
            width = len(next(reader, []))
            for fields in reader:
                if fields and len(fields) != width:
                    reason = f"line {reader.line_num}: {len(fields)} fields; every line must have {width}"
                    return SourceFileRefused(shown, reason)
    except (UnicodeError, csv.Error) as error:
        return _unreadable(shown, error)
    return None


def _number(text: pl.Series, form: FileFormat, place: FileRows) -> pl.Series:
    """Whole numbers as Int64, any other as Float64."""
    digits = text.str.replace(",", ".", literal=True) if form.decimal == "," else text
    numbers = digits.cast(pl.Int64, strict=False)
    if numbers.null_count():
        numbers = digits.cast(pl.Float64, strict=False)
    place.refuse(numbers.is_null(), text, "a number")
    return numbers


def _whole(volume: pl.Series, form: FileFormat, place: FileRows) -> pl.Series:
    if form.volume_unit != 1:
        return _in_units(volume, form.volume_unit, place)
    if volume.dtype.is_integer():
        try:
            return volume.cast(pl.Int64)
        except pl.exceptions.InvalidOperationError:
            raise SourceFileRefused(place.shown, "a Volume does not fit 64 bits") from None
    numbers = volume.cast(pl.Float64)
    whole = numbers.is_finite() & (numbers == numbers.round()) & (numbers.abs() < 2.0**53)
    place.refuse(
        ~whole.fill_null(True),
        numbers.alias("Volume"),
        "whole, because volumes add up exactly: multiply a fractional one (crypto) to its smallest "
        "unit, or declare `volume_unit`",
    )
    return numbers.cast(pl.Int64)


def _in_units(volume: pl.Series, unit: float, place: FileRows) -> pl.Series:
    units = (volume.cast(pl.Float64) / unit).round()
    fits = units.is_finite() & (units.abs() < 2.0**63)
    place.refuse(~fits.fill_null(True), volume, f"a number that fits 64 bits in units of {unit:g}")
    return units.cast(pl.Int64)
