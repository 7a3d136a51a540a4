"""The time column of a file of bars as instants, or as dates where its bars are daily."""

import datetime as dt

import polars as pl

from resources.sources.errors import SourceFileRefused
from resources.sources.file_format import ISO, UNIX_UNITS, FileFormat
from resources.sources.file_rows import FileRows
from trading.contracts import INSTANT

_CLOCK = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?"
_ZONED = rf"^{_CLOCK}(Z|[+-]\d{{2}}:?\d{{2}})$"
_NAIVE = rf"^{_CLOCK}$"
_ZONED_HINT = "ISO 8601 with an explicit offset, like 2023-10-02T13:30:00Z"
_NAIVE_HINT = "ISO 8601, like 2023-10-02 09:30:00"
_PER_SECOND = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_DAY = 86_400
# Seconds since 1970; beyond them a value is damage, or counted in another unit than declared.
_EARLIEST, _LATEST = -70 * 365 * _DAY, 230 * 365 * _DAY
_MINUTE = pl.duration(minutes=1)


def refuse_types(dtypes: list[pl.DataType], form: FileFormat, shown: str) -> None:
    """Refuse a file by the types of its time columns alone.

    Raises:
        SourceFileRefused: naming the column and what to store or declare.
    """
    names = form.time_columns
    if len(dtypes) == 2:
        texts = all(d == pl.String for d in dtypes)
        if not texts and not (dtypes[0] == pl.Date and dtypes[1] == pl.Time and form.time_format == ISO):
            kinds = f"{names[0]} is {dtypes[0]}, {names[1]} is {dtypes[1]}"
            raise SourceFileRefused(shown, f"{kinds}; a pair must be both text, or a date and a time of day")
        return
    (name,), (dtype,) = names, dtypes
    reason = _wrong_type(dtype, form)
    if reason:
        raise SourceFileRefused(shown, f"column {name} {reason}")


def _wrong_type(dtype: pl.DataType, form: FileFormat) -> str | None:
    if form.time_format in UNIX_UNITS:
        right = dtype.is_numeric() or dtype == pl.String
        return None if right else f"must hold numbers, as time_format is {form.time_format}; it is {dtype}"
    if dtype == pl.String and form.declared:
        return None
    if form.time_format != ISO:
        return f"must be text, as time_format is {form.time_format!r}; it is {dtype}"
    if form.step == "1d":
        if dtype == pl.Date or isinstance(dtype, pl.Datetime):
            return None
        return f"must be a date, it is {dtype}"
    if dtype.is_numeric() and form.declared:
        return (
            f"must be a timestamp, it is {dtype}; if it counts from 1970, declare time_format: {', '.join(UNIX_UNITS)}"
        )
    if not isinstance(dtype, pl.Datetime):
        return f"must be a timestamp with time zone UTC, it is {dtype}"
    if dtype.time_zone is None and form.zone is None:
        return "is naive: it has no time zone; store the bar's start in UTC, with the zone, or declare the `zone` that it is in"
    return None


def read_times(columns: list[pl.Series], form: FileFormat, rows: FileRows) -> pl.Series:
    """Starts of the bars.

    Args:
        columns: the file's time column, or its date and its time column, as they are.
        form: what is declared.
        rows: names a row in messages.

    Returns:
        Datetime[us, UTC]; Date for daily bars.

    Raises:
        SourceFileRefused: naming the first row without a time, with one that cannot be read, or with a local time that came
            twice or never in the declared zone.
    """
    for column in columns:
        if column.null_count():
            raise SourceFileRefused(rows.shown, f"a {column.name} is missing; every row needs one")
    if form.step == "1d":
        return _dates(columns[0], form, rows)
    instants = _instants(_joined(columns), form, rows)
    return instants if form.timestamp == "start" else instants.to_frame("t").select(pl.col("t") - _MINUTE).to_series()


def _joined(columns: list[pl.Series]) -> pl.Series:
    if len(columns) == 1:
        return columns[0]
    date, time = columns
    both = pl.DataFrame({"date": date, "time": time})
    name = f"{date.name} {time.name}"
    if date.dtype == pl.Date:
        return both.select(pl.col("date").dt.combine(pl.col("time"), "us")).to_series().alias(name)
    return both.select(pl.concat_str("date", "time", separator=" ")).to_series().alias(name)


def _instants(times: pl.Series, form: FileFormat, rows: FileRows) -> pl.Series:
    if form.time_format in UNIX_UNITS:
        return _counted(times, form, rows)
    if times.dtype == pl.String:
        return _local(*_from_text(times, form, rows), form, rows)
    assert isinstance(times.dtype, pl.Datetime)
    if times.dtype.time_unit == "ns" and (times.dt.nanosecond() % 1000 != 0).any():
        raise SourceFileRefused(rows.shown, f"a {times.name} is finer than microseconds; it must be a whole minute")
    return _local(times, times, form, rows)


