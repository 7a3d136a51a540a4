"""M1 into M5, M15, H1, D1 and any whole number of minutes, on windows that a session's open anchors."""

import re
from collections.abc import Iterable
from typing import Literal

import polars as pl

from trading.bars.errors import BarsRefused
from trading.bars.windows import fold, in_order, refused
from trading.contracts import BAR_COLUMNS, INSTANT, require_columns
from trading.errors import ConfigError, ContractViolation
from trading.sessions import get_calendar

Policy = Literal["complete_only", "keep"]

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
    m1: pl.DataFrame,
    timeframe: str,
    calendar: str = "XNYS",
    policy: Policy = "complete_only",
    *,
    source_timeframe: str = "1m",
) -> pl.DataFrame:
    """Bars of ``timeframe`` from regular-session minutes, or from shorter bars that were made of them.

    Windows start at ``open + k * n`` and never cross a session; the last one of a session may be short. A
    window without a minute gives no bar: nothing is filled forward. Where a session has a break, a window's
    length counts its trading minutes only.

    Shorter bars give exactly what the minutes would give, as long as none was left out: make them with policy
    ``keep``. One that was left out is a window with missing minutes.

    Args:
        m1: as :func:`trading.bars.assemble_m1` returns them; ``session`` may be absent. Rows in any order.
            With ``source_timeframe``: as this function returns them.
        timeframe: ``5m``, ``15m``, ``1h``, ``1d`` or any whole number of minutes or hours.
        calendar: of all the Symbols given.
        policy: ``complete_only`` leaves out windows with a missing minute, ``keep`` keeps and flags them.
        source_timeframe: of the bars given; ``timeframe`` is a whole multiple of it.

    Returns:
        Symbol, Timestamp (start of the window; for 1d the session's open), Open, High, Low, Close, Volume
        (Int64, exact sum), session, minutes (Int32, M1 bars in it), complete (minutes equals the window's
        length); sorted by Symbol, Timestamp.

    Raises:
        BarsRefused: wrong columns; ``outside_session``, ``off_grid``, ``session_mismatch`` or
            ``sorted_unique`` (a minute twice).
        ConfigError: unknown timeframe, policy or calendar; timeframes that do not divide.
    """
    length, source = timeframe_minutes(timeframe), timeframe_minutes(source_timeframe)
    if source is None or (length is not None and length % source):
        raise ConfigError(f"{timeframe} bars cannot be made of {source_timeframe} bars; it must be a whole multiple")
    if policy not in ("complete_only", "keep"):
        raise ConfigError(f"policy {policy!r} is unknown; it must be complete_only or keep")
    columns = BAR_COLUMNS if source == 1 else RESAMPLED_SCHEMA
    optional = [] if source == 1 else ["complete"]
    try:
        require_columns(m1, columns, "m1_bars", where="resample", optional=["session", *optional])
    except ContractViolation as error:
        raise BarsRefused(str(error), contract=error.contract, rule=error.rule) from None
    if m1.is_empty():
        return pl.DataFrame(schema=RESAMPLED_SCHEMA)
    if any(column.null_count() for column in m1):
        rows = m1.filter(pl.any_horizontal(pl.all().is_null()))
        raise refused("null", "no figure may be missing", rows)
    bars = _aggregate(m1, length, source, calendar)
    return bars.filter("complete") if policy == "complete_only" else bars


def resample_each(m1: pl.DataFrame, timeframes: Iterable[str], calendar: str = "XNYS") -> dict[str, pl.DataFrame]:
    """:func:`resample` under policy ``keep`` into several timeframes.

    Each is made from the longest of the shorter ones that divides it: the result is the same, and the minutes are
    gone through once.
    """
    made: dict[str, pl.DataFrame] = {}
    for timeframe in sorted(set(timeframes), key=_length):
        source = next((done for done in reversed(made) if _divides(done, timeframe)), None)
        bars, of = (m1, "1m") if source is None else (made[source], source)
        made[timeframe] = resample(bars, timeframe, calendar, "keep", source_timeframe=of)
    return made


def _length(timeframe: str) -> float:
    minutes = timeframe_minutes(timeframe)
    return float("inf") if minutes is None else minutes


def _divides(shorter: str, longer: str) -> bool:
    part, whole = timeframe_minutes(shorter), timeframe_minutes(longer)
    return part is not None and (whole is None or whole % part == 0)


def _aggregate(m1: pl.DataFrame, length: int | None, source: int, calendar: str) -> pl.DataFrame:
    m1, changes = in_order(m1)
    windows = fold(m1, changes, length, source, get_calendar(calendar))
    return pl.DataFrame(
        {
            "Symbol": m1["Symbol"].gather(windows.first),
            "Timestamp": pl.Series(windows.start).cast(INSTANT),
            "Open": windows.open,
            "High": windows.high,
            "Low": windows.low,
            "Close": windows.close,
            "Volume": windows.volume,
            "session": pl.Series(windows.session).cast(pl.Date),
            "minutes": windows.minutes,
            "complete": windows.complete,
        },
        schema=RESAMPLED_SCHEMA,
    )
