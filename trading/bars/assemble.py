"""Source minutes of any order and overlap into the regular session's M1 bars."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from trading.bars.errors import BarsRefused, ConflictingDuplicates
from trading.contracts import (
    BAR_COLUMNS,
    INSTANT,
    ON_GRID,
    PRICES,
    RAW_COLUMNS,
    bar_rules,
    require_columns,
    violation,
)
from trading.errors import ContractViolation
from trading.sessions import SessionCalendar, get_calendar

_MINUTE = 60_000_000  # microseconds
_FIGURES = (*PRICES, "Volume")
_RAW = pl.Schema(RAW_COLUMNS)

REPORT_SCHEMA: Mapping[str, Any] = MappingProxyType(
    {
        "Symbol": pl.String,
        "session": pl.Date,
        "rows_in": pl.Int64,
        "exact_duplicates": pl.Int64,
        "rows_outside_session": pl.Int64,
        "minutes_present": pl.Int32,
        "minutes_expected": pl.Int32,
        "coverage": pl.Float64,
        "first_minute": INSTANT,
        "last_minute": INSTANT,
    }
)


@dataclass(frozen=True)
class AssembledBars:
    """What assembly made of its input.

    Attributes:
        bars: Symbol, Timestamp, Open, High, Low, Close, Volume, session; sorted by Symbol, Timestamp.
        report: one row per Symbol and session with the columns of ``REPORT_SCHEMA``. Always
            ``rows_in = exact_duplicates + rows_outside_session + minutes_present``. Rows outside every
            session are counted on the exchange's date; a date that is no session has ``minutes_expected`` 0
            and a null coverage.
    """

    bars: pl.DataFrame
    report: pl.DataFrame


def assemble_m1(frames: Iterable[pl.DataFrame], calendar: str = "XNYS") -> AssembledBars:
    """Merge, de-duplicate, validate, then cut to ``[open, close)``: in this order.

    The order means that a wrong row is refused even where the cut would have dropped it: a source that is
    wrong at 17:00 is not trusted at 15:00.

    Args:
        frames: columns Symbol (String), Timestamp (Datetime[us, UTC], start of the minute), Open, High, Low,
            Close (Float64), Volume (Int64) and optionally source_file (String), which messages quote. Rows
            in any order, over any number of Symbols and sessions; the result does not depend on the order.
        calendar: of all the Symbols given.

    Raises:
        ConflictingDuplicates: one Symbol and Timestamp with different prices or volumes.
        BarsRefused: wrong columns, dtypes or a naive timestamp; a null; a Timestamp off the minute grid; Low
            or High that do not bound Open and Close; a price that is not above 0 and finite; a negative
            Volume. The message shows file, Symbol, minute (UTC and exchange time) and figures of the first
            offending rows.
    """
    sessions = get_calendar(calendar)
    merged = _merge(frames)
    _refuse_nulls(merged, sessions)
    ordered, repeated = _deduplicate(merged, sessions)
    _check(ordered, repeated, sessions)
    session = sessions.session_of(ordered["Timestamp"])
    inside = session.is_not_null()
    placed = ordered.with_columns(session=session)
    bars = (placed if inside.all() else placed.filter(inside)).select(*BAR_COLUMNS).rechunk()
    return AssembledBars(bars, _report(bars, placed.filter(~inside), repeated, sessions))


def _merge(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    parts = [
        frame if frame.schema == _RAW else _conformed(frame, number) for number, frame in enumerate(frames, start=1)
    ]
    if len(parts) == 1:
        return parts[0].rechunk()
    return pl.concat(parts, rechunk=True) if parts else pl.DataFrame(schema=_RAW)


def _conformed(frame: pl.DataFrame, number: int) -> pl.DataFrame:
    """``frame`` with source_file and in the right order of columns; refused where more is wrong."""
    where = _files(frame) or f"frame {number}"
    try:
        require_columns(frame, RAW_COLUMNS, "m1_raw", where=where, optional=["source_file"])
    except ContractViolation as error:
        hint = _volume_hint(frame) if frame.schema.get("Volume") not in (None, pl.Int64) else ""
        raise BarsRefused(f"{error}{hint}", contract=error.contract, rule=error.rule, details=error.details) from None
    if "source_file" not in frame.columns:
        frame = frame.with_columns(source_file=pl.lit(None, pl.String))
    return frame.select(*RAW_COLUMNS)


def _files(frame: pl.DataFrame) -> str:
    if frame.schema.get("source_file") != pl.String or frame.is_empty():
        return ""
    return ", ".join(frame["source_file"].unique(maintain_order=True).drop_nulls().head(3).to_list())


def _volume_hint(frame: pl.DataFrame) -> str:
    if not frame.schema["Volume"].is_float():
        return ""
    return (
        ": volumes add up as integers; the source must deliver whole units, a fractional volume (crypto) "
        "in its smallest unit"
    )


def _refuse_nulls(merged: pl.DataFrame, calendar: SessionCalendar) -> None:
    named = [name for name in RAW_COLUMNS if name != "source_file"]
    if any(merged[name].null_count() for name in named):
        rows = merged.filter(pl.any_horizontal(pl.col(named).is_null()))
        raise _refusal("null", "no figure may be missing", rows, calendar)


def _deduplicate(merged: pl.DataFrame, calendar: SessionCalendar) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows by Symbol and Timestamp without repetitions, and the repetitions."""
    ordered, looks = merged, _looks(merged)
    if looks["falls"].any():
        # sources are sorted as a rule, and looking costs a tenth of sorting
        ordered = merged.sort("Symbol", "Timestamp")
        looks = _looks(ordered)
    repeated = looks["repeated"]
    if not repeated.any():
        return ordered, ordered.clear()
    differs = pl.any_horizontal(pl.col(c) != pl.col(c).shift() for c in _FIGURES)
    if ordered.select((differs & repeated).any()).item():
        keys = ordered.filter(repeated & ordered.select(differs.fill_null(False)).to_series())
        rows = ordered.join(keys.select("Symbol", "Timestamp").unique(), on=["Symbol", "Timestamp"], how="semi")
        says = "a minute came more than once with different figures; which one is right is not guessed"
        raise _refusal("conflicting_duplicates", says, rows, calendar, ConflictingDuplicates)
    return ordered.filter(~repeated), ordered.filter(repeated)


