"""Stops and targets of sparse setups, free of float noise."""

from collections.abc import Mapping
from decimal import Decimal

import polars as pl

from trading.instruments import Instrument

_DIGITS = 15
"""Every decimal of up to 15 significant digits has a float of its own, so rounding to 15 digits takes away
the noise of the arithmetic (100.1 - 0.2 = 99.89999999999999) and nothing else. Without it a level that
belongs on the tick grid would be rounded one whole tick away."""


def instrument_of(symbol: str, instruments: Mapping[str, Instrument] | None) -> Instrument:
    """The instrument of ``symbol``; the defaults of :class:`Instrument` where none is given."""
    known = None if instruments is None else instruments.get(symbol)
    return Instrument(symbol=symbol) if known is None else known


def clean(figure: pl.Expr, *parts: pl.Expr) -> pl.Expr:
    """A computed figure as the decimal that it means: to 15 significant digits of the largest of it and ``parts``.

    Args:
        parts: what it was computed from. Their noise stays when they nearly cancel out: 100.5 - 99.9 is
            0.5999999999999943, and 15 digits of that are noise, too.
    """
    largest = pl.max_horizontal(part.abs() for part in (figure, *parts))
    step = pl.lit(10.0).pow(_DIGITS - 1 - largest.log10().floor())
    return (figure * step).round() / step


def longest_stop(setups: pl.DataFrame, ticks: int, instruments: Mapping[str, Instrument] | None) -> pl.Series:
    """``ticks`` times the tick size of each row's Symbol, in price units (Float64)."""
    symbols = setups["Symbol"].unique().to_list()
    spans = pl.DataFrame(
        {
            "Symbol": symbols,
            "span": [float(Decimal(ticks) * instrument_of(s, instruments).tick) for s in symbols],
        },
        schema={"Symbol": pl.String, "span": pl.Float64},
    )
    return setups.select("Symbol").join(spans, on="Symbol", how="left", maintain_order="left")["span"]


def with_targets(setups: pl.DataFrame, risk_reward: float) -> pl.DataFrame:
    """``setups`` with sides of zero stop distance taken out and targets added.

    Args:
        setups: Float64 columns long_entry, sl_long, short_entry, sl_short.
        risk_reward: distance of the target from the entry, in stop distances.

    Returns:
        The rows that have a side left, with tp_long and tp_short.
    """
    col = pl.col
    long, short = col("long_entry") > col("sl_long"), col("short_entry") < col("sl_short")
    return (
        setups.with_columns(
            *(pl.when(long).then(col(name)).alias(name) for name in ("long_entry", "sl_long")),
            *(pl.when(short).then(col(name)).alias(name) for name in ("short_entry", "sl_short")),
        )
        .filter(col("long_entry").is_not_null() | col("short_entry").is_not_null())
        .with_columns(
            long_distance=clean(col("long_entry") - col("sl_long"), col("long_entry")) * risk_reward,
            short_distance=clean(col("sl_short") - col("short_entry"), col("sl_short")) * risk_reward,
        )
        .with_columns(
            tp_long=clean(col("long_entry") + col("long_distance"), col("long_entry")),
            tp_short=clean(col("short_entry") - col("short_distance"), col("short_entry")),
        )
        .drop("long_distance", "short_distance")
    )
