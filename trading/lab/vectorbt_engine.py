"""The replay's rules traded by vectorbt: an engine that shares no line with the replay's kernel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from trading.errors import ConfigError
from trading.instruments import Instrument
from trading.replay import ReplayConfig
from trading.sizing import FixedSizing, KellySizing, PctOfEquitySizing, RiskSizing
from trading.ticks import round_levels

if TYPE_CHECKING:
    from vectorbt.portfolio import Portfolio

    from trading.lab.vectorbt_orders import Bars, Rules

TRADES = {
    "Symbol": pl.String(),
    "side": pl.Int8(),
    "qty": pl.Float64(),
    "entry_time": pl.Datetime("us", "UTC"),
    "entry_price": pl.Float64(),
    "exit_time": pl.Datetime("us", "UTC"),
    "exit_price": pl.Float64(),
    "fees": pl.Float64(),
    "pnl": pl.Float64(),
}
_PRICES = ("Open", "High", "Low", "Close")
_LEVELS = ("long_entry", "sl_long", "tp_long", "short_entry", "sl_short", "tp_short")
_AWAY = ("up", "down", "up", "down", "up", "down")  # from the trader
_LENT = 100.0  # times the cash that the account has at the beginning


def vectorbt_trades(
    bars: pl.DataFrame,
    signals: pl.DataFrame,
    config: ReplayConfig,
    instruments: Mapping[str, Instrument] | None = None,
) -> pl.DataFrame:
    """What vectorbt's ``Portfolio.from_order_func`` trades by the rules of the replay, in order of (exit_time, Symbol).

    Slippage, fees, cash, positions and pnl are vectorbt's. Quantities are worked out in floats, so one on the edge of a
    lot can differ from the replay's, which is exact. Bars and signals must have passed the checks of
    :func:`trading.replay.replay`, which are not repeated.

    Args:
        bars, signals, instruments: as the replay takes them.
        config: with any sizing but ``kelly``.

    Raises:
        ConfigError: sizing ``kelly``.
    """
    if bars.is_empty():
        return pl.DataFrame(schema=TRADES)
    market = Market.of(bars, signals, instruments)
    return _trades(trade(market, config).exit_trades.values, market)


@dataclass(frozen=True)
class Market:
    """Bars and signals as vectorbt wants them.

    Attributes:
        symbols: ascending, one a column.
        stamps: distinct timestamps, one a row.
        grid: bars as arrays of (timestamps, Symbols).
        levels: (signals, 6), on the tick; long entry, stop, target, short entry, stop, target; NaN = absent.
        lots, least: lot size and smallest quantity by Symbol.
    """

    symbols: list[str]
    stamps: pl.Series
    grid: "Bars"
    levels: Any
    lots: Any
    least: Any
    instruments: tuple[Instrument, ...]

    @classmethod
    def of(
        cls, bars: pl.DataFrame, signals: pl.DataFrame, instruments: Mapping[str, Instrument] | None = None
    ) -> "Market":
        symbols = bars["Symbol"].unique().sort().to_list()
        traded = tuple(Instrument(symbol=s) if instruments is None else instruments[s] for s in symbols)
        stamps = bars["Timestamp"].unique().sort()
        lots = np.array([instrument.lot_size for instrument in traded], dtype=np.float64)
        least = np.array([instrument.min_qty for instrument in traded], dtype=np.float64)
        grid = _grid(bars, symbols, stamps)
        return cls(symbols, stamps, grid, np.empty((0, 6)), lots, least, traded).with_signals(signals)

    def with_signals(self, signals: pl.DataFrame) -> "Market":
        """The same bars with other signals."""
        signal = np.full(self.grid.close.shape, -1, np.int64)
        at = _positions(signals["Timestamp"], self.stamps), _columns(signals["Symbol"], self.symbols)
        signal[at] = np.arange(signals.height)
        return replace(
            self, grid=self.grid._replace(signal=signal), levels=_levels(signals, self.instruments, self.symbols)
        )


def trade(market: Market, config: ReplayConfig) -> "Portfolio":
    """The portfolio that vectorbt comes to; its cash has :attr:`Rules.lent` on top."""
    import pandas as pd
    import vectorbt as vbt

    from trading.lab import vectorbt_orders

    rules, k = _rules(config), len(market.symbols)
    desk = vectorbt_orders.Desk(
        step=np.zeros(3, np.int64),
        setup=np.full((k, 4), -1, np.int64),
        sized=np.zeros((k, 2)),
        position=np.zeros((k, 4)),
    )
    return vbt.Portfolio.from_order_func(
        pd.DataFrame(market.grid.close, copy=False),  # one layout of the array, whatever its shape: compiled once
        vectorbt_orders.next_order,
        market.grid,
        market.levels,
        market.lots,
        market.least,
        rules,
        desk,
        flexible=True,
        init_cash=config.initial_cash + rules.lent,
        cash_sharing=True,
        group_by=True,
        fill_pos_record=False,
        max_orders=2 * len(market.levels) + k,
    )


def has_sizing(config: ReplayConfig) -> bool:
    """Whether :func:`trade` has the sizing: each but ``kelly``."""
    return not isinstance(config.sizing, KellySizing)


def _rules(config: ReplayConfig) -> "Rules":
    from trading.lab.vectorbt_orders import FIXED, PCT, RISK, Rules

    sizing, most = config.sizing, np.inf
    if isinstance(sizing, FixedSizing):
        mode, amount = FIXED, sizing.qty
    elif isinstance(sizing, PctOfEquitySizing):
        mode, amount = PCT, sizing.pos_pct / 100
    elif isinstance(sizing, RiskSizing):
        mode, amount, most = RISK, sizing.risk_pct / 100, sizing.max_pos_pct / 100
    else:
        raise ConfigError(f"vectorbt trades every sizing but kelly; found {sizing!r}")
    return Rules(
        fees=config.costs.fees_bps / 10_000,
        slippage=config.costs.slippage_bps / 10_000,
        leverage=config.max_leverage,
        session_end=config.exit_at_session_end,
        valid_sessions=config.valid_sessions,
        max_hold=config.max_hold_sessions or 0,
        sizing=mode,
        amount=float(amount),
        max_position=float(most),
        equity=np.nan if sizing.equity is None else sizing.equity,
        lent=_LENT * max(1.0, config.max_leverage) * config.initial_cash,
    )


def _grid(bars: pl.DataFrame, symbols: Sequence[str], stamps: pl.Series) -> "Bars":
    """Bars as arrays of (timestamps, Symbols), without signals."""
    from trading.lab.vectorbt_orders import Bars

    placed = bars.select(
        *_PRICES,
        row=_positions(bars["Timestamp"], stamps),
        column=_columns(bars["Symbol"], symbols),
        last=(pl.col("session") != pl.col("session").shift(-1).over("Symbol")).fill_null(True),
        number=(pl.col("session") != pl.col("session").shift(1).over("Symbol"))
        .fill_null(True)
        .cum_sum()
        .over("Symbol"),
    )
    at = placed["row"].to_numpy(), placed["column"].to_numpy()
    shape = len(stamps), len(symbols)

    def laid(name: str, empty: Any) -> Any:
        array = np.full(shape, empty)
        array[at] = placed[name].to_numpy()
        return array

    return Bars(
        open=laid("Open", np.nan),
        high=laid("High", np.nan),
        low=laid("Low", np.nan),
        close=laid("Close", np.nan),
        last=laid("last", False),
        session=laid("number", np.int64(0)),
        signal=np.empty((0, 0), np.int64),
    )


def _positions(times: pl.Series, stamps: pl.Series) -> Any:
    return np.searchsorted(stamps.to_physical().to_numpy(), times.to_physical().to_numpy())


def _columns(of: pl.Series, symbols: Sequence[str]) -> Any:
    return of.cast(pl.Enum(symbols)).to_physical().cast(pl.Int64).to_numpy()


def _levels(signals: pl.DataFrame, instruments: Sequence[Instrument], symbols: Sequence[str]) -> Any:
    """(signals, 6), on the tick, away from the trader."""
    levels = np.column_stack([signals[name].fill_null(np.nan).to_numpy() for name in _LEVELS])
    owner = _columns(signals["Symbol"], symbols)
    for number, instrument in enumerate(instruments):
        own = owner == number
        for column, direction in enumerate(_AWAY):
            levels[own, column] = round_levels(levels[own, column], instrument.tick_size, direction)  # type: ignore[arg-type]
    return np.ascontiguousarray(levels)


def _trades(records: Any, market: Market) -> pl.DataFrame:
    """vectorbt's trade records as a frame. What was left at the end was closed at the Symbol's own last bar."""
    column = records["col"]
    last = len(market.stamps) - 1 - np.argmax(~np.isnan(market.grid.close[::-1]), axis=0)
    return pl.DataFrame(
        {
            "Symbol": pl.Series(market.symbols, dtype=pl.String).gather(column),
            "side": np.where(records["direction"] == 0, 1, -1).astype(np.int8),
            "qty": records["size"],
            "entry_time": market.stamps.gather(records["entry_idx"]),
            "entry_price": records["entry_price"],
            "exit_time": market.stamps.gather(np.minimum(records["exit_idx"], last[column])),
            "exit_price": records["exit_price"],
            "fees": records["entry_fees"] + records["exit_fees"],
            "pnl": records["pnl"],
        },
        schema=TRADES,
    ).sort("exit_time", "Symbol")
