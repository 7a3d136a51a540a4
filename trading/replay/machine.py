"""A run's state around the kernel: set up, drive, answer its questions. Shared by replay() and Book."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trading.instruments import Instrument
from trading.replay import state
from trading.replay.config import ReplayConfig
from trading.replay.contracts import BarArrays, Floats, Ints, SignalArrays
from trading.replay.exact import ExactLedger, nearest_level
from trading.sizing import FixedSizing, KellySizing, PctOfEquitySizing, RiskSizing, quantity
from trading.ticks import exact


@dataclass(frozen=True)
class Curve:
    """Per distinct timestamp: int64 microseconds, realised equity, unrealised pnl at Close; currency."""

    ts: Ints
    realised: Floats
    unrealised: Floats


def new_run(config: ReplayConfig) -> Any:
    """The one-record array of a run that has not begun."""
    run = np.zeros(1, dtype=state.RUN)
    r = run[0]
    r["slip"] = config.costs.slippage_bps / 10_000
    r["fee"] = config.costs.fees_bps / 10_000
    r["leverage"] = config.max_leverage
    r["exit_at_session_end"] = config.exit_at_session_end
    r["max_hold"] = config.max_hold_sessions or 0
    r["valid_sessions"] = config.valid_sessions
    r["cash"] = config.initial_cash
    r["cash_error"] = 1e-15 * config.initial_cash
    r["kelly_at"] = -1
    sizing = config.sizing
    r["sizing_equity"] = np.nan if sizing.equity is None else sizing.equity
    if isinstance(sizing, PctOfEquitySizing):
        r["sizing"], r["pct"] = state.PCT, sizing.pos_pct
    elif isinstance(sizing, RiskSizing):
        r["sizing"], r["pct"], r["max_pos_pct"] = state.RISK, sizing.risk_pct, sizing.max_pos_pct
    elif isinstance(sizing, KellySizing):
        r["sizing"], r["max_pos_pct"] = state.KELLY, sizing.max_pos_pct
        r["kelly_lookback"], r["kelly_min_trades"] = sizing.lookback, sizing.min_trades
        r["kelly_fraction"] = sizing.fraction
        r["kelly_min_pct"], r["kelly_max_pct"] = sizing.min_pct, sizing.max_pct
    return run


def new_symbols(instruments: Sequence[Instrument]) -> Any:
    """Symbol records, flat, in the order of ``instruments``."""
    sym = np.zeros(len(instruments), dtype=state.SYMBOL)
    for record, instrument in zip(sym, instruments, strict=True):
        lot = exact(instrument.lot_size)
        record["lot_num"], record["lot_den"] = lot.numerator, lot.denominator
        record["min_qty"] = instrument.min_qty
    return sym


@dataclass
class Machine:
    """State of a run; ``symbols``, ``instruments``, ``sym``, ``doing`` are in ascending order of Symbol."""

    config: ReplayConfig
    symbols: list[str]
    instruments: list[Instrument]
    ledger: ExactLedger
    run: Any
    sym: Any
    doing: npt.NDArray[np.uint8]
    absorbed: int = 0

    @classmethod
    def start(cls, config: ReplayConfig, symbols: list[str], instruments: list[Instrument]) -> "Machine":
        return cls(
            config,
            symbols,
            instruments,
            ExactLedger.start(config),
            new_run(config),
            new_symbols(instruments),
            np.zeros(len(symbols), dtype=np.uint8),
        )

    def presize(self, levels: Floats, owner: Ints) -> Floats | None:
        """(m, 2) quantities where sizing depends on nothing that happens in the run, else None."""
        from trading.replay import kernel

        sizing = self.config.sizing
        if not isinstance(sizing, FixedSizing) and (sizing.equity is None or isinstance(sizing, KellySizing)):
            return None
        sized = np.zeros((len(levels), 2))
        if isinstance(sizing, FixedSizing):
            least = self.sym["min_qty"][owner]
            for side in range(2):
                present = ~np.isnan(levels[:, 3 * side])
                sized[:, side] = np.where(present & (sizing.qty >= least), sizing.qty, 0.0)
            return sized
        r = self.run[0]
        kernel.presize(
            int(r["sizing"]),
            float(r["sizing_equity"]),
            float(r["pct"]),
            float(r["max_pos_pct"]),
            levels,
            owner,
            self.sym,
            sized,
        )
        known: dict[tuple[float, float, int], float] = {}
        for k, side in np.argwhere(sized < 0).tolist():
            entry, stop, who = float(levels[k, 3 * side]), float(levels[k, 3 * side + 1]), int(owner[k])
            if (entry, stop, who) not in known:
                known[entry, stop, who] = quantity(
                    sizing, entry=entry, stop=stop, equity=0, instrument=self.instruments[who]
                )
            sized[k, side] = known[entry, stop, who]
        return sized

    def advance(self, bars: BarArrays, index: Ints, signals: SignalArrays | None, *, curve: bool) -> tuple[Any, Curve]:
        """Run through all ``bars``.

        Args:
            index: which of ``self.symbols`` each of ``bars.symbols`` is.
            signals: with ``owner`` indexing ``self.symbols``.

        Returns:
            The log of this call (records of ``state.EVENT``) and the curve (empty unless asked for).
        """
        from trading.replay import kernel

        n = len(self.symbols)
        clock = np.full(n, state.NEVER, dtype=np.int64)
        cursor = np.zeros(n, dtype=np.int64)
        next_signal = np.full(n, state.NEVER, dtype=np.int64)
        cursor[index] = bars.start[:-1]
        clock[index] = bars.ts[bars.start[:-1]]
        self.sym["end"][index] = bars.start[1:]
        if signals is None:
            signals = SignalArrays(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 6)))
        m = len(signals.row)
        self.sym["signal"] = np.searchsorted(signals.owner, np.arange(n), "left")
        self.sym["signal_end"] = np.searchsorted(signals.owner, np.arange(n), "right")
        has = np.flatnonzero(self.sym["signal"] < self.sym["signal_end"])
        next_signal[has] = signals.row[self.sym["signal"][has]]
        sized = self.presize(signals.levels, signals.owner)
        if sized is not None:
            self.run[0]["sizing"] = state.PRESIZED
        room = 2 * (m + n)
        events = np.zeros(room, dtype=state.EVENT)
        length = len(bars.ts) if curve else 0
        points = Curve(np.empty(length, np.int64), np.empty(length), np.empty(length))
        r = self.run[0]
        r["events"] = r["curve"] = r["phase"] = 0
        self.absorbed = 0
        here = np.empty(n, dtype=np.int64)
        qty = np.empty((0, 2)) if sized is None else sized
        while True:
            question = kernel.run(
                bars.ts, bars.open, bars.high, bars.low, bars.close, bars.last, bars.session,
                signals.row, signals.levels, qty, self.sym, self.doing, clock, cursor, next_signal, here,
                self.run, events, points.ts, points.realised, points.unrealised,
            )  # fmt: skip
            if question == state.DONE:
                break
            self._answer(question, events, bars, signals)
        size = int(r["curve"])
        return events, Curve(points.ts[:size], points.realised[:size], points.unrealised[:size])

    def catch_up(self, events: Any) -> None:
        """Book the log so far in the exact ledger."""
        upto = int(self.run[0]["events"])
        self.ledger.absorb(events[self.absorbed : upto], self.symbols)
        self.absorbed = upto

    def _answer(self, question: int, events: Any, bars: BarArrays, signals: SignalArrays) -> None:
        r = self.run[0]
        who = int(r["ask_symbol"])
        y, instrument = self.sym[who], self.instruments[who]
        if question == state.ASK_NEAREST:
            open_ = float(bars.open[int(r["ask_row"])])
            r["nearest"] = nearest_level(open_, float(y["p_long"]), float(y["p_short"]))
            r["nearest_known"] = 1
            return
        self.catch_up(events)
        if question == state.ASK_AFFORDABLE:
            wanted = float(y["p_long_qty"] if r["ask_side"] > 0 else y["p_short_qty"])
            r["affordable"] = self.ledger.affordable(wanted, float(r["ask_price"]), instrument)
            r["affordable_known"] = 1
            return
        levels = signals.levels[int(r["ask_signal"])]
        for name, entry, stop in (("size_long", levels[0], levels[1]), ("size_short", levels[3], levels[4])):
            absent = np.isnan(entry)
            r[name] = 0.0 if absent else self.ledger.quantity(float(entry), float(stop), instrument)
        r["size_known"] = 1
