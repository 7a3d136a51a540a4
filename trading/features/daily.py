"""Daily figures per Symbol that are known before a session's open: average range and volume, rate of change."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from trading.contracts import Rule, register, require_columns, sorted_unique, table, violation
from trading.errors import DataError
from trading.sessions import SessionCalendar, get_calendar

if TYPE_CHECKING:
    from pandera.polars import DataFrameSchema

FEATURES_SCHEMA: Mapping[str, Any] = MappingProxyType(
    {
        "Symbol": pl.String,
        "session": pl.Date,
        "history": pl.Int32,
        "last_close": pl.Float64,
        "atr": pl.Float64,
        "roc": pl.Float64,
        "avg_volume": pl.Float64,
        "avg_dollar_volume": pl.Float64,
    }
)
FIGURES = ("last_close", "atr", "roc", "avg_volume", "avg_dollar_volume")

_DAILY: Mapping[str, Any] = {
    "Symbol": pl.String,
    "High": pl.Float64,
    "Low": pl.Float64,
    "Close": pl.Float64,
    "Volume": pl.Int64,
    "session": pl.Date,
}


class LookAheadError(DataError):
    """Data of the session itself, or later, was given where only the past may be used."""


class FeatureWindows(BaseModel):
    """How many sessions before the one decided each figure is taken over.

    Args:
        atr: sessions whose true ranges are averaged.
        roc: the close of the session before over the one this many sessions earlier.
        volume: sessions whose volumes are averaged.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    atr: int = Field(14, ge=1)
    roc: int = Field(20, ge=1)
    volume: int = Field(20, ge=1)

    @property
    def reach(self) -> int:
        """Sessions before the one decided that have to be given: a range and a change look one further back."""
        return max(self.volume, self.roc + 1, self.atr + 1)


def daily_features(
    d1_bars_before: pl.DataFrame,
    symbols: Sequence[str],
    session: dt.date,
    windows: FeatureWindows | None = None,
    *,
    calendar: str = "XNYS",
) -> pl.DataFrame:
    """Figures of each Symbol as they stand before ``session`` opens.

    Sessions are counted on the calendar: a Symbol that lacks a bar of one of them has no figure over that window, so
    that one which stopped trading does not qualify with old bars.

    Args:
        d1_bars_before: daily bars, at least Symbol, High, Low, Close, Volume, session, all of sessions before
            ``session``, adjusted as of ``session`` where there are corporate actions; no columns at all where there is
            no history.
        symbols: whose figures are wanted.
        session: a session of ``calendar``.
        windows: default :class:`FeatureWindows`.
        calendar: of the Symbols.

    Returns:
        One row per Symbol, sorted, with the columns of ``FEATURES_SCHEMA``: history counts the daily bars given; atr is
        the mean true range (Wilder 1978) in price units; roc a share (0.05 = 5 %); avg_volume in units; avg_dollar_volume
        the mean of Close times Volume, in currency. Null with too little history.

    Raises:
        LookAheadError: a bar of ``session`` or later.
        DataError: ``session`` is none, a wrong column, a bar twice.
    """
    from trading.strategies.indicators import true_range

    windows = windows or FeatureWindows()
    exchange = get_calendar(calendar)
    if not exchange.is_session(session):
        raise DataError(f"features: {session} is no session of {exchange.name}")
    daily = _checked(d1_bars_before, session).sort("Symbol", "session")
    before = _sessions_before(session, windows.reach, exchange)
    at_last, at_base = (
        pl.col("Close").filter(pl.col("session") == day).first() for day in (before[0], before[windows.roc])
    )
    # cut first, so that the same bars give the same bits whatever came before them
    reached = daily.filter(pl.col("session") >= before[-1])
    figures = (
        reached.with_columns(true_range=pl.Series(true_range(reached), dtype=pl.Float64))
        .group_by("Symbol")
        .agg(
            last_close=at_last,
            atr=_mean_over(pl.col("true_range"), before[: windows.atr]),
            roc=at_last / at_base - 1.0,
            avg_volume=_mean_over(pl.col("Volume"), before[: windows.volume]),
            avg_dollar_volume=_mean_over(pl.col("Close") * pl.col("Volume"), before[: windows.volume]),
        )
    )
    wanted = pl.DataFrame({"Symbol": sorted(set(symbols))}, schema={"Symbol": pl.String})
    return (
        wanted.join(daily.group_by("Symbol").len("history"), on="Symbol", how="left", maintain_order="left")
        .join(figures, on="Symbol", how="left", maintain_order="left")
        .with_columns(pl.col("history").fill_null(0), session=pl.lit(session, pl.Date))
        .select(pl.col(name).cast(dtype) for name, dtype in FEATURES_SCHEMA.items())
    )


def _checked(frame: pl.DataFrame, session: dt.date) -> pl.DataFrame:
    if not frame.width:
        return pl.DataFrame(schema=dict(_DAILY))
    require_columns(frame, _DAILY, "bars", where="features", extra=True)
    ahead = frame.filter(pl.col("session") >= session)
    if ahead.height:
        latest = ahead["session"].sort()[-1]
        raise LookAheadError(
            f"features of {session}: {ahead.height} daily bars are of that session or later, up to {latest}; "
            "only earlier sessions are known at its open"
        )
    daily = frame.select(*_DAILY)
    twice = daily.filter(daily.select("Symbol", "session").is_duplicated())
    if twice.height:
        says = "a Symbol has one daily bar per session"
        raise violation("bars", "sorted_unique", says, rows=twice, where=f"features of {session}")
    return daily


def _sessions_before(session: dt.date, count: int, exchange: SessionCalendar) -> list[dt.date]:
    """Newest first."""
    before = [exchange.previous(session)]
    while len(before) < count:
        before.append(exchange.previous(before[-1]))
    return before


def _mean_over(figure: pl.Expr, sessions: Iterable[dt.date]) -> pl.Expr:
    """Null where a session has no bar."""
    window = list(sessions)
    inside = pl.col("session").is_in(window)
    return pl.when(inside.sum() == len(window)).then(figure.filter(inside).mean())


def _contract() -> "DataFrameSchema":
    positive = Rule(
        "figures_possible",
        pl.all_horizontal(pl.col(name).is_null() | (pl.col(name) >= 0) for name in FIGURES if name != "roc"),
        "prices, ranges and volumes cannot be negative",
    )
    return table("daily_features", FEATURES_SCHEMA, rules=[positive, sorted_unique("Symbol")], nullable=FIGURES)


register("daily_features", _contract)
