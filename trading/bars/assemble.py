"""Source minutes of any order and overlap into the regular session's M1 bars."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import polars as pl

from trading.bars.errors import BarsRefused, ConflictingDuplicates
from trading.contracts import (
    BAR_COLUMNS,
    INSTANT,
    ON_GRID,
    PRICES,
    RAW_COLUMNS,
    Rule,
    bar_rules,
    require_columns,
    violation,
)
from trading.errors import ContractViolation
from trading.sessions import SessionCalendar, get_calendar

_FIGURES = (*PRICES, "Volume")

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
    ordered = merged.sort("Symbol", "Timestamp")
    unique, duplicates = _deduplicate(ordered, sessions)
    _check(unique, sessions)
    placed = sessions.with_session(unique).with_columns(date=sessions.trading_date(pl.col("Timestamp")))
    bars = placed.filter(pl.col("session").is_not_null()).select(*BAR_COLUMNS).rechunk()
    return AssembledBars(bars, _report(placed, duplicates, sessions))


def _merge(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    parts = []
    for number, frame in enumerate(frames, start=1):
        where = _files(frame) or f"frame {number}"
        try:
            require_columns(frame, RAW_COLUMNS, "m1_raw", where=where, optional=["source_file"])
        except ContractViolation as error:
            hint = _volume_hint(frame) if frame.schema.get("Volume") not in (None, pl.Int64) else ""
            raise BarsRefused(
                f"{error}{hint}", contract=error.contract, rule=error.rule, details=error.details
            ) from None
        if "source_file" not in frame.columns:
            frame = frame.with_columns(source_file=pl.lit(None, pl.String))
        parts.append(frame.select(*RAW_COLUMNS))
    return pl.concat(parts) if parts else pl.DataFrame(schema=dict(RAW_COLUMNS))


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


def _deduplicate(ordered: pl.DataFrame, calendar: SessionCalendar) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows without repetitions, and the repetitions; rows come sorted, so that equal keys are neighbours."""
    first = pl.int_range(pl.len()) == 0
    same_key = ~first & pl.all_horizontal(*(pl.col(c).eq_missing(pl.col(c).shift()) for c in ("Symbol", "Timestamp")))
    same_figures = pl.all_horizontal(*(pl.col(c).eq_missing(pl.col(c).shift()) for c in _FIGURES))
    flags = ordered.select(repeated=same_key, conflict=same_key & ~same_figures)
    if flags["conflict"].any():
        keys = ordered.filter(flags["conflict"]).select("Symbol", "Timestamp").unique()
        rows = ordered.join(keys, on=["Symbol", "Timestamp"], how="semi")
        rows = rows.unique().sort("Symbol", "Timestamp", *_FIGURES, "source_file")
        says = "a minute came more than once with different figures; which one is right is not guessed"
        raise _refusal("conflicting_duplicates", says, rows, calendar, ConflictingDuplicates)
    return ordered.filter(~flags["repeated"]), ordered.filter(flags["repeated"])


def _check(frame: pl.DataFrame, calendar: SessionCalendar) -> None:
    whole = pl.all_horizontal(*(pl.col(c).is_not_null() for c in ("Symbol", "Timestamp", *_FIGURES)))
    rules = [Rule("null", whole, "no figure may be missing"), ON_GRID, *bar_rules()]
    broken = frame.select((~rule.holds.fill_null(True)).any().alias(rule.name) for rule in rules).row(0)
    for rule, is_broken in zip(rules, broken, strict=True):
        if is_broken:
            raise _refusal(rule.name, rule.says, frame.filter(~rule.holds.fill_null(True)), calendar)


def _refusal(
    code: str,
    says: str,
    rows: pl.DataFrame,
    calendar: SessionCalendar,
    kind: type[BarsRefused] = BarsRefused,
) -> BarsRefused:
    zone = str(calendar.timezone)
    local = pl.col("Timestamp").dt.convert_time_zone(zone).dt.strftime("%Y-%m-%d %H:%M:%S")
    shown = rows.select("source_file", "Symbol", "Timestamp", local.alias(zone), *_FIGURES)
    if shown["source_file"].null_count() == shown.height:
        shown = shown.drop("source_file")
    error = violation("m1_bars", code, says, rows=shown, kind=kind)
    assert isinstance(error, BarsRefused)
    error.rows = rows
    return error


def _report(placed: pl.DataFrame, duplicates: pl.DataFrame, calendar: SessionCalendar) -> pl.DataFrame:
    key = ["Symbol", "session"]
    inside = pl.col("session").is_not_null()
    kept = (
        placed.group_by("Symbol", session=pl.coalesce("session", "date"))
        .agg(
            rows_outside_session=(~inside).sum().cast(pl.Int64),
            minutes_present=inside.sum().cast(pl.Int32),
            first_minute=pl.col("Timestamp").filter(inside).min(),
            last_minute=pl.col("Timestamp").filter(inside).max(),
        )
        .sort(key)
    )
    repeated = (
        calendar.with_session(duplicates)
        .with_columns(date=calendar.trading_date(pl.col("Timestamp")))
        .group_by("Symbol", session=pl.coalesce("session", "date"))
        .agg(exact_duplicates=pl.len().cast(pl.Int64))
    )
    if kept.is_empty():
        return pl.DataFrame(schema=dict(REPORT_SCHEMA))
    days = kept["session"]
    schedule = calendar.frame_of(days).select("session", minutes_expected="minutes")
    present, expected = pl.col("minutes_present"), pl.col("minutes_expected")
    return (
        kept.join(repeated, on=key, how="left")
        .join(schedule, on="session", how="left")
        .with_columns(pl.col("exact_duplicates", "minutes_expected").fill_null(0))
        .with_columns(
            rows_in=pl.col("exact_duplicates") + pl.col("rows_outside_session") + present,
            coverage=pl.when(expected > 0).then(present / expected),
        )
        .select(*REPORT_SCHEMA)
        .sort(key)
    )