def _looks(rows: pl.DataFrame) -> pl.DataFrame:
    """Per row: whether its key falls behind the one before (falls), or is the same (repeated)."""
    symbol, instant = pl.col("Symbol"), pl.col("Timestamp")
    same, step = symbol == symbol.shift(), instant.to_physical() - instant.to_physical().shift()
    return rows.select(
        falls=((symbol < symbol.shift()) | (same & (step < 0))).fill_null(False),
        repeated=(same & (step == 0)).fill_null(False),
    )


def _check(ordered: pl.DataFrame, repeated: pl.DataFrame, calendar: SessionCalendar) -> None:
    if _is_sound(ordered):
        return
    rules = [ON_GRID, *bar_rules()]
    kept = ordered.select(rule.holds.all().alias(rule.name) for rule in rules).row(0)
    for rule, is_kept in zip(rules, kept, strict=True):
        if not is_kept:
            # with the repetitions, so that every file that has the wrong row is named
            rows = pl.concat([ordered, repeated]).filter(~rule.holds)
            raise _refusal(rule.name, rule.says, rows, calendar)


def _is_sound(rows: pl.DataFrame) -> bool:
    """All the rules at once, on arrays: NaN fails every comparison."""
    opens, high, low, close = (rows[name].to_numpy() for name in PRICES)
    return bool(
        (low > 0).all()
        and (high < np.inf).all()
        and (low <= opens).all()
        and (low <= close).all()
        and (high >= opens).all()
        and (high >= close).all()
        and (rows["Volume"].to_numpy() >= 0).all()
        and (rows["Timestamp"].to_physical().to_numpy() % _MINUTE == 0).all()
    )


def _refusal(
    code: str,
    says: str,
    rows: pl.DataFrame,
    calendar: SessionCalendar,
    kind: type[BarsRefused] = BarsRefused,
) -> BarsRefused:
    rows = rows.unique().sort("Symbol", "Timestamp", *_FIGURES, "source_file")
    zone = str(calendar.timezone)
    local = pl.col("Timestamp").dt.convert_time_zone(zone).dt.strftime("%Y-%m-%d %H:%M:%S")
    shown = rows.select("source_file", "Symbol", "Timestamp", local.alias(zone), *_FIGURES)
    if shown["source_file"].null_count() == shown.height:
        shown = shown.drop("source_file")
    error = violation("m1_bars", code, says, rows=shown, kind=kind)
    assert isinstance(error, BarsRefused)
    error.rows = rows
    return error


def _report(
    bars: pl.DataFrame, outside: pl.DataFrame, repeated: pl.DataFrame, calendar: SessionCalendar
) -> pl.DataFrame:
    outside = outside.with_columns(session=calendar.belongs_to(outside["Timestamp"]))
    repeated = repeated.with_columns(session=calendar.belongs_to(repeated["Timestamp"]))
    present, expected = pl.col("minutes_present"), pl.col("minutes_expected")
    counted = pl.concat(
        [
            _runs(bars).rename({"rows": "minutes_present"}),
            _runs(outside).select("Symbol", "session", rows_outside_session="rows"),
            _runs(repeated).select("Symbol", "session", exact_duplicates="rows"),
        ],
        how="diagonal",
    )
    schedule = calendar.frame_of(counted["session"]).select("session", minutes_expected="minutes")
    return (
        counted.group_by("Symbol", "session")
        .agg(
            pl.col("minutes_present", "rows_outside_session", "exact_duplicates").sum(),
            pl.col("first_minute").min(),
            pl.col("last_minute").max(),
        )
        .join(schedule, on="session", how="left")
        .with_columns(expected.fill_null(0))
        .with_columns(
            rows_in=pl.sum_horizontal("exact_duplicates", "rows_outside_session", "minutes_present"),
            coverage=pl.when(expected > 0).then(present / expected),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in REPORT_SCHEMA.items())
        .sort("Symbol", "session")
    )


def _runs(rows: pl.DataFrame) -> pl.DataFrame:
    """Length, first and last minute of each run of equal (Symbol, session) in sorted rows."""
    key = ("Symbol", "session")
    changes = pl.any_horizontal(pl.col(c) != pl.col(c).shift() for c in key).fill_null(True)
    first = rows.select(changes.arg_true()).to_series().cast(pl.Int64)
    after = pl.concat([first.slice(1), pl.Series([rows.height], dtype=pl.Int64).head(len(first))])
    return pl.DataFrame(
        {
            **{name: rows[name].gather(first) for name in key},
            "rows": after - first,
            "first_minute": rows["Timestamp"].gather(first),
            "last_minute": rows["Timestamp"].gather(after - 1),
        }
    )
