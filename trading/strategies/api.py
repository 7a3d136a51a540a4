"""What a strategy is: a pure function of bars and validated parameters, with a name and an identity."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar, cast

import polars as pl

from trading.contracts import BAR_COLUMNS, require_columns, sorted_unique, violation
from trading.instruments import Instrument
from trading.strategies.contracts import SIGNAL_COLUMNS, check_signals
from trading.strategies.indicators import bar_number
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
                incomplete ones out beforehand.
            params: a mapping, or the strategy's parameter model; None takes the defaults.
            instruments: by Symbol, for tick sizes and calendars; a Symbol without one gets the defaults.

        Returns:
            Symbol, Timestamp, long_entry, short_entry, sl_long, sl_short, tp_long, tp_short (Float64, null =
            absent), then ``meta_`` columns; at most one row per bar, sorted by Symbol, Timestamp. A signal
            at a bar is known at its close.

        Raises:
            ConfigError: wrong parameters.
            ContractViolation: wrong bars, or a strategy that broke the contract ``signals``.
        """
        checked = self.read_params(params)
        where = f"strategy {self.name}"
        _check_bars(bars, where)
        frame = self.compute(bars, checked, instruments)
        silent = self.silent_bars(checked)
        if silent > 0 and frame.height:
            keys = bars.select("Symbol", "Timestamp").filter(pl.Series(bar_number(bars) < silent))
            frame = frame.join(keys, on=["Symbol", "Timestamp"], how="anti")
        require_columns(frame, SIGNAL_COLUMNS, "signals", where=where, extra=True)
        meta = [name for name in frame.columns if name not in SIGNAL_COLUMNS]
        return check_signals(frame.select(*SIGNAL_COLUMNS, *meta).sort("Symbol", "Timestamp"), bars, where=where)


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
