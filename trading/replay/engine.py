"""replay(): bars and signals in, trades out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from trading.instruments import Instrument
from trading.replay import state
from trading.replay.config import ReplayConfig
from trading.replay.contracts import BarArrays, check_instruments, read_bars, read_signals
from trading.replay.exact import ExactLedger
from trading.replay.fill_order import FillOrder, fill_order_code
from trading.replay.machine import Curve, Machine
from trading.replay.metrics import SESSIONS_PER_YEAR, equity_frame, summarise
from trading.replay.result import INSTANT, ReplayResult, fills_frame, rejected_frame, trades_frame


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
    book = read_bars(bars)
    of_symbol = check_instruments(book.symbols, instruments)
    orders = read_signals(signals, book, of_symbol)
    machine = Machine.start(config, book.symbols, of_symbol)
    machine.run[0]["fill_order"] = fill_order_code(fill_order)
    events, curve = machine.advance(book, np.arange(len(book.symbols), dtype=np.int64), orders, curve=True)
    _close_all(machine, book, events, curve)
    log = events[: int(machine.run[0]["events"])]
    exits = log[log["kind"] == state.EXIT]
    _settle_signs(exits, config)
    trades = trades_frame(exits, book.symbols)
    equity = equity_frame(
        pl.DataFrame(
            {
                "Timestamp": pl.Series(curve.ts).cast(INSTANT),
                "realised": curve.realised,
                "unrealised": curve.unrealised,
            }
        )
    )
    final_cash = float(machine.run[0]["cash"] + machine.run[0]["carry"])
    return ReplayResult(
        trades=trades,
        fills=fills_frame(log, book.symbols),
        rejected=rejected_frame(log, book.symbols),
        equity=equity,
        metrics=summarise(
            trades,
            equity,
            _session_ends(bars, book, curve, equity),
            initial_cash=config.initial_cash,
            final_cash=final_cash,
            bars=len(book.ts),
            sessions_per_year=_sessions_per_year(of_symbol),
        ),
    )


def _close_all(machine: Machine, bars: BarArrays, events: Any, curve: Curve) -> None:
    """Close what is open at its Symbol's last Close, in order of Symbol."""
    from trading.replay import kernel

    for who in np.flatnonzero(machine.doing == state.OPEN).tolist():
        row = int(bars.start[who + 1]) - 1
        kernel.close(
            machine.sym[who],
            machine.doing,
            machine.run[0],
            events,
            who,
            float(bars.close[row]),
            True,
            state.END,
            int(bars.ts[row]),
            row,
        )
        curve.realised[-1] = machine.run[0]["cash"] + machine.run[0]["carry"]
        curve.unrealised[-1] = 0.0


def _settle_signs(exits: Any, config: ReplayConfig) -> None:
    """A pnl of exactly zero must not read as a win or loss of 1e-14: judge such ones in exact arithmetic."""
    doubtful = np.abs(exits["pnl"]) <= 1e-14 * exits["qty"] * (exits["price"] + exits["entry_price"])
    for i in np.flatnonzero(doubtful & (exits["pnl"] != 0)).tolist():
        entry = exits[i : i + 1].copy()
        entry["kind"], entry["raw"], entry["slipped"] = state.ENTRY, entry["entry_raw"], 1
        ledger = ExactLedger.start(config)
        ledger.absorb(entry, _AnyName())
        ledger.absorb(exits[i : i + 1], _AnyName())
        exits["pnl"][i] = float(ledger.cash - ExactLedger.start(config).cash)


class _AnyName(list[str]):
    """Stands for the list of Symbols where only one of them is looked at."""

    def __getitem__(self, index: Any) -> Any:
        return ""


def _session_ends(bars: pl.DataFrame, book: BarArrays, curve: Curve, equity: pl.DataFrame) -> pl.Series:
    """Equity at the last timestamp of each session, ascending."""
    rows = np.flatnonzero(book.last)
    ends = (
        pl.DataFrame({"session": bars["session"].gather(rows), "ts": book.ts[rows]})
        .group_by("session")
        .agg(pl.col("ts").max())
        .sort("session")
    )
    return equity["equity"].gather(np.searchsorted(curve.ts, ends["ts"].to_numpy()))


def _sessions_per_year(instruments: list[Instrument]) -> int:
    calendars = {instrument.calendar for instrument in instruments}
    if len(calendars) != 1 or calendars == {"XNYS"}:
        return SESSIONS_PER_YEAR
    from trading.sessions import get_calendar

    return get_calendar(calendars.pop()).sessions_per_year
