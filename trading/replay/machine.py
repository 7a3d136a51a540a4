"""A run's state around the kernel: set up, drive, answer its questions. Shared by replay(), its sweep, and Book."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from trading.instruments import Instrument
from trading.replay import state
from trading.replay.config import ReplayConfig
from trading.replay.exact import ExactLedger, exact_pnl, nearest_level
from trading.replay.market import Bars, Ints, SignalArrays, read_only
from trading.replay.memory import arrays
from trading.replay.threads import edges_by_rows, even_edges, in_parts
from trading.sizing import FixedSizing, KellySizing, PctOfEquitySizing, RiskSizing
from trading.ticks import exact

_WHOLE = 2**53


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
    if isinstance(sizing, FixedSizing):
        r["sizing"], r["fixed_qty"] = state.FIXED, sizing.qty
    elif isinstance(sizing, PctOfEquitySizing):
        r["sizing"], r["pct"] = state.PCT, sizing.pos_pct
    elif isinstance(sizing, RiskSizing):
        r["sizing"], r["pct"], r["max_pos_pct"] = state.RISK, sizing.risk_pct, sizing.max_pos_pct
    elif isinstance(sizing, KellySizing):
        r["sizing"], r["max_pos_pct"] = state.KELLY, sizing.max_pos_pct
        r["kelly_lookback"], r["kelly_min_trades"] = sizing.lookback, sizing.min_trades
        r["kelly_fraction"] = sizing.fraction
        r["kelly_min_pct"], r["kelly_max_pct"] = sizing.min_pct, sizing.max_pct
    return run


def new_symbols(instruments: Sequence[Instrument], config: ReplayConfig) -> Any:
    """Symbol records, flat, in the order of ``instruments``."""
    sym = np.zeros(len(instruments), dtype=state.SYMBOL)
    sizing = config.sizing
    equity = exact(config.initial_cash if sizing.equity is None else sizing.equity)
    risk = exact(sizing.risk_pct) if isinstance(sizing, RiskSizing) else Fraction(0)
    cap = Fraction(0)
    if isinstance(sizing, PctOfEquitySizing):
        cap = exact(sizing.pos_pct)
    elif isinstance(sizing, RiskSizing | KellySizing):
        cap = exact(sizing.max_pos_pct)
    of_grid: dict[tuple[float, float], tuple[Any, ...]] = {}
    for record, instrument in zip(sym, instruments, strict=True):
        grid = instrument.lot_size, instrument.tick_size
        if grid not in of_grid:
            lot, tick = map(exact, grid)
            risk_lots, cap_lots = (_whole(equity * pct / 100 / lot / tick) for pct in (risk, cap))
            of_grid[grid] = (*lot.as_integer_ratio(), *tick.as_integer_ratio(), *risk_lots, *cap_lots)
        (
            record["lot_num"], record["lot_den"], record["tick_num"], record["tick_den"],
            record["risk_num"], record["risk_den"], record["cap_num"], record["cap_den"],
        ) = of_grid[grid]  # fmt: skip
        record["min_qty"] = instrument.min_qty
    return sym


def _whole(ratio: Fraction) -> tuple[int, int]:
    num, den = ratio.as_integer_ratio()
    return (num, den) if num < _WHOLE and den < _WHOLE else (0, 0)


def new_log(room: int) -> state.Log:
    """A log with room for as many closed trades, and as many dropped setups."""
    whole, money, drops, order = arrays(((9, room), "i8"), ((8, room), "f8"), ((6, room), "i8"), (3 * room, "u1"))
    return state.Log(whole, money, drops, order)


def new_queue(timestamps: int, symbols: int) -> state.Queue:
    return state.Queue(
        np.zeros(timestamps // 64 + 1, np.uint64), np.empty(timestamps, np.int32), np.empty(symbols, np.int64)
    )


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
    log: state.Log = field(default_factory=lambda: new_log(0))
    absorbed: int = 0

    @classmethod
    def start(
        cls, config: ReplayConfig, symbols: list[str], instruments: list[Instrument], records: Any = None
    ) -> "Machine":
        """A run that has not begun; ``records`` are (new_run, new_symbols), where another of the same settings had them."""
        run, sym = (new_run(config), new_symbols(instruments, config)) if records is None else records
        doing = np.zeros(len(symbols), dtype=np.uint8)
        return cls(config, symbols, instruments, ExactLedger.start(config), run.copy(), sym.copy(), doing)

    def new_call(self, log: state.Log) -> None:
        """Begin a log."""
        r = self.run[0]
        for name in ("entries", "closed", "drops", "order", "phase", "t", "filled", "spans", "in_span", "fills"):
            r[name] = 0
        self.sym["entry"] = self.sym["armed"] = -1
        self.absorbed, self.log = 0, log

    def place(self, bars: Bars, index: Ints) -> None:
        """Tell the Symbols of ``index`` where their bars are."""
        sym = self.sym
        sym["row"][index] = bars.start[:-1] - 1
        sym["end"][index] = bars.start[1:]
        sym["shift"][index] = bars.shift
        sym["session"][index] = sym["session_first"][index] = bars.session_first[:-1]
        sym["session_end"][index] = bars.session_first[1:]

    def look_ahead(self, bars: Bars, signals: SignalArrays, parts: int) -> SignalArrays:
        """``signals`` with what was looked up ahead, on as many threads; all Symbols have been placed, and are flat."""
        from trading.replay.lookahead import look_ahead

        (ahead,) = arrays(((len(signals.row), 4), "i8"))
        sym, doing = self.sym.copy(), self.doing.copy()
        sym["signal"], sym["signal_end"] = signals.first[:-1], signals.first[1:]
        in_parts(
            lambda begin, end: look_ahead(
                bars.market, signals.row, signals.levels, sym, doing, self.run, begin, end, ahead
            ),
            edges_by_rows(bars.start, parts),
        )
        return replace(signals, ahead=ahead)

    def advance(self, bars: Bars, index: Ints, signals: SignalArrays, queue: state.Queue, curve: state.Curve) -> None:
        """Run through all ``bars``, into the log of this call and the curve (empty = not asked for).

        Args:
            index: which of ``self.symbols`` each of ``bars.symbols`` is; they have been placed.
            signals: by Symbol of ``bars``.
        """
        from trading.replay import kernel

        self.sym["signal"][index], self.sym["signal_end"][index] = signals.first[:-1], signals.first[1:]
        market = bars.market
        kernel.start(market, signals.row, signals.levels, signals.ahead, self.sym, self.doing, self.run, queue, index)
        while True:
            question = kernel.run(
                market,
                signals.row,
                signals.levels,
                signals.ahead,
                self.sym,
                self.doing,
                self.run,
                self.log,
                queue,
                curve,
            )
            if question == state.DONE:
                return
            self.answer(question, market, signals)

    def finish(self, bars: Bars, curve: state.Curve, parts: int = 1) -> None:
        """Close what is open after the last timestamp; settle the sign of each pnl; mark positions, on as many threads."""
        from trading.replay import kernel
        from trading.replay.curve import mark

        kernel.finish(bars.market, bars.start, self.sym, self.doing, self.run, self.log, curve, bars.ts)
        self.settle()
        closed = int(self.run[0]["closed"])
        in_parts(
            lambda begin, end: mark(bars.market, self.sym, self.log, closed, curve, begin, end),
            even_edges(len(curve.unrealised), parts),
        )

    def settle(self) -> None:
        """Settle the sign of each pnl of a finished run."""
        from trading.replay import rules

        if not rules.signs_are_certain(self.run, self.log):
            _settle_signs(self.log, int(self.run[0]["closed"]), self.config)

    @property
    def cash(self) -> float:
        """Realised equity."""
        return float(self.run[0]["cash"] + self.run[0]["carry"])

    def catch_up(self) -> None:
        """Bring the exact ledger to the state of the log and of the positions."""
        closed = int(self.run[0]["closed"])
        self.ledger.absorb(self.log, self.absorbed, closed)
        self.absorbed = closed
        self.ledger.hold(
            (self.symbols[who], int(y["side"]), float(y["qty"]), float(y["entry_raw"]))
            for who in np.flatnonzero(self.doing == state.OPEN).tolist()
            for y in (self.sym[who],)
        )

    def answer(self, question: int, market: state.Market, signals: SignalArrays) -> None:
        """Tell the kernel what it asked (ASK_*), from exact arithmetic."""
        r = self.run[0]
        who = int(r["ask_symbol"])
        y, instrument = self.sym[who], self.instruments[who]
        if question == state.ASK_NEAREST:
            open_ = float(market.open[int(r["ask_row"])])
            r["nearest"] = nearest_level(open_, float(y["p_long"]), float(y["p_short"]))
            r["nearest_known"] = 1
            return
        self.catch_up()
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


def _settle_signs(log: state.Log, closed: int, config: ReplayConfig) -> None:
    """A pnl of exactly zero must not read as a win or loss of 1e-14: judge such ones in exact arithmetic."""
    qty, raw, price, pnl = (
        log.money[i, :closed] for i in (state.T_QTY, state.T_ENTRY_RAW, state.T_EXIT_RAW, state.T_PNL)
    )
    doubtful = np.flatnonzero((np.abs(pnl) <= 1e-14 * qty * (raw + price)) & (pnl != 0))
    side, reason = (log.whole[i, doubtful] for i in (state.T_SIDE, state.T_REASON))
    counts, unit = exact_pnl(config, side, qty[doubtful], raw[doubtful], price[doubtful], reason != state.TP)
    pnl[doubtful] = [float(count * unit) for count in counts]


def warm_up() -> None:
    """Load (or compile) what a run and a Book need, on a run over nothing.

    It leaves polars alone, whose threads do not live through a fork.
    """
    from trading.replay import passes

    prices, times, days, steps = (read_only(np.empty(0, kind)) for kind in (np.float64, np.int64, np.int32, np.int32))
    start, none = np.zeros(1, np.int64), np.empty(0, np.int64)
    passes.boundaries(read_only(np.empty((0, 2), np.uint64)), 0, 0, none)
    passes.order_is_good(times, days, start, 0, 0, none)
    passes.prices_are_good(prices, prices, prices, prices, times, 0, 0)
    passes.session_ends(days, start, none, none, np.zeros(1, np.int64))
    market = state.Market(prices, prices, prices, prices, times, steps, times)
    machine = Machine.start(ReplayConfig(), [], [])
    machine.new_call(new_log(0))
    signals = SignalArrays(none, np.empty((0, 6)), start)
    curve = state.Curve(np.empty(0), np.empty(0), np.empty((2, 0), np.int64))
    machine.advance(Bars([], start, times, days, market, start, none, none), none, signals, new_queue(0, 0), curve)
