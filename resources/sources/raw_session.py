"""One session of a source as it is handed over, and what is told about files that had a part in it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from resources.sources.errors import SourceFileRefused
from resources.sources.file_content import FileContent
from resources.sources.layout import BarFile
from trading.contracts import RAW_COLUMNS
from trading.ports.sources import RawSession, SourceSkip, Step
from trading.sessions import SessionCalendar


@dataclass(frozen=True)
class Found:
    """What one file has of a session.

    Attributes:
        file: whose.
        content: None where the file is refused.
        refusal: why it is.
        start: the file's row, by date, with which the session begins.
        rows: how many.
    """

    file: BarFile
    content: FileContent | None
    refusal: SourceFileRefused | None
    start: int = 0
    rows: int = 0


Parts = list[tuple[Found, pl.DataFrame]]
"""Rows of one session by file."""


def raw_session(
    session: dt.date, exchange: SessionCalendar, step: Step, parts: Parts, skips: Sequence[SourceSkip]
) -> RawSession:
    """Put the rows of all files together, in the order of ``parts``; on a holiday they are only counted."""
    parts = [(one, rows) for one, rows in parts if rows.height]
    if not exchange.is_session(session):
        reason = f"{session} is no session of {exchange.name}"
        rows = sum(rows.height for _, rows in parts)
        skips, parts = [*skips, SourceSkip("not_a_session", "", None, session, rows, reason)], []
    if not parts:
        return RawSession(session, pl.DataFrame(schema=dict(RAW_COLUMNS)), {}, tuple(skips))
    files = [(one.file, one.content) for one, _ in parts if one.content is not None]
    import numpy as np  # here, as loading the code location must not wait for it

    whose = np.repeat(np.arange(len(parts)), [rows.height for _, rows in parts])
    symbols = pl.Series("Symbol", [file.symbol for file, _ in files])
    names = pl.Series("source_file", [file.shown for file, _ in files])
    frame = pl.concat([rows for _, rows in parts], rechunk=True).with_columns(symbols[whose], names[whose])
    if step == "1d":
        frame = frame.with_columns(Timestamp=pl.lit(exchange.open(session), RAW_COLUMNS["Timestamp"]))
    return RawSession(
        session,
        frame.select(*RAW_COLUMNS),
        {file.shown: content.digest for file, content in files},
        tuple(skips),
        {file.shown: content.arrived for file, content in files},
    )


def notes(found: Found, session: dt.date) -> list[SourceSkip]:
    """What stands out in a file that was looked at for ``session``."""
    file, told = found.file, []
    if found.content is not None and found.content.rows == 0 and file.day in (None, session):
        told.append(empty(file))
    if file.day is not None and file.day != session and found.rows:
        reason = f"rows of {session} are in the file of {file.day}; taken by their own date"
        told.append(SourceSkip("date_disagrees", file.shown, file.symbol, session, found.rows, reason))
    return told


def empty(file: BarFile) -> SourceSkip:
    reason = "the file has columns but not a single row"
    return SourceSkip("empty_file", file.shown, file.symbol, file.day, 0, reason)


def holiday(file: BarFile, day: dt.date, rows: int, exchange: SessionCalendar) -> SourceSkip:
    reason = f"{day} is no session of {exchange.name}; its rows are left out"
    return SourceSkip("not_a_session", file.shown, file.symbol, day, rows, reason)
