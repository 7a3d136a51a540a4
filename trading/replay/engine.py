"""replay(): bars and signals in, trades out."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl

from trading.instruments import Instrument
from trading.replay.config import ReplayConfig
from trading.replay.contracts import check_instruments
from trading.replay.fill_order import FillOrder, fill_order_code
from trading.replay.machine import Machine, new_log, new_queue
from trading.replay.market import Bars, Floats, Ints, SignalArrays, read_bars, read_signals, sessions_of
from trading.replay.memory import arrays
from trading.replay.metrics import FIGURES, SESSIONS_PER_YEAR, as_metrics
from trading.replay.result import ReplayResult, equity_frame, fills_frame, rejected_frame, trades_frame
from trading.replay.state import Curve, Log, Queue
from trading.replay.threads import parts_of


def replay(
    bars: pl.DataFrame,
    signals: pl.DataFrame,
    config: ReplayConfig,
    instruments: Mapping[str, Instrument] | None = None,
    *,
    fill_order: FillOrder = "pessimistic",
) -> ReplayResult:
    """Trade ``signals`` over ``bars`` by the replay rules, bar by bar, in doubt for the worse.

    Args:
        bars: sorted by (Symbol, Timestamp), unique: Symbol (String), Timestamp (Datetime[us, UTC], bar
            start), Open, High, Low, Close (Float64), Volume (Int64), session (Date). Other columns are
            ignored.
        signals: in any order, at most one a bar: Symbol, Timestamp, long_entry, short_entry, sl_long,
            sl_short, tp_long, tp_short (Float64, null = absent). Other columns are ignored. A side with some
            but not all it needs is refused; a signal without any side is rejected as ``size``.
        config: cash, costs, sizing, lifetimes.
        instruments: by Symbol; None = the defaults of :class:`Instrument` for every Symbol.
        fill_order: what came first inside a bar; another than the rules' own is for comparison only, see
            :mod:`trading.replay.fill_order`.

    Where the rules leave room: a signal takes the place of an older pending setup before it is sized, so that
    one rejected as ``size`` leaves none pending; positions left after the last timestamp are closed at their
    Symbol's last bar, and the last row of ``equity`` is after that; equal distances of two entry levels from
    the Open are judged on the decimals that the floats show, like quantities.

    Raises:
        ContractViolation: bars or signals break their contract, or a Symbol is not among ``instruments``.
        ConfigError: no such ``fill_order``.
    """
    read = read_bars(bars)
    of_symbol = check_instruments(read.symbols, instruments)
    orders = read_signals(signals, read, of_symbol)
    points, n, parts = len(read.market.grid), len(read.symbols), parts_of(len(read.ts))
    run = Run(
        read,
        of_symbol,
        orders,
        config,
        new_queue(points, n),
        new_log(len(orders.row) + n),
        new_curve(points, len(orders.row) + n),
        fill_order=fill_order,
        ahead=True,
        parts=parts,
    )
    run.complete()
    with ThreadPoolExecutor(1) as other:
        fills, equity = other.submit(fills_frame, run.machine), other.submit(equity_frame, read.market.grid, run.curve)
        _, ends = sessions_of(read)
        at_ends = run.equity_at(ends, np.empty(len(ends)))
        figures = run.figures(at_ends, sessions_per_year(of_symbol), np.empty(len(FIGURES)))
        return ReplayResult(
            trades=trades_frame(run.machine),
            fills=fills.result(),
            rejected=rejected_frame(run.machine),
            equity=equity.result(),
            metrics=as_metrics(config.initial_cash, figures),
        )


class Run:
    """One finished run over bars and signals that have been read.

    Args:
        queue: empty; it is again after the run.
        log: with room for as many trades and as many drops as there are signals and Symbols.
        curve: unrealised all zero.
        records: see :meth:`Machine.start`.
        ahead: whether to look ahead first, see :mod:`trading.replay.lookahead`.
        parts: on how many threads.
    """

    def __init__(
        self,
        bars: Bars,
        instruments: list[Instrument],
        signals: SignalArrays,
        config: ReplayConfig,
        queue: Queue,
        log: Log,
        curve: Curve,
        records: Any = None,
        fill_order: FillOrder = "pessimistic",
        ahead: bool = False,
        parts: int = 1,
    ) -> None:
        self.bars, self.curve = bars, curve
        self.machine = Machine.start(config, bars.symbols, instruments, records)
        self.machine.run[0]["fill_order"] = fill_order_code(fill_order)
        self.machine.new_call(log)
        every = np.arange(len(bars.symbols))
        self.machine.place(bars, every)
        if ahead:
            signals = self.machine.look_ahead(bars, signals, parts)
        self.machine.advance(bars, every, signals, queue, curve)
        self.machine.finish(bars, curve, parts)
        self.closed, self.spans = int(self.machine.run[0]["closed"]), int(self.machine.run[0]["spans"])

    def equity_at(self, steps: Ints, out: Floats) -> Floats:
        """Equity at the timestamps of these indices, which ascend, into ``out``."""
        from trading.replay.curve import equity_at

        equity_at(self.curve, self.spans, self.machine.config.initial_cash, steps, out)
        return out

    def complete(self) -> None:
        """Fill in the curve where nothing was held."""
        from trading.replay.curve import complete

        complete(self.curve, self.spans, self.machine.config.initial_cash)

    def figures(self, session_equity: Floats, per_year: int, out: Floats) -> Floats:
        """The run's figures, see :mod:`trading.replay.figures`, into ``out``."""
        from trading.replay import figures
        from trading.replay.curve import max_drawdown

        cash = self.machine.config.initial_cash
        drawdown = max_drawdown(self.curve, self.spans, cash)
        figures.sum_up(
            self.machine.run, self.machine.log, session_equity, cash, drawdown, len(self.bars.ts), per_year, out
        )
        return out


def new_curve(points: int, room: int) -> Curve:
    """A curve with room for as many trades."""
    return Curve(*arrays((points, "f8"), (points, "f8"), ((2, room + 1), "i8")))


def sessions_per_year(instruments: list[Instrument]) -> int:
    """Of the one calendar that all are of, else the default."""
    calendars = {instrument.calendar for instrument in instruments}
    if len(calendars) != 1 or calendars == {"XNYS"}:
        return SESSIONS_PER_YEAR
    from trading.sessions import get_calendar

    return get_calendar(calendars.pop()).sessions_per_year
