"""Pictures of several runs together and of single trades, as PNG bytes; the same input gives the same bytes.

The time axis has one step per bar, so that nights and weekends, in which nothing can happen, take no room.
"""

import base64
import datetime as dt
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from trading.reports.time_marks import time_marks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _MUTED, _GRID = "#1b1f24", "#5b6570", "#e3e7ec"
_BLUE, _RED, _GREEN = "#1f5fa8", "#b3261e", "#1a7f47"
# Okabe and Ito's colours (https://jfly.uni-koeln.de/color/), told apart by colour-blind readers too.
_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#8a8f00")
_DASHES = ("-", "--", "-.", ":")
_STYLE: Mapping[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "axes.grid": True,
    "grid.color": _GRID,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "path.simplify": True,
}
_DPI = 110
_CONTEXT_BARS = 30


def comparison_png(
    curves: Mapping[str, pl.DataFrame],
    *,
    title: str,
    timezone: str = "UTC",
    label: str | None = None,
) -> bytes:
    """Return since the start of several variants on one axis, in per cent.

    Args:
        curves: by variant's name: Timestamp, equity; each is compared with its own first equity. Bars that
            only some of the curves have keep the others' last value.
    """
    with _style():
        figure = _figure(8.0, 4.2)
        drawn = {name: curve for name, curve in curves.items() if not curve.is_empty()}
        if not drawn:
            return _message(figure, title, "No bar in this period", label)
        axes = figure.subplots()
        times = pl.concat([curve["Timestamp"] for curve in drawn.values()]).unique().sort()
        grid = times.to_frame("Timestamp")
        axes.axhline(0.0, color=_MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        for number, (name, curve) in enumerate(drawn.items()):
            since = curve.select("Timestamp", change=100.0 * (pl.col("equity") / pl.col("equity").first() - 1.0))
            line = grid.join_asof(since.sort("Timestamp"), on="Timestamp")["change"].to_numpy()
            axes.plot(
                np.arange(times.len()),
                line,
                color=_PALETTE[number % len(_PALETTE)],
                linestyle=_DASHES[number % len(_DASHES)],
                linewidth=1.5,
                label=f"{name}  {line[-1]:+.2f} %",
            )
        axes.set_ylabel("Return since start (%)")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, borderaxespad=0.0, handlelength=2.6)
        _time_axis(axes, times, timezone)
        return _finish(figure, title, label)


def trade_png(
    bars: pl.DataFrame,
    trade: Mapping[str, Any],
    *,
    title: str,
    sl: float | None = None,
    tp: float | None = None,
    currency: str = "USD",
    timezone: str = "UTC",
    label: str | None = None,
) -> bytes:
    """The bars around one trade, with its setup, entry, stop, target and exit.

    Args:
        bars: of the trade's Symbol, ascending: Timestamp, Open, High, Low, Close.
        trade: a row of ``ReplayResult.trades``.
        sl, tp: the stop and target levels, where known.
    """
    with _style():
        figure = _figure(8.0, 4.4)
        window = _around(bars, trade["setup_time"], trade["exit_time"])
        if window.is_empty():
            return _message(figure, title, "No bar around this trade", label)
        axes = figure.subplots()
        _candles(axes, window)
        times = window["Timestamp"].to_list()
        setup, entry, exit_ = (_step(times, trade[name]) for name in ("setup_time", "entry_time", "exit_time"))
        axes.axvspan(setup - 0.5, setup + 0.5, color="#f2c94c", alpha=0.35, linewidth=0, label="setup bar")
        end = len(times) - 0.5
        levels = [("entry", trade["entry_price"], _BLUE), ("stop", sl, _RED), ("target", tp, _GREEN)]
        for _, price, colour in levels:
            if price is not None:
                axes.hlines(price, setup, end, color=colour, linewidth=1.0, linestyle=(0, (5, 3)))
        won = trade["pnl"] > 0
        long = trade["side"] > 0
        axes.scatter(
            [entry], [trade["entry_price"]], marker="^" if long else "v", s=60, color=_BLUE, zorder=5, edgecolor="white"
        )
        axes.scatter(
            [exit_],
            [trade["exit_price"]],
            marker="X",
            s=60,
            color=_GREEN if won else _RED,
            zorder=5,
            edgecolor="white",
        )
        written = [
            *((f"{name} {price:,.2f}", price, colour) for name, price, colour in levels if price is not None),
            (f"exit {trade['exit_price']:,.2f}", trade["exit_price"], _GREEN if won else _RED),
        ]
        _margin_texts(axes, written, end)
        axes.set_xlim(-0.7, end)
        axes.set_ylabel(f"Price ({currency})")
        _time_axis(axes, window["Timestamp"], timezone)
        side = "long" if long else "short"
        note = f"{side} {trade['qty']:g} · exit {trade['exit_reason']} · PnL {trade['pnl']:+,.2f} {currency}"
        return _finish(figure, f"{title}\n{note}", label)


