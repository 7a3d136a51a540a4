"""M1 into M5, M15, H1, D1 and any whole number of minutes, on windows that a session's open anchors."""

import datetime as dt
import re
from typing import Any, Literal

import numpy as np
import polars as pl

from trading.bars.errors import BarsRefused
from trading.contracts import BAR_COLUMNS, require_columns, violation
from trading.errors import ConfigError, ContractViolation
from trading.sessions import SessionCalendar, get_calendar

Policy = Literal["complete_only", "keep"]

Array = np.ndarray[Any, np.dtype[Any]]

_MINUTE = 60_000_000  # microseconds
_LONGEST = 1_000_000  # minutes: longer than any session, so that a day is one window
_DAY = dt.timedelta(days=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_OUTSIDE = "only minutes of a regular session can be resampled; assemble_m1 cuts them"

RESAMPLED_SCHEMA = pl.Schema({**BAR_COLUMNS, "minutes": pl.Int32, "complete": pl.Boolean})


def timeframe_minutes(timeframe: str) -> int | None:
    """Window length in minutes; None for ``1d``, whose window is the session.

    Raises:
        ConfigError: not ``<n>m``, ``<n>h`` or ``1d``.
    """
    if timeframe == "1d":
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})([mh])", timeframe)
    if match is None:
        raise ConfigError(f"timeframe {timeframe!r} is unknown; it must be like 5m, 15m, 1h or 1d")
    return int(match[1]) * (60 if match[2] == "h" else 1)


def resample(
    m1: pl.DataFrame, timeframe: str, calendar: str = "XNYS", policy: Policy = "complete_only"
) -> pl.DataFrame:
    """Bars of ``timeframe`` from regular-session minutes.

    Windows start at ``open + k * n`` and never cross a session; the last one of a session may be short. A
    window without a minute gives no bar: nothing is filled forward.

    Args:
        m1: as :func:`trading.bars.assemble_m1` returns them; ``session`` may be absent. Rows in any order.
        timeframe: ``5m``, ``15m``, ``1h``, ``1d`` or any whole number of minutes or hours.
        calendar: of all the Symbols given.
        policy: ``complete_only`` leaves out windows with a missing minute, ``keep`` keeps and flags them.

    Returns:
        Symbol, Timestamp (start of the window; for 1d the session's open), Open, High, Low, Close, Volume
        (Int64, exact sum), session, minutes (Int32, M1 bars in it), complete (minutes equals the window's
        length); sorted by Symbol, Timestamp.

    Raises:
        BarsRefused: wrong columns; ``outside_session``, ``off_grid``, ``session_mismatch`` or
            ``sorted_unique`` (a minute twice).
        ConfigError: unknown timeframe, policy or calendar.
    """
    length = timeframe_minutes(timeframe)
    if policy not in ("complete_only", "keep"):
        raise ConfigError(f"policy {policy!r} is unknown; it must be complete_only or keep")
    try:
        require_columns(m1, BAR_COLUMNS, "m1_bars", where="resample", optional=["session"])
    except ContractViolation as error:
        raise BarsRefused(str(error), contract=error.contract, rule=error.rule) from None
    if m1.is_empty():
        return pl.DataFrame(schema=RESAMPLED_SCHEMA)
    if m1.select(pl.any_horizontal(pl.all().is_null().any())).item():
        rows = m1.filter(pl.any_horizontal(pl.all().is_null()))
        raise _refused("null", "no figure may be missing", rows)
    bars = _aggregate(_sorted(m1), length, get_calendar(calendar))
    return bars.filter("complete") if policy == "complete_only" else bars


def _sorted(m1: pl.DataFrame) -> pl.DataFrame:
    symbol, instant = pl.col("Symbol"), pl.col("Timestamp")
    same = symbol == symbol.shift()
    falls = ((symbol < symbol.shift()) | (same & (instant < instant.shift()))).any()
    frame = m1.sort("Symbol", "Timestamp") if m1.select(falls).item() else m1
    repeats = frame.select((same & (instant == instant.shift())).fill_null(False)).to_series()
    if repeats.any():
        raise _refused("sorted_unique", "every Symbol and minute must come once", frame.filter(repeats))
    return frame


def _aggregate(m1: pl.DataFrame, length: int | None, calendar: SessionCalendar) -> pl.DataFrame:
    """Folds runs of equal (Symbol, window) in sorted rows: one pass, no hashing.

    The first row of each run gives the open, the last the close; reduceat gives high, low and volume.
    """
    stamps: Array = m1["Timestamp"].dt.epoch("us").to_numpy()
    schedule = calendar.frame(_date(stamps.min()) - _DAY, _date(stamps.max()) + _DAY)
    slot, offset = _place(m1, stamps, schedule)
    step = length or _LONGEST
    window = offset // step
    starts = np.empty(m1.height, dtype=bool)
    starts[0] = True
    starts[1:] = (slot[1:] != slot[:-1]) | (window[1:] != window[:-1])
    starts[1:] |= m1.select(pl.col("Symbol") != pl.col("Symbol").shift()).to_series()[1:].to_numpy()
    first = np.flatnonzero(starts)
    last = np.append(first[1:], m1.height) - 1
    at, k = slot[first], window[first].astype(np.int64)
    minutes = (last - first + 1).astype(np.int32)
    window_length = np.minimum(step, schedule["minutes"].to_numpy()[at] - k * step)
    opens = schedule["open"].dt.epoch("us").to_numpy()[at]
    return pl.DataFrame(
        {
            "Symbol": m1["Symbol"].gather(first),
            "Timestamp": pl.Series(opens + k * step * _MINUTE).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            "Open": m1["Open"].gather(first),
            "High": np.maximum.reduceat(m1["High"].to_numpy(), first),
            "Low": np.minimum.reduceat(m1["Low"].to_numpy(), first),
            "Close": m1["Close"].gather(last),
            "Volume": np.add.reduceat(m1["Volume"].to_numpy(), first),
            "session": schedule["session"].gather(at),
            "minutes": minutes,
            "complete": minutes == window_length,
        },
        schema=RESAMPLED_SCHEMA,
    )


def _place(m1: pl.DataFrame, stamps: Array, schedule: pl.DataFrame) -> tuple[Array, Array]:
    """Row of ``schedule`` and minutes since its open, for every row; refuses rows that have no place."""
    if schedule.is_empty():
        raise _refused("outside_session", _OUTSIDE, m1)
    opens, closes = (schedule[name].dt.epoch("us").to_numpy() for name in ("open", "close"))
    slot = np.searchsorted(opens, stamps, side="right").astype(np.int32) - np.int32(1)
    outside = (slot < 0) | (stamps >= closes[slot])
    if outside.any():
        raise _refused("outside_session", _OUTSIDE, m1.filter(outside))
    since_open = stamps - opens[slot]
    off_grid = since_open % _MINUTE != 0
    if off_grid.any():
        raise _refused("off_grid", "Timestamp must be a whole minute", m1.filter(off_grid))
    if "session" in m1.columns:
        wrong = m1["session"].to_numpy() != schedule["session"].to_numpy()[slot]
        if wrong.any():
            raise _refused("session_mismatch", "session must be the calendar's of that minute", m1.filter(wrong))
    return slot, (since_open // _MINUTE).astype(np.int32)


def _date(micros: int) -> dt.date:
    return (_EPOCH + dt.timedelta(microseconds=int(micros))).date()


def _refused(code: str, says: str, rows: pl.DataFrame) -> BarsRefused:
    error = violation("m1_bars", code, says, rows=rows, where="resample", kind=BarsRefused)
    assert isinstance(error, BarsRefused)
    error.rows = rows
    return error
