"""Breakouts of an inside bar: within a session on M5, and from session to session on D1.

A mother bar is followed by a bar that stays inside it; a stop entry waits on either side. The rules that
both share are in :func:`_inside_setups`, and what makes two bars neighbours is each strategy's own.

Only what gives a setup counts towards ``max_setups_per_window``: an inside bar in the warm-up, under the
``min_mother_atr`` filter or without a side left does not.
"""

import datetime as dt
from typing import Annotated, Literal

import numpy as np
import polars as pl
from pydantic import Field

from trading.sessions import get_calendar
from trading.strategies.api import Instruments, Strategy
from trading.strategies.contracts import LEVELS
from trading.strategies.indicators import Array, at_least, average_true_range, bar_number
from trading.strategies.levels import clean, instrument_of, longest_stop, with_targets
from trading.strategies.params import AtrPeriod, NotNegative, Params, Positive, WindowParams

_FIVE_MINUTES = dt.timedelta(minutes=5)


class InsideBarParams(Params):
    """What both inside-bar strategies take.

    Args:
        strict: inside means strictly inside on both ends; default inclusive.
        atr_period: bars of the average true range.
        min_mother_atr: least range of the mother bar, in average true ranges at the mother bar; 0.0 = off.
        entry_level: whose High and Low the entries wait at.
        max_stop_ticks: longest stop distance, in ticks of the instrument; None = no cap.
        risk_reward: distance of the target, in stop distances.
    """

    strict: bool = False
    atr_period: AtrPeriod = 14
    min_mother_atr: NotNegative = 0.0
    entry_level: Literal["mother_bar", "inside_bar"] = "mother_bar"
    max_stop_ticks: Annotated[int, Field(ge=1)] | None = None
    risk_reward: Positive = 2.0


class InsideBarIntradayParams(InsideBarParams, WindowParams):
    """See :class:`InsideBarParams` and :class:`trading.strategies.params.WindowParams`.

    Args:
        max_setups_per_window: the first so many inside bars of a Symbol's window that can be traded give a
            setup.
    """

    max_setups_per_window: Annotated[int, Field(ge=1)] = 1


class InsideBarBreakoutParams(InsideBarParams):
    """See :class:`InsideBarParams`.

    Args:
        valid_sessions: sessions after its own that a setup lives to the end of; the replay and the orders
            carry it out.
    """

    valid_sessions: Annotated[int, Field(ge=0)] = 1


class InsideBarIntraday(Strategy[InsideBarIntradayParams]):
    """Inside bars on M5, mother and inside bar adjacent in one session and one local-time window."""

    name = "insidebar_intraday"
    short_name = "IB"
    timeframes = ("5m",)
    parameters = InsideBarIntradayParams
    source_modules = (
        "trading.strategies.indicators",
        "trading.strategies.levels",
        "trading.strategies.params",
    )

    def warmup(self, params: InsideBarIntradayParams) -> int:
        return params.atr_period

    def compute(
        self, bars: pl.DataFrame, params: InsideBarIntradayParams, instruments: Instruments | None
    ) -> pl.DataFrame:
        windowed = bars.with_columns(window=_window(params))
        adjacent = (
            (pl.col("Timestamp") - pl.col("Timestamp").shift() == _FIVE_MINUTES)
            & (pl.col("session") == pl.col("session").shift())
            & (pl.col("window") == pl.col("window").shift())
        )
        setups = _inside_setups(windowed, adjacent, params, instruments, keep=("session", "window"))
        first = pl.int_range(pl.len()).over("Symbol", "session", "window") < params.max_setups_per_window
        return setups.filter(first).drop("session", "window")


class InsideBarBreakout(Strategy[InsideBarBreakoutParams]):
    """Inside bars on D1, mother and inside bar on consecutive sessions of the instrument's calendar."""

    name = "insidebar_breakout"
    short_name = "IB D1"
    timeframes = ("1d",)
    parameters = InsideBarBreakoutParams
    source_modules = InsideBarIntraday.source_modules

    def warmup(self, params: InsideBarBreakoutParams) -> int:
        """One bar more than the ATR: the mother of a session's inside bar is a session earlier, and the oldest
        true range of its own ATR needs the Close before.
        """
        return params.atr_period + 1

    def silent_bars(self, params: InsideBarBreakoutParams) -> int:
        return params.atr_period

    def compute(
        self, bars: pl.DataFrame, params: InsideBarBreakoutParams, instruments: Instruments | None
    ) -> pl.DataFrame:
        numbers = pl.Series("number", _session_numbers(bars, instruments), dtype=pl.Int64)
        numbered = bars.with_columns(numbers)
        adjacent = pl.col("number") - pl.col("number").shift() == 1
        return _inside_setups(numbered, adjacent, params, instruments)


