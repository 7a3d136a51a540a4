"""Runs over the same bars, one after the other in the same arrays: what a sweep's thread does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from trading.instruments import Instrument
from trading.replay import state
from trading.replay.config import ReplayConfig
from trading.replay.engine import Run, new_curve
from trading.replay.exact import ExactLedger
from trading.replay.machine import Machine, new_log, new_queue, new_run, new_symbols
from trading.replay.market import Bars, Floats, Ints, SignalArrays, SignalReader


@dataclass(frozen=True)
class Sets:
    """What is to be run, and where its outcome goes.

    Attributes:
        reader: the signals of all n sets, in order of their set.
        edges: (n + 1,), where the rows of each begin.
        configs: one a set.
        ends: (m,), index of each session's last timestamp in the grid.
        per_year: sessions per year, which annualise the Sharpe ratio.
        equity: out: (n, m), at the ends of sessions.
        figures: out: (n, FIGURES).
    """

    bars: Bars
    instruments: list[Instrument]
    reader: SignalReader
    edges: Ints
    configs: Sequence[ReplayConfig]
    ends: Ints
    per_year: int
    equity: Floats
    figures: Floats

    @property
    def most(self) -> int:
        """Signals of the set that has most of them."""
        return max((end - begin for begin, end in pairwise(self.edges.tolist())), default=0)


class Runs(Protocol):
    """One thread's runs.

    Attributes:
        absent: levels that were absent in the signals so far.
    """

    @property
    def absent(self) -> int: ...

    def go_through(self, begin: int, end: int, then: Callable[[int, Machine], None] | None = None) -> bool:
        """Run the sets [begin, end); False once the signals of one are not good.

        Args:
            then: called with each set and its machine, whose log lasts until the next run.
        """


def new_runs(sets: Sets) -> Runs:
    """Of the kind that is fastest for these bars."""
    return SingleSymbolRuns(sets) if len(sets.bars.symbols) == 1 else SharedCashRuns(sets)


class SharedCashRuns:
    """Of any number of Symbols, by the queue of their events."""

    def __init__(self, sets: Sets) -> None:
        from trading.replay import passes

        self._sets = sets
        points, symbols, most = len(sets.bars.market.grid), len(sets.bars.symbols), sets.most
        self._signals = SignalArrays(np.empty(most, np.int64), np.empty((most, 6)), np.zeros(symbols + 1, np.int64))
        self._nans = np.zeros(1, np.int64)
        self._seen = passes.new_seen(most, len(sets.bars.symbols))
        self._log = new_log(most + symbols)
        self._queue = new_queue(points, symbols)
        self._curve = new_curve(points, most + symbols)

    @property
    def absent(self) -> int:
        return int(self._nans[0])

    def go_through(self, begin: int, end: int, then: Callable[[int, Machine], None] | None = None) -> bool:
        from trading.replay import passes
        from trading.replay.curve import clear

        sets, signals = self._sets, self._signals
        last, records = None, None
        for i in range(begin, end):
            rows = int(sets.edges[i]), int(sets.edges[i + 1])
            outcome = sets.reader.read(*rows, signals.row, signals.levels, signals.first, self._nans, self._seen)
            if outcome != passes.GOOD:
                return False
            config = sets.configs[i]
            if config is not last:
                last, records = config, (new_run(config), new_symbols(sets.instruments, config))
            run = Run(sets.bars, sets.instruments, signals, config, self._queue, self._log, self._curve, records)
            run.equity_at(sets.ends, sets.equity[i])
            run.figures(sets.equity[i], sets.per_year, sets.figures[i])
            clear(self._curve, run.spans)
            if then is not None:
                then(i, run.machine)
        return True


class SingleSymbolRuns:
    """Of one Symbol, which need neither queue nor curve, nor Python between two sets."""

    def __init__(self, sets: Sets) -> None:
        from trading.replay import passes
        from trading.replay.single_symbol import TALLY

        self._sets = sets
        most = sets.most
        self._signals = SignalArrays(np.empty(most, np.int64), np.empty((most, 6)), np.zeros(2, np.int64))
        self._nans = np.zeros(1, np.int64)
        self._seen = passes.new_seen(most, len(sets.bars.symbols))
        self._log = new_log(most + 1)
        self._tally = np.zeros(1, TALLY)
        self._settings = self._of_configs()

    @property
    def absent(self) -> int:
        return int(self._nans[0])

    def _of_configs(self) -> tuple[Any, Any, Ints]:
        """Records of the runs and Symbols of each distinct config, and which of them each set has."""
        sets = self._sets
        known: dict[int, int] = {}
        which = np.array([known.setdefault(id(config), len(known)) for config in sets.configs], np.int64)
        runs, symbols = np.zeros(len(known), state.RUN), np.zeros(len(known), state.SYMBOL)
        for k, first in enumerate(np.unique(which, return_index=True)[1].tolist()):
            machine = Machine.start(sets.configs[first], sets.bars.symbols, sets.instruments)
            machine.new_call(self._log)
            machine.place(sets.bars, np.zeros(1, np.int64))
            runs[k], symbols[k] = machine.run[0], machine.sym[0]
        return runs, symbols, which

    def go_through(self, begin: int, end: int, then: Callable[[int, Machine], None] | None = None) -> bool:
        sets, tally = self._sets, self._tally[0]
        machine = Machine.start(ReplayConfig(), sets.bars.symbols, sets.instruments)
        machine.log = self._log
        tally["set"] = begin
        for stop in range(begin + 1, end + 1) if then is not None else (end,):
            if not self._go_to(stop, machine):
                return False
            if then is not None:
                then(stop - 1, machine)
        return True

    def _go_to(self, end: int, machine: Machine) -> bool:
        from trading.replay import passes, single_symbol

        sets, signals, tally = self._sets, self._signals, self._tally[0]
        reader, market = sets.reader, sets.bars.market
        source = reader.owner, reader.times, reader.columns, sets.bars.ts, sets.bars.start, sets.bars.twin, reader.ticks
        room = signals.row, signals.levels, signals.first, self._nans, self._seen
        asked = -1  # the set that the machine's ledger is of
        while True:
            why = single_symbol.play_sets(
                market, source, self._settings, sets.edges, room, machine.sym, machine.doing, machine.run, self._log,
                self._tally, sets.equity, sets.figures, float(sets.per_year), end,
            )  # fmt: skip
            if why == state.DONE:
                return True
            i = int(tally["set"])
            machine.config = sets.configs[i]
            if why == single_symbol.NOT_READ:
                rows = int(sets.edges[i]), int(sets.edges[i + 1])
                if reader.settle(int(tally["outcome"]), *rows, signals.levels) != passes.GOOD:
                    return False
            elif why == single_symbol.SIGNS:
                machine.settle()
            else:
                if asked != i:
                    machine.ledger, machine.absorbed = ExactLedger.start(machine.config), 0
                    asked = i
                machine.answer(why, market, signals)
