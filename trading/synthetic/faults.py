"""What the synthetic market does to its own minutes, and the table that lists it."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from trading.sessions import SessionCalendar

FAULT_SCHEMA = pl.Schema(
    {"kind": pl.String, "Symbol": pl.String, "session": pl.Date, "count": pl.Int32, "detail": pl.String}
)


@dataclass(frozen=True)
class Injection:
    """A wrong row put into one Symbol and session on request.

    ``bad_bar``: High below Close; ``conflicting_duplicate``: a minute twice with different figures;
    ``off_grid``: a Timestamp 30 s after the minute; ``bad_price``: a Low of 0.
    """

    kind: Literal["bad_bar", "conflicting_duplicate", "off_grid", "bad_price"]
    symbol: str
    session: dt.date


@dataclass(frozen=True)
class Fault:
    """One entry of the table; ``symbol`` None concerns the whole market, ``minutes`` count from the open."""

    kind: str
    symbol: str | None
    session: dt.date
    minutes: tuple[int, ...] = ()
    detail: str = ""


def plan(
    rng: np.random.Generator, symbols: list[str], schedule: pl.DataFrame, calendar: SessionCalendar
) -> list[Fault]:
    """Faults of a whole market: the calendar's own (early closes, clock changes) and drawn ones.

    Drawn: two halts (a run of 12 to 25 missing minutes), single missing minutes, exact duplicates, and one
        4:1
    split. None takes coverage below 0.92, so that a market without injections is clean but for what it lists.
    """
    days = schedule["session"].to_list()
    whole = int(schedule["minutes"].to_numpy().max())
    faults = _calendar_events(schedule, calendar, whole)
    regular = [d for d, m in zip(days, schedule["minutes"].to_list(), strict=True) if m == whole]
    used: set[tuple[str, dt.date]] = set()

    def draw() -> tuple[str, dt.date]:
        while True:
            cell = symbols[int(rng.integers(len(symbols)))], regular[int(rng.integers(len(regular)))]
            if cell not in used:
                used.add(cell)
                return cell

    cells = len(symbols) * len(regular)
    for _ in range(min(2, cells // 4)):
        symbol, day = draw()
        start, length = int(rng.integers(30, whole - 60)), int(rng.integers(12, 26))
        detail = f"no trade for {length} minutes from minute {start} of the session"
        faults.append(Fault("halt", symbol, day, tuple(range(start, start + length)), detail))
    for _ in range(min(4 * len(symbols), cells // 4)):
        symbol, day = draw()
        gone = np.sort(rng.choice(np.arange(1, whole - 1), size=int(rng.integers(1, 5)), replace=False))
        minutes = tuple(int(m) for m in gone)
        detail = "no row for minutes " + ", ".join(map(str, minutes)) + " of the session"
        faults.append(Fault("missing_minutes", symbol, day, minutes, detail))
    for _ in range(min(max(3, len(symbols) // 2), cells // 4)):
        symbol, day = draw()
        twice = np.sort(rng.choice(np.arange(whole), size=int(rng.integers(1, 6)), replace=False))
        faults.append(Fault("exact_duplicates", symbol, day, tuple(int(m) for m in twice), "rows sent twice"))
    if len(days) >= 3:
        day = days[int(len(days) * 0.6)]
        symbol = symbols[min(3, len(symbols) - 1)]
        faults.append(Fault("split", symbol, day, (), "4:1, raw prices before and after"))
    return faults


def _calendar_events(schedule: pl.DataFrame, calendar: SessionCalendar, whole: int) -> list[Fault]:
    events: list[Fault] = []
    before: dt.timedelta | None = None
    for day, start, minutes in schedule.select("session", "open", "minutes").iter_rows():
        offset = start.astimezone(calendar.timezone).utcoffset()
        if before is not None and offset != before:
            detail = f"first session at UTC{start.astimezone(calendar.timezone):%z}"
            events.append(Fault("clock_change", None, day, (), detail))
        if minutes < whole:
            events.append(Fault("early_close", None, day, (), f"{minutes} of {whole} minutes"))
        before = offset
    return events


def fault_table(faults: list[Fault], injections: list[Injection]) -> pl.DataFrame:
    """One row per fault, sorted by session, Symbol, kind; ``count`` is minutes or rows concerned."""
    rows = [(f.kind, f.symbol, f.session, len(f.minutes), f.detail) for f in faults]
    rows += [(i.kind, i.symbol, i.session, 1, "injected on request") for i in injections]
    table = pl.DataFrame(rows, schema=FAULT_SCHEMA, orient="row")
    return table.sort("session", "Symbol", "kind", nulls_last=False)


def inject(frame: pl.DataFrame, injection: Injection, minute: dt.datetime) -> pl.DataFrame:
    """``frame`` (Timestamp and figures of one Symbol) with the wrong row at ``minute``."""
    at = pl.col("Timestamp") == minute
    if injection.kind == "bad_bar":
        return frame.with_columns(High=pl.when(at).then(pl.col("Close") - 0.01).otherwise("High"))
    if injection.kind == "bad_price":
        return frame.with_columns(Low=pl.when(at).then(0.0).otherwise("Low"))
    if injection.kind == "off_grid":
        late = pl.col("Timestamp").dt.offset_by("30s")
        return frame.with_columns(Timestamp=pl.when(at).then(late).otherwise("Timestamp"))
    other = frame.filter(at).with_columns(pl.col("Volume") + 100)
    return pl.concat([frame, other]).sort("Timestamp", maintain_order=True)
