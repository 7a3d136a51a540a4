"""Runs over the same bars, one after the other in the same arrays: what a sweep's thread does."""

from typing import Any, Protocol

import numpy as np

from trading.instruments import Instrument
from trading.replay import state
from trading.replay.config import ReplayConfig
from trading.replay.engine import Run, new_curve
from trading.replay.machine import Machine, new_log, new_queue, new_run, new_symbols
from trading.replay.market import Bars, Floats, Ints, SignalArrays


class Runs(Protocol):
    """Runs over bars that have been read.

    Attributes:
        signals: of the next run; the caller fills them in.
    """

    signals: SignalArrays

    def run(self, config: ReplayConfig, equity: Floats, figures: Floats) -> Machine:
        """One run: equity at the ends of sessions and figures into the given rows; the machine lasts until the next run."""


def new_runs(bars: Bars, instruments: list[Instrument], most: int, ends: Ints, per_year: int) -> Runs:
    """Runs of up to ``most`` signals.

    Args:
        ends: index of each session's last timestamp in the grid.
        per_year: sessions per year, which annualise the Sharpe ratio.
    """
    if len(bars.symbols) == 1:
        return SingleSymbolRuns(bars, instruments, most, per_year)
    return SharedCashRuns(bars, instruments, most, ends, per_year)


def _room(bars: Bars, most: int) -> SignalArrays:
    return SignalArrays(np.empty(most, np.int64), np.empty((most, 6)), np.zeros(len(bars.symbols) + 1, np.int64))


class SharedCashRuns:
    """Of any number of Symbols, by the queue of their events."""

    def __init__(self, bars: Bars, instruments: list[Instrument], most: int, ends: Ints, per_year: int) -> None:
        self.bars, self.instruments, self.ends, self.per_year = bars, instruments, ends, per_year
        points, symbols = len(bars.market.grid), len(bars.symbols)
        self.signals = _room(bars, most)
        self._log = new_log(most + symbols)
        self._queue = new_queue(points, symbols)
        self._curve = new_curve(points, most + symbols)
        self._config: ReplayConfig | None = None
        self._records: Any = None

    def run(self, config: ReplayConfig, equity: Floats, figures: Floats) -> Machine:
        from trading.replay import kernel

        if config is not self._config:
            self._config, self._records = config, (new_run(config), new_symbols(self.instruments, config))
        run = Run(self.bars, self.instruments, self.signals, config, self._queue, self._log, self._curve, self._records)
        run.equity_at(self.ends, equity)
        run.figures(equity, self.per_year, figures)
        kernel.clear(self._curve, run.spans)
        return run.machine


class SingleSymbolRuns:
    """Of one Symbol, which need neither queue nor curve."""

    def __init__(self, bars: Bars, instruments: list[Instrument], most: int, per_year: int) -> None:
        from trading.replay.single_symbol import TALLY

        self.bars, self.instruments, self.per_year = bars, instruments, per_year
        self.signals = _room(bars, most)
        self._log = new_log(most + 1)
        self._tally = np.zeros(1, TALLY)
        self._config: ReplayConfig | None = None
        self._records: Any = None

    def run(self, config: ReplayConfig, equity: Floats, figures: Floats) -> Machine:
        from trading.replay import single_symbol
        from trading.replay.figures import sum_up

        if config is not self._config:
            first = Machine.start(config, self.bars.symbols, self.instruments)
            first.place(self.bars, np.zeros(1, np.int64))
            self._config, self._records = config, (first.run, first.sym)
        machine = Machine.start(config, self.bars.symbols, self.instruments, self._records)
        machine.new_call(self._log)
        machine.sym["signal"], machine.sym["signal_end"] = self.signals.first
        self._tally[0] = (config.initial_cash, 0.0, 0)
        market, signals = self.bars.market, self.signals
        while True:
            question = single_symbol.play(
                market, signals.row, signals.levels, machine.sym, machine.doing, machine.run, self._log, self._tally,
                equity,
            )  # fmt: skip
            if question == state.DONE:
                break
            machine.answer(question, market, signals)
        machine.settle()
        sum_up(
            self._log, int(machine.run[0]["closed"]), equity, config.initial_cash, machine.cash,
            self._tally[0]["worst"], len(self.bars.ts), self.per_year, figures,
        )  # fmt: skip
        return machine