def _inside_setups(
    bars: pl.DataFrame,
    adjacent: pl.Expr,
    params: InsideBarParams,
    instruments: Instruments | None,
    keep: tuple[str, ...] = (),
) -> pl.DataFrame:
    """Every setup on an inside bar whose mother is ``adjacent``: the signal columns and ``keep``."""
    col = pl.col
    atr = average_true_range(bars, params.atr_period)
    number = pl.Series(bar_number(bars))
    high, low = col("mother_high"), col("mother_low")
    inside = (col("High") < high) & (col("Low") > low) if params.strict else (col("High") <= high) & (col("Low") >= low)
    filtered = at_least(high - low, params.min_mother_atr * col("mother_atr"))
    setups = (
        bars.select(
            "Symbol",
            "Timestamp",
            "High",
            "Low",
            *keep,
            mother_high=col("High").shift(),
            mother_low=col("Low").shift(),
            mother_atr=pl.Series(atr).shift(),
            meta_atr=pl.Series(atr),
            # past the warm-up, so that the row before is of the same Symbol and has its ATR
            eligible=adjacent & (pl.lit(number) >= params.atr_period),
        )
        .filter("eligible")
        .filter(inside & filtered)
    )
    mother_bar = params.entry_level == "mother_bar"
    setups = setups.with_columns(
        long_entry=high if mother_bar else col("High"),
        short_entry=low if mother_bar else col("Low"),
        sl_long=low,
        sl_short=high,
    )
    if params.max_stop_ticks is not None:
        longest = longest_stop(setups, params.max_stop_ticks, instruments)
        setups = setups.with_columns(
            sl_long=pl.max_horizontal("sl_long", clean(col("long_entry") - longest, col("long_entry"))),
            sl_short=pl.min_horizontal("sl_short", clean(col("short_entry") + longest, col("short_entry"))),
        )
    return with_targets(setups, params.risk_reward).select(
        "Symbol",
        "Timestamp",
        *keep,
        *LEVELS,
        meta_mother_high=high,
        meta_mother_low=low,
        meta_atr=col("meta_atr"),
    )


def _window(params: WindowParams) -> pl.Expr:
    """Number of the window that holds a bar's start (Int32), null outside of all; 0 where the session is
    one window.
    """
    windows = params.windows()
    if not windows:
        return pl.lit(0, pl.Int32)
    local = pl.col("Timestamp").dt.convert_time_zone(params.session_zone)
    minute = local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute().cast(pl.Int32)
    number = pl.lit(None, pl.Int32)
    for i, (start, end) in enumerate(windows):
        number = pl.when((minute >= start) & (minute < end)).then(pl.lit(i, pl.Int32)).otherwise(number)
    return number


def _session_numbers(bars: pl.DataFrame, instruments: Instruments | None) -> Array:
    """Number of each bar's session in its Symbol's calendar, consecutive sessions one apart.

    A date that is no session gets a number of its own that is next to none.
    """
    result = np.zeros(bars.height, dtype=np.int64)
    if bars.is_empty():
        return result
    days = bars["session"].to_numpy().astype("datetime64[D]")
    symbols = bars["Symbol"].unique().to_list()
    names = {symbol: instrument_of(symbol, instruments).calendar for symbol in symbols}
    for name in sorted(set(names.values())):
        here = bars["Symbol"].is_in([s for s in symbols if names[s] == name]).to_numpy()
        first, last = days[here].min().item(), days[here].max().item()
        sessions = get_calendar(name).frame(first, last)["session"].to_numpy().astype("datetime64[D]")
        at = np.searchsorted(sessions, days[here])
        known = np.isin(days[here], sessions)
        # a holiday's bar lies before every session by an even, far number
        result[here] = np.where(known, at, -(10**9) - 2 * np.arange(len(at)))
    return result
