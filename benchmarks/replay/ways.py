"""Ways of trading the brackets: this platform's replay, and the engines that people use otherwise.

A way loads what it needs, gets ready, and takes the time of the trading alone: what it imports, compiles or turns into its
own form beforehand is not counted, and for the replay nothing is left out, as it takes the frames as they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from benchmarks.replay.data import BARS_A_SESSION, CONFIG
from benchmarks.replay.stopwatch import Stopwatch

OURS = "trading_assets"
RUST = "vectorbt from_signals, Rust"
NUMBA = "vectorbt from_signals, numba"
ORDERS = "vectorbt from_order_func"
BACKTESTING = "Backtesting.py"
NAUTILUS = "nautilus_trader"

ENGINES = (RUST, NUMBA, ORDERS)
"""Those of vectorbt."""

SAME_RULES = (OURS, ORDERS)
"""These must come to the same trades; the others leave something out."""

SLICE = (BACKTESTING, NAUTILUS)
"""Too slow for the whole work: they do a slice of it, and are told by the bar."""


SIMPLIFIED: Mapping[str, str] = {
    RUST: "Which side is filled, and where, is looked up beforehand. No stop or target on the bar of the entry. Sizes of the "
    "cash at the beginning. Slippage on targets too. No buying power but the cash. Order records only: no equity, no metrics.",
    NUMBA: "As with Rust.",
    ORDERS: "Nothing of the rules. Bars and signals are arrays before the clock runs; order records only: no equity, no metrics.",
    BACKTESTING: "One Symbol. Both sides can fill in one bar. Entry and stop in one bar as it has them; slippage is a spread on "
    "entries.",
    NAUTILUS: "One Symbol. No slippage; a bar is walked as Open, High, Low, Close; stop and target "
    "are sent after the entry's fill.",
}
"""What each peer leaves out or does otherwise."""


@dataclass
class Outcome:
    """What a way came to: trades, and their pnl together in currency."""

    trades: int
    pnl: float


Way = Callable[[pl.DataFrame, pl.DataFrame, Stopwatch], Outcome]


def ours(bars: pl.DataFrame, signals: pl.DataFrame, stopwatch: Stopwatch) -> Outcome:
    from trading.replay import replay

    with stopwatch:
        result = replay(bars, signals, CONFIG)
    return Outcome(result.trades.height, float(result.metrics["net_pnl"] or 0.0))


def ours_swept(bars: pl.DataFrame, signals: pl.DataFrame, stopwatch: Stopwatch) -> Outcome:
    from trading.replay import replay_sweep

    configs = [CONFIG] * (int(signals["set"].max() or 0) + 1)  # type: ignore[call-overload]
    with stopwatch:
        result = replay_sweep(bars, signals, configs)
    return Outcome(int(result.metrics["num_trades"].sum()), float(result.metrics["net_pnl"].sum()))


def vectorbt_orders(bars: pl.DataFrame, signals: pl.DataFrame, stopwatch: Stopwatch) -> Outcome:
    """The rules in full, as the platform's parity check has them: an order function, flexible, one cash."""
    from trading.lab.vectorbt_engine import Market, trade

    market = Market.of(bars, signals)
    with stopwatch:
        portfolio = trade(market, CONFIG)
    records = portfolio.exit_trades.values
    return Outcome(len(records), float(records["pnl"].sum()))


def vectorbt_signals(engine: str, bars: pl.DataFrame, signals: pl.DataFrame, stopwatch: Stopwatch) -> Outcome:
    from trading.lab.vectorbt_engine import Market

    return _from_signals(Market.of(bars, signals), engine, stopwatch)


def vectorbt_signals_swept(engine: str, bars: pl.DataFrame, signals: pl.DataFrame, stopwatch: Stopwatch) -> Outcome:
    """One set at a time, which is faster than all sets as columns, and does not take 11 GB."""
    from trading.lab.vectorbt_engine import Market

    market = Market.of(bars, signals.clear())
    sets = signals.partition_by("set", maintain_order=True)
    done = [_from_signals(market.with_signals(its), engine, stopwatch) for its in sets]
    return Outcome(sum(one.trades for one in done), sum(one.pnl for one in done))