def _refuse_wild(counts: pl.Series, per_second: int, times: pl.Series, rows: FileRows) -> None:
    """Refuse what no calendar reaches, before it overflows in a conversion."""
    wild = (counts < _EARLIEST * per_second) | (counts >= _LATEST * per_second)
    readable = times.dtype == pl.String or times.dtype.is_numeric()
    found = times if readable else counts.alias(times.name)  # as a number: a wild one has no date to show
    rows.refuse(wild, found, "a time from 1900 to 2199; is it counted in the unit declared?")


def _local(times: pl.Series, shown: pl.Series, form: FileFormat, rows: FileRows) -> pl.Series:
    """``times`` in UTC: by their own zone, else by the declared one."""
    assert isinstance(times.dtype, pl.Datetime)
    _refuse_wild(times.to_physical(), _PER_SECOND[times.dtype.time_unit], shown, rows)
    if times.dtype.time_zone is not None:
        return times.dt.convert_time_zone("UTC").cast(INSTANT)
    zone = form.zone
    assert zone is not None
    there = times.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    if there.null_count():
        exists = times.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").is_not_null()
        cure = "store UTC or an offset"
        rows.refuse(~exists, shown, f"a time that exists in {zone}; the clocks skip it: is `zone` right? If so, {cure}")
        rows.refuse(there.is_null(), shown, f"a time that {zone} has once; the clocks go back over it: {cure}")
    return there.dt.convert_time_zone("UTC").cast(INSTANT)


def _counted(times: pl.Series, form: FileFormat, rows: FileRows) -> pl.Series:
    counts = times.cast(pl.Int64, strict=False)
    exact = counts.is_not_null()
    if times.dtype.is_float() or times.dtype.is_decimal():
        exact &= times == counts
    rows.refuse(~exact, times, f"a whole number of {form.time_format}")
    _refuse_wild(counts, 1_000_000 // UNIX_UNITS[form.time_format], times, rows)
    return (counts * UNIX_UNITS[form.time_format]).cast(INSTANT)


def _from_text(times: pl.Series, form: FileFormat, rows: FileRows) -> tuple[pl.Series, pl.Series]:
    """Parsed times, naive or in UTC, and the text again for messages."""
    if form.time_format != ISO:
        parsed = times.str.to_datetime(form.time_format, time_unit="us", strict=False)
        rows.refuse(parsed.is_null(), times, f"like {form.time_format}, as declared in time_format")
        if parsed.dtype.time_zone is None and form.zone is None:  # type: ignore[attr-defined]
            raise SourceFileRefused(rows.shown, f"{times.name} is naive: declare the `zone` that its times are in")
        return parsed, times
    zoned = times.str.contains(_ZONED)
    if form.zone is None or zoned.all():
        rows.refuse(
            ~zoned, times, _ZONED_HINT + ("" if form.zone else "; or declare the `zone`" if form.declared else "")
        )
        return _parsed(times, "%+", "UTC", _ZONED_HINT, rows), times
    rows.refuse(~times.str.contains(_NAIVE), times, _NAIVE_HINT)
    return _parsed(times, "%Y-%m-%dT%H:%M:%S%.f", None, _NAIVE_HINT, rows), times


def _parsed(times: pl.Series, pattern: str, zone: str | None, hint: str, rows: FileRows) -> pl.Series:
    text = pl.col("t")
    whole = (
        text.str.replace(" ", "T", literal=True)
        .str.replace(r"Z$", "+00:00")
        .str.replace(r"([+-]\d{2})(\d{2})$", "$1:$2")
        .str.replace(r"(T\d{2}:\d{2})([+-]|$)", "$1:00$2")
    )
    found = times.to_frame("t").select(whole.str.to_datetime(pattern, time_unit="us", time_zone=zone, strict=False))
    rows.refuse(found.to_series().is_null(), times, hint)
    return found.to_series()


def _dates(dates: pl.Series, form: FileFormat, rows: FileRows) -> pl.Series:
    if form.time_format in UNIX_UNITS:
        dates = _counted(dates, form, rows)
    if dates.dtype == pl.String:
        pattern = "%Y-%m-%d" if form.time_format == ISO else form.time_format
        parsed = dates.str.to_date(pattern, strict=False)
        rows.refuse(parsed.is_null(), dates, f"a date like {pattern}")
        _refuse_wild(parsed.to_physical().cast(pl.Int64) * _DAY, 1, dates, rows)
        return parsed
    if isinstance(dates.dtype, pl.Datetime):
        _refuse_wild(dates.to_physical(), _PER_SECOND[dates.dtype.time_unit], dates, rows)
        rows.refuse(dates.dt.time() != dt.time(), dates, "a date: midnight, or without a time of day")
        return dates.dt.date()
    _refuse_wild(dates.to_physical().cast(pl.Int64) * _DAY, 1, dates, rows)
    return dates
