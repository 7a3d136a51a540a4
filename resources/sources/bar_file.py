"""One file of minutes, Parquet or CSV, into typed columns: strict on names and time zones, lenient on
widths.
"""

import csv
import hashlib
from pathlib import Path

import polars as pl

from resources.sources.errors import SourceFileRefused
from trading.contracts import INSTANT, PRICES

COLUMNS = ("Timestamp", *PRICES, "Volume")
_EXPECTED = f"the columns must be {' '.join(COLUMNS)}"
_ZONED = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})$"
_UNREADABLE = (pl.exceptions.PolarsError, OSError, UnicodeError)


def sha256(path: Path) -> str:
    """Hex digest of the file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_header(path: Path, shown: str) -> None:
    """Refuse a file whose columns or types are wrong, without reading its rows.

    Raises:
        SourceFileRefused: naming the column and what would be right.
    """
    if path.suffix == ".csv":
        _check_names(_csv_header(path, shown), shown)
        return
    try:
        schema = pl.read_parquet_schema(path)
    except _UNREADABLE as error:
        raise _unreadable(shown, error) from None
    _check_names(list(schema), shown)
    _check_types(pl.Schema(schema), shown)


def read_bars(path: Path, symbol: str, shown: str, rows: tuple[int, int] | None = None) -> pl.DataFrame:
    """Rows of one file in its own order.

    Integer and Float32 prices become Float64 (Float32 through its shortest decimal, so that 12.34 stays
    12.34), whole volumes of any type Int64, Timestamps of any zone and unit Datetime[us, UTC].

    Args:
        path: ``.parquet`` or ``.csv``.
        symbol: whose rows they are; an own Symbol column must say the same.
        shown: the path as messages name it.
        rows: offset and length of a slice; Parquet then decodes no more than the row groups that hold it.

    Returns:
        Timestamp, Open, High, Low, Close, Volume.

    Raises:
        SourceFileRefused: unreadable, truncated, wrong columns or types, a Timestamp without zone or value, a
            broken CSV line (named by its number), a fractional Volume.
    """
    check_header(path, shown)
    if path.suffix == ".csv":
        frame = _read_csv(path, shown)
        frame = frame if rows is None else frame.slice(*rows)
    else:
        frame = _read_parquet(path, shown, rows)
    if "Symbol" in frame.columns:
        others = frame.filter(pl.col("Symbol").ne_missing(symbol))
        if others.height:
            found = others["Symbol"][0]
            raise SourceFileRefused(shown, f"{others.height} rows of Symbol {found!r}; it must hold only {symbol!r}")
    if frame["Timestamp"].null_count():
        raise SourceFileRefused(shown, "a Timestamp is missing; every row needs one")
    return _typed(frame, shown)


def _check_names(names: list[str], shown: str) -> None:
    for wanted in COLUMNS:
        if wanted not in names:
            twin = next((n for n in names if n.strip().lower() == wanted.lower()), None)
            hint = f"; {twin!r} must be spelled {wanted!r}" if twin else ""
            found = " ".join(names) or "none"
            raise SourceFileRefused(shown, f"column {wanted!r} is missing{hint}; {_EXPECTED}, they are {found}")
    for name in names:
        if name not in COLUMNS and name != "Symbol":
            raise SourceFileRefused(shown, f"column {name!r} is not expected: leave it out; {_EXPECTED}")
    if len(set(names)) != len(names):
        raise SourceFileRefused(shown, f"a column comes twice; {_EXPECTED}")


def _check_types(schema: pl.Schema, shown: str) -> None:
    stamp = schema["Timestamp"]
    if not isinstance(stamp, pl.Datetime):
        raise SourceFileRefused(shown, f"column Timestamp must be a timestamp with time zone UTC, it is {stamp}")
    if stamp.time_zone is None:
        raise SourceFileRefused(
            shown,
            "column Timestamp is naive: it has no time zone; store the bar's start in UTC, with the zone",
        )
    for name in (*PRICES, "Volume"):
        if not (schema[name].is_numeric()):
            raise SourceFileRefused(shown, f"column {name} must be a number, it is {schema[name]}")
    if "Symbol" in schema and schema["Symbol"] != pl.String:
        raise SourceFileRefused(shown, f"column Symbol must be text, it is {schema['Symbol']}")


def _read_parquet(path: Path, shown: str, rows: tuple[int, int] | None) -> pl.DataFrame:
    try:
        scan = pl.scan_parquet(path, hive_partitioning=False)
        return (scan if rows is None else scan.slice(*rows)).collect()
    except _UNREADABLE as error:
        raise _unreadable(shown, error) from None


def _unreadable(shown: str, error: Exception) -> SourceFileRefused:
    kind = "CSV" if shown.endswith(".csv") else "Parquet"
    first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return SourceFileRefused(shown, f"cannot be read as {kind} ({first}); send the file again")


def _csv_header(path: Path, shown: str) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return next(csv.reader(stream), [])
    except (OSError, UnicodeError, csv.Error) as error:
        raise _unreadable(shown, error) from None


def _read_csv(path: Path, shown: str) -> pl.DataFrame:
    try:
        text = pl.read_csv(path, infer_schema=False, encoding="utf8")
    except _UNREADABLE as error:
        raise _broken_line(path, shown) or _unreadable(shown, error) from None
    text = text.with_columns(pl.all().fill_null("").str.strip_chars())
    if text.select(pl.any_horizontal((pl.col(COLUMNS) == "").any())).item() and (broken := _broken_line(path, shown)):
        raise broken
    stamps = pl.col("Timestamp")
    _refuse_first(text, ~stamps.str.contains(_ZONED), "Timestamp", _TIME_HINT, shown)
    iso = (
        stamps.str.replace(" ", "T", literal=True)
        .str.replace(r"Z$", "+00:00")
        .str.replace(r"([+-]\d{2})(\d{2})$", "$1:$2")
        .str.replace(r"(T\d{2}:\d{2})([+-])", "$1:00$2")
    )
    instants = text.select(iso.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)).to_series()
    _refuse_first(text, instants.is_null(), "Timestamp", _TIME_HINT, shown)
    figures = text.select(pl.col(name).cast(pl.Float64, strict=False) for name in PRICES)
    volume = text["Volume"].cast(pl.Int64, strict=False)
    if volume.null_count():
        volume = text["Volume"].cast(pl.Float64, strict=False)
    parsed = {"Timestamp": instants, **{n: figures[n] for n in PRICES}, "Volume": volume}
    for name in (*PRICES, "Volume"):
        _refuse_first(text, parsed[name].is_null(), name, "a number", shown)
    if "Symbol" in text.columns:
        parsed["Symbol"] = text["Symbol"]
    return pl.DataFrame(parsed)


_TIME_HINT = "ISO 8601 with an explicit offset, like 2023-10-02T13:30:00Z"


def _refuse_first(text: pl.DataFrame, bad: pl.Expr | pl.Series, column: str, right: str, shown: str) -> None:
    mask = text.select(bad).to_series() if isinstance(bad, pl.Expr) else bad
    if mask.any():
        row = int(mask.arg_max() or 0)
        found = text[column][row]
        raise SourceFileRefused(shown, f"line {row + 2}: {column} is {found!r}; it must be {right}")


def _broken_line(path: Path, shown: str) -> SourceFileRefused | None:
    """The first line whose number of fields differs from the header's."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            width = len(next(reader, []))
            for fields in reader:
                if fields and len(fields) != width:
                    reason = f"line {reader.line_num}: {len(fields)} fields; every line must have {width}"
                    return SourceFileRefused(shown, reason)
    except (UnicodeError, csv.Error) as error:
        return _unreadable(shown, error)
    return None


