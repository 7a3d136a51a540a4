"""What a strategy is: a pure function of bars and validated parameters, with a name and an identity."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar, cast

import polars as pl

from trading.contracts import BAR_COLUMNS, require_columns, sorted_unique, violation
from trading.instruments import Instrument
from trading.sessions import get_calendar
from trading.strategies.contracts import SIGNAL_COLUMNS, check_signals
from trading.strategies.indicators import bar_number
from trading.strategies.levels import instrument_of
from trading.strategies.params import Params

P = TypeVar("P", bound=Params)

Instruments = Mapping[str, Instrument]


class Strategy(ABC, Generic[P]):
    """Base of the strategies; a subclass declares the class variables and writes :meth:`warmup` and
    :meth:`compute`.

    Attributes:
        name: under which it is registered.
        short_name: for labels, e.g. ``IB``.
        timeframes: that it reads, its own first.
        parameters: its parameter model.
        source_modules: modules besides the class's own and those of its bases that decide its signals; they
            are part of its identity.
    """

    name: ClassVar[str]
    short_name: ClassVar[str]
    timeframes: ClassVar[tuple[str, ...]]
    parameters: ClassVar[type[Params]]
    source_modules: ClassVar[tuple[str, ...]] = ()

    def read_params(self, params: Mapping[str, Any] | Params | None = None) -> P:
        """``params`` validated by the strategy's model; None gives the defaults. ConfigError says what is
        wrong.
        """
        return cast(P, self.parameters.read(params or {}, where=f"strategy {self.name}"))

    @abstractmethod
    def warmup(self, params: P) -> int:
        """Bars of a Symbol needed before a session so that its signals equal those made over all history."""

    def silent_bars(self, params: P) -> int:
        """First bars of a Symbol's history that give no signal; the warm-up unless a strategy needs fewer."""
        return self.warmup(params)

    @abstractmethod
    def compute(self, bars: pl.DataFrame, params: P, instruments: Instruments | None) -> pl.DataFrame:
        """The signals of :meth:`signals` before the warm-up is dropped; columnar, no loop over bars."""

    def signals(
        self,
        bars: pl.DataFrame,
        params: Mapping[str, Any] | Params | None = None,
        instruments: Instruments | None = None,
    ) -> pl.DataFrame:
        """The signal frame over ``bars``.

        Args:
            bars: Symbol, Timestamp, Open, High, Low, Close, Volume, session and any more columns; one
                timeframe, sorted by Symbol and Timestamp, each once. All rows count as bars: leave
                incomplete ones out beforehand. Without ``session`` it is the session of each Symbol's calendar
                that holds the Timestamp.
            params: a mapping, or the strategy's parameter model; None takes the defaults.
            instruments: by Symbol, for tick sizes and calendars; a Symbol without one gets the defaults.

        Returns:
            Symbol, Timestamp, long_entry, short_entry, sl_long, sl_short, tp_long, tp_short (Float64, null =
            absent), then ``meta_`` columns; at most one row per bar, sorted by Symbol, Timestamp. A signal
            at a bar is known at its close.

        Raises:
            ConfigError: wrong parameters.
            ContractViolation: wrong bars, bars without ``session`` that lie in none, or a strategy that broke the
                contract ``signals``.
        """
        checked = self.read_params(params)
        where = f"strategy {self.name}"
        bars = with_session(bars, instruments, where=where)
        _check_bars(bars, where)
        return check_signals(self.unchecked(bars, checked, instruments), bars, where=where)

    def unchecked(self, bars: pl.DataFrame, params: P, instruments: Instruments | None) -> pl.DataFrame:
        """:meth:`signals` of good bars with ``session`` and read parameters, without looking at what comes out: for
        those who ask for them a hundred times over.
        """
        frame = self.compute(bars, params, instruments)
        silent = self.silent_bars(params)
        if silent > 0 and frame.height:
            keys = bars.select("Symbol", "Timestamp").filter(pl.Series(bar_number(bars) < silent))
            frame = frame.join(keys, on=["Symbol", "Timestamp"], how="anti")
        require_columns(frame, SIGNAL_COLUMNS, "signals", where=f"strategy {self.name}", extra=True)
        meta = [name for name in frame.columns if name not in SIGNAL_COLUMNS]
        return frame.select(*SIGNAL_COLUMNS, *meta).sort("Symbol", "Timestamp")


def with_session(bars: pl.DataFrame, instruments: Instruments | None = None, *, where: str = "") -> pl.DataFrame:
    """``bars`` with ``session``: where the column is absent, the session of each Symbol's calendar that holds the bar.

    Raises:
        ContractViolation: a column of another name or dtype, or a bar that lies in no session.
    """
    if any(name.lower() == "session" for name in bars.columns):
        return bars
    others = {name: dtype for name, dtype in BAR_COLUMNS.items() if name != "session"}
    require_columns(bars, others, "bars", where=where, extra=True)
    by_calendar: dict[str, list[str]] = {}
    for symbol in bars["Symbol"].drop_nulls().unique():
        by_calendar.setdefault(instrument_of(symbol, instruments).calendar, []).append(symbol)
    found = bars.with_columns(session=pl.lit(None, pl.Date))
    for calendar, symbols in by_calendar.items():
        own, days = pl.col("Symbol").is_in(symbols), get_calendar(calendar).session_of(bars["Timestamp"])
        found = found.with_columns(session=pl.when(own).then(days).otherwise("session"))
        outside = found.filter(own & pl.col("session").is_null())
        if outside.height:
            says = f"a bar lies in no session of {calendar}; give the column session (Date), or leave such bars out"
            raise violation("bars", "outside_session", says, rows=outside.drop("session"), where=where)
    return found


def _check_bars(bars: pl.DataFrame, where: str) -> None:
    require_columns(bars, BAR_COLUMNS, "bars", where=where, extra=True)
    for name in BAR_COLUMNS:
        if bars[name].null_count():
            rows = bars.filter(pl.col(name).is_null())
            raise violation("bars", "null", f"column {name} must not be null", rows=rows, where=where)
    rule = sorted_unique("Symbol", "Timestamp")
    holds = bars.select(rule.holds.fill_null(True)).to_series()
    if not holds.all():
        raise violation("bars", rule.name, rule.says, rows=bars.filter(~holds), where=where)
