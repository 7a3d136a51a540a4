"""Bars of a made-up market, in one call: for tests of strategies, and where no market is at hand."""

from collections.abc import Sequence

import polars as pl

from trading.bars import assemble_m1, resample
from trading.synthetic.market import SyntheticMarket

_COLUMNS = ("Symbol", "Timestamp", "Open", "High", "Low", "Close", "Volume")


def synthetic_bars(
    timeframe: str = "5m", *, symbols: int | Sequence[str] = 4, sessions: int = 10, seed: int = 7
) -> pl.DataFrame:
    """Complete bars of a :class:`SyntheticMarket`, as the platform resamples them: contract ``bars``.

    Raises:
        ConfigError: an unknown timeframe, or arguments that make no market.
    """
    market = SyntheticMarket(seed=seed, symbols=symbols, sessions=sessions)
    minutes = (frame.select(pl.lit(symbol).alias("Symbol"), pl.col(*_COLUMNS[1:])) for symbol, frame in market.frames())
    return resample(assemble_m1(minutes).bars, timeframe)
