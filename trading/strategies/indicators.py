"""Columnar indicators over bars sorted by Symbol and Timestamp.

Their memory is finite to the bit: a value depends on the bars of its window alone, never on how much history came
before it. Running sums would carry rounding along, and signals made session by session would differ.
"""

from typing import Any

import numpy as np
import polars as pl

Array = np.ndarray[Any, np.dtype[Any]]


_NOISE = 1e-9


def at_least(figure: pl.Expr, limit: pl.Expr) -> pl.Expr:
    """``figure >= limit`` for differences of prices, of which neither is negative.

    Equal in decimals counts as equal, although 102.94 - 102.04 falls short of 0.9 in floats.
    """
    return figure >= limit * (1 - _NOISE)


def bar_number(bars: pl.DataFrame) -> Array:
    """Position of each row among its Symbol's rows, from 0 (int64). The Symbol's rows must be adjacent."""
    rows = np.arange(bars.height, dtype=np.int64)
    changes = bars.select((pl.col("Symbol") != pl.col("Symbol").shift()).fill_null(True)).to_series().to_numpy()
    return rows - np.maximum.accumulate(np.where(changes, rows, 0))


def true_range(bars: pl.DataFrame) -> Array:
    """True range in price units (Wilder 1978): max(High, previous Close) - min(Low, previous Close).

    The Symbol's first row has no previous Close and takes High - Low.
    """
    high, low = bars["High"].to_numpy(), bars["Low"].to_numpy()
    result: Array = high - low
    if bars.height > 1:
        before = bars["Close"].to_numpy()[:-1]
        gapped = np.maximum(high[1:], before) - np.minimum(low[1:], before)
        result[1:] = np.where(bar_number(bars)[1:] > 0, gapped, result[1:])
    return result


def average_true_range(bars: pl.DataFrame, period: int) -> Array:
    """Mean of the last ``period`` true ranges of the Symbol, this bar included (float64).

    NaN on the first ``period - 1`` bars of a Symbol. The addition runs from the oldest to this bar, so equal
    windows give equal bits.
    """
    ranges = true_range(bars)
    result = np.full(bars.height, np.nan)
    count = bars.height - period + 1
    if count > 0:
        total = np.zeros(count)
        for lag in range(period):
            total += ranges[lag : lag + count]
        result[period - 1 :] = total / period
        result[bar_number(bars) < period - 1] = np.nan
    return result
