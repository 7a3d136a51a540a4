"""The fills of a replay as a vectorbt portfolio: its statistics, and its plots as one page."""

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from trading.errors import DataError

if TYPE_CHECKING:
    from vectorbt.portfolio import Portfolio

_PLOTS = ("value", "underwater", "gross_exposure")


def portfolio_of(fills: pl.DataFrame, bars: pl.DataFrame, initial_cash: float) -> "Portfolio":
    """vectorbt's portfolio of the ``fills`` of :class:`trading.replay.ReplayResult`: all Symbols, one cash.

    The fills are given as vectorbt's order records, since ``from_orders`` takes one order a bar and Symbol, and a bar
    can enter and exit. Cash, positions, trades, value and pnl are worked out by vectorbt. Between its bars a Symbol is
    worth its last Close.

    Args:
        fills: in order of execution.
        bars: that were replayed; Symbol, Timestamp, Close, session.

    Raises:
        DataError: no bars.
    """
    import pandas as pd
    import vectorbt as vbt
    from vectorbt.base.array_wrapper import ArrayWrapper
    from vectorbt.portfolio.enums import OrderSide, log_dt, order_dt

    if bars.is_empty():
        raise DataError("a portfolio needs the bars that were replayed; there are none")
    symbols = bars["Symbol"].unique().sort().to_list()
    wide = bars.pivot(on="Symbol", index="Timestamp", values="Close").sort("Timestamp")
    stamps = wide["Timestamp"].to_physical().to_numpy()
    orders = np.zeros(fills.height, dtype=order_dt)
    orders["id"] = np.arange(fills.height)
    orders["col"] = fills["Symbol"].cast(pl.Enum(symbols)).to_physical().to_numpy()
    orders["idx"] = np.searchsorted(stamps, fills["time"].to_physical().to_numpy())
    for field, name in (("size", "qty"), ("price", "price"), ("fees", "fee")):
        orders[field] = fills[name].to_numpy()
    buys = (fills["side"] == 1) == (fills["kind"] == "entry")
    orders["side"] = np.where(buys.to_numpy(), OrderSide.Buy, OrderSide.Sell)
    index = pd.DatetimeIndex(wide["Timestamp"].to_numpy()).tz_localize("UTC")
    columns = pd.Index(symbols, name="Symbol")
    step = pd.Timedelta(int(np.median(np.diff(stamps))) if len(stamps) > 1 else 1, unit="us")
    return vbt.Portfolio(
        ArrayWrapper(index, columns, 2, freq=step, group_by=True),
        pd.DataFrame(wide.select(symbols).to_numpy(), index=index, columns=columns),
        orders,
        np.empty(0, dtype=log_dt),
        np.array([initial_cash]),
        True,
    )


def statistics(portfolio: "Portfolio", bars: pl.DataFrame, sessions_per_year: int) -> dict[str, Any]:
    """vectorbt's usual figures by its own names, each a number, a text or None.

    A year is ``sessions_per_year`` sessions of the bars that a session has on average, so that Sharpe, Sortino and
    Calmar ratios, which vectorbt takes from the returns of single bars, are annualised by trading time. Periods and
    durations are trading time too.
    """
    a_session = len(portfolio.wrapper.index) / bars["session"].n_unique()
    year = portfolio.wrapper.freq * a_session * sessions_per_year
    return {name: _plain(value) for name, value in portfolio.stats(settings={"year_freq": year}).items()}


def page(portfolio: "Portfolio", title: str) -> str:
    """HTML of value, drawdown and exposure. It needs no network: plotly is in it (5 MB)."""
    from plotly.graph_objects import Figure

    plotted = portfolio.plot(subplots=list(_PLOTS), title=title, width=None, autosize=True).to_dict()
    for trace in plotted["data"]:
        trace.pop("uid", None)  # made up by chance, as the name of the plot would be
    html = Figure(plotted).to_html(include_plotlyjs=True, include_mathjax=False, div_id="portfolio")
    return str(html)


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    text = str(value)
    return None if text == "NaT" else text