def markdown_image(png: bytes, alt: str = "") -> str:
    """The picture inside Markdown, with no file beside it: for asset metadata."""
    text = alt.replace("[", "(").replace("]", ")")
    return f"![{text}](data:image/png;base64,{base64.b64encode(png).decode('ascii')})"


def _style() -> Any:
    import matplotlib as mpl

    return mpl.rc_context({**mpl.rcParamsDefault, **_STYLE})  # nobody's matplotlibrc changes the bytes


def _figure(width: float, height: float) -> "Figure":
    """A figure on the Agg canvas, outside pyplot's global list of figures."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06)
    figure = Figure(figsize=(width, height), dpi=_DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _finish(figure: "Figure", title: str, label: str | None) -> bytes:
    # The label has a line of its own, above the title, so that neither can ever cover the other.
    figure.suptitle(("\n" if label else "") + _wrapped(title, 92), x=0.012, ha="left", fontsize=10.5, fontweight="bold")
    if label:
        figure.text(
            0.012,
            0.985,
            label,
            ha="left",
            va="top",
            fontsize=8.5,
            fontweight="bold",
            color="#7a4b00",
            bbox={"facecolor": "#ffe7b3", "edgecolor": "#d89b1d", "boxstyle": "round,pad=0.35"},
        )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def _message(figure: "Figure", title: str, text: str, label: str | None) -> bytes:
    figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=13, color=_MUTED)
    return _finish(figure, title, label)


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.fill(line, width) for line in text.split("\n"))


def _time_axis(axes: "Axes", times: pl.Series, timezone: str) -> None:
    marks = time_marks(times, timezone)
    axes.set_xticks(marks.steps, marks.texts)
    axes.set_xlabel(marks.name)


def _around(bars: pl.DataFrame, first: dt.datetime, last: dt.datetime) -> pl.DataFrame:
    times = bars["Timestamp"]
    start = max(0, int(times.search_sorted(first)) - _CONTEXT_BARS)
    end = int(times.search_sorted(last, side="right")) + _CONTEXT_BARS // 2
    return bars.slice(start, end - start)


def _candles(axes: "Axes", bars: pl.DataFrame) -> None:
    steps = np.arange(bars.height)
    opens, highs, lows, closes = (bars[name].to_numpy() for name in ("Open", "High", "Low", "Close"))
    rising = closes >= opens
    axes.vlines(steps, lows, highs, color=_MUTED, linewidth=0.9)
    least = max(float(highs.max() - lows.min()) * 0.003, 1e-9)
    body = np.maximum(np.abs(closes - opens), least)
    colours = np.where(rising, "#ffffff", _MUTED)
    axes.bar(steps, body, bottom=np.minimum(opens, closes), width=0.66, color=colours, edgecolor=_MUTED, linewidth=0.9)


def _margin_texts(axes: "Axes", texts: Sequence[tuple[str, float, str]], end: float) -> None:
    """Prices at the right edge, pushed apart so that none covers another."""
    low, high = axes.get_ylim()
    gap = (high - low) * 0.055
    placed: list[float] = []
    for text, price, colour in sorted(texts, key=lambda item: item[1]):
        at = max(price, placed[-1] + gap) if placed else price
        placed.append(at)
        axes.text(end + 0.4, at, text, va="center", ha="left", color=colour, fontsize=8.5, fontweight="bold")


def _step(times: Sequence[dt.datetime], at: dt.datetime) -> int:
    return min(range(len(times)), key=lambda index: abs((times[index] - at).total_seconds()))