def _from_signals(market: Any, engine: str, stopwatch: Stopwatch) -> Outcome:
    import vectorbt as vbt

    from benchmarks.replay.entries import entries

    grid, found = market.grid, entries(market.grid, market.levels)
    with stopwatch:
        portfolio = vbt.Portfolio.from_signals(
            grid.close,
            entries=found.long,
            exits=found.exits,
            short_entries=found.short,
            short_exits=found.exits,
            price=found.price,
            size=found.size,
            open=grid.open,
            high=grid.high,
            low=grid.low,
            sl_stop=found.sl_stop,
            tp_stop=found.tp_stop,
            stop_entry_price="fillprice",
            stop_exit_price="stopmarket",
            upon_opposite_entry="ignore",
            fees=CONFIG.costs.fees_bps / 10_000,
            slippage=CONFIG.costs.slippage_bps / 10_000,
            init_cash=CONFIG.initial_cash,
            cash_sharing=True,
            group_by=True,
            max_orders=2 * found.count + 2,
            engine=engine,
        )
    trades = portfolio.exit_trades.values
    return Outcome(len(trades), float(trades["pnl"].sum()))


def backtesting_py(bars: pl.DataFrame, signals: pl.DataFrame, stopwatch: Stopwatch) -> Outcome:
    import warnings

    import numpy as np
    from backtesting import Backtest, Strategy

    warnings.simplefilter("ignore")
    columns = ("long_entry", "sl_long", "tp_long", "short_entry", "sl_short", "tp_short")
    placed = bars.join(signals, on=["Symbol", "Timestamp"], how="left", maintain_order="left")
    levels = placed.select(columns).fill_null(np.nan).to_numpy()
    sizing = CONFIG.sizing

    class Bracket(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            pass

        def next(self) -> None:
            row = len(self.data) - 1
            if self.position:
                for order in self.orders:
                    if not order.is_contingent:
                        order.cancel()
            if row % BARS_A_SESSION == BARS_A_SESSION - 1:
                for order in self.orders:
                    order.cancel()
                self.position.close()
            elif not self.position and not np.isnan(levels[row, 0]):
                for order in self.orders:
                    order.cancel()
                up, sl_long, tp_long, down, sl_short, tp_short = levels[row]
                self.buy(size=self._size(up, sl_long), stop=up, sl=sl_long, tp=tp_long)
                self.sell(size=self._size(down, sl_short), stop=down, sl=sl_short, tp=tp_short)

        def _size(self, entry: float, stop: float) -> int:
            risked = self.equity * sizing.risk_pct / 100 / abs(entry - stop)
            return max(1, int(min(risked, self.equity * sizing.max_pos_pct / 100 / entry)))

    data = bars.select("Open", "High", "Low", "Close", "Volume").to_pandas()
    data.index = bars["Timestamp"].to_pandas()
    with stopwatch:
        test = Backtest(
            data,
            Bracket,
            cash=CONFIG.initial_cash,
            commission=CONFIG.costs.fees_bps / 10_000,
            spread=CONFIG.costs.slippage_bps / 10_000,
            trade_on_close=True,
            finalize_trades=True,
        )
        stats = test.run()
    return Outcome(len(stats["_trades"]), float(stats["Equity Final [$]"]) - CONFIG.initial_cash)


WAYS: Mapping[str, Way] = {
    OURS: ours,
    RUST: partial(vectorbt_signals, "rust"),
    NUMBA: partial(vectorbt_signals, "numba"),
    ORDERS: vectorbt_orders,
    BACKTESTING: backtesting_py,
}
SWEPT: Mapping[str, Way] = {
    OURS: ours_swept,
    RUST: partial(vectorbt_signals_swept, "rust"),
    NUMBA: partial(vectorbt_signals_swept, "numba"),
}
WORKS: Mapping[str, Mapping[str, Way]] = {"brackets": WAYS, "slice": WAYS, "sweep": SWEPT}


def missing(way: str) -> str | None:
    """What is not installed of a way, if anything."""
    from importlib.util import find_spec

    needs: dict[str, Any] = {RUST: "vectorbt_rust", BACKTESTING: "backtesting"}
    return needs[way] if way in needs and find_spec(needs[way]) is None else None