def _typed(frame: pl.DataFrame, shown: str) -> pl.DataFrame:
    stamps = frame["Timestamp"].dt.convert_time_zone("UTC").cast(INSTANT)
    if frame["Timestamp"].dtype.time_unit == "ns" and (frame["Timestamp"].dt.nanosecond() % 1000 != 0).any():  # type: ignore[attr-defined]
        raise SourceFileRefused(shown, "a Timestamp is finer than microseconds; it must be a whole minute")
    prices = [
        (pl.col(n).cast(pl.String) if frame.schema[n] == pl.Float32 else pl.col(n)).cast(pl.Float64) for n in PRICES
    ]
    return frame.select(stamps, *prices, _whole(frame["Volume"], shown))


def _whole(volume: pl.Series, shown: str) -> pl.Series:
    if volume.dtype.is_integer():
        try:
            return volume.cast(pl.Int64)
        except pl.exceptions.InvalidOperationError:
            raise SourceFileRefused(shown, "a Volume does not fit 64 bits") from None
    numbers = volume.cast(pl.Float64)
    whole = numbers.is_finite() & (numbers == numbers.round()) & (numbers.abs() < 2.0**53)
    if not whole.fill_null(True).all():
        row = int((~whole.fill_null(True)).arg_max() or 0)
        raise SourceFileRefused(
            shown,
            f"row {row + 1}: Volume is {numbers[row]}; it must be whole, because volumes add up exactly: "
            "multiply a fractional one (crypto) to its smallest unit",
        )
    return numbers.cast(pl.Int64)
