"""A session's bars as the router plays them: cut at the moments when something can be sent."""

import datetime as dt
from collections.abc import Mapping, Sequence

import polars as pl

from trading.orders.intents import OrderIntent


def spans_between(
    bars: pl.DataFrame,
    length: dt.timedelta,
    close: dt.datetime,
    times: Sequence[dt.datetime],
    clock: dt.datetime | None,
) -> dict[int, pl.DataFrame]:
    """Bars still to be played, by the number of the first of ``times`` at which they are complete.

    Args:
        bars: one variant's whole session.
        length: of a bar; the last one ends with the session at the latest.
        times: ascending; the last one is ``close``.
        clock: start of the last bar that was played; None = none.

    Returns:
        Frames sorted by Symbol and Timestamp with ``session_end`` and ``_end``, the time of completion.
    """
    if bars.is_empty():
        return {}
    end = (pl.col("Timestamp") + length).clip(upper_bound=pl.lit(close))
    frame = bars.sort("Symbol", "Timestamp").with_columns(
        session_end=pl.col("Timestamp") == pl.col("Timestamp").max().over("Symbol"), _end=end
    )
    if clock is not None:
        frame = frame.filter(pl.col("Timestamp") > clock)
    steps = pl.Series("_end", list(times), dtype=pl.Datetime("us", "UTC"))
    frame = frame.with_columns(_span=steps.search_sorted(frame["_end"], side="left"))
    parts = frame.partition_by("_span", as_dict=True, include_key=False, maintain_order=True)
    return {int(key[0]): part for key, part in parts.items()}


def setup_prices(
    bars: Mapping[str, pl.DataFrame], intents: Sequence[OrderIntent]
) -> dict[tuple[str, str, dt.datetime], float]:
    """Close of every setup bar, by (variant, Symbol, Timestamp)."""
    wanted = {(intent.variant, intent.symbol, intent.setup_time) for intent in intents}
    prices = {}
    for name, frame in bars.items():
        columns = (frame[column].to_list() for column in ("Symbol", "Timestamp", "Close"))
        for symbol, at, close in zip(*columns, strict=True):
            if (name, symbol, at) in wanted:
                prices[name, symbol, at] = close
    return prices


def widest_move(span: pl.DataFrame, last_close: dict[str, float]) -> float:
    """Largest of the Symbols' ranges as a share of their lowest price.

    Args:
        last_close: by Symbol, before the span, which counts as part of it; brought up to date.
    """
    ranges = span.group_by("Symbol").agg(pl.col("High").max(), pl.col("Low").min(), pl.col("Close").last())
    widest = 0.0
    for symbol, high, low, close in ranges.iter_rows():
        before = last_close.get(symbol, low)
        bottom = min(low, before)
        widest = max(widest, (max(high, before) - bottom) / bottom)
        last_close[symbol] = close
    return widest
