"""Breakout of a bar that is nearly all body: whoever moved it that far is expected to go on."""

import polars as pl

from trading.strategies.api import Instruments, Strategy
from trading.strategies.contracts import LEVELS
from trading.strategies.indicators import at_least, average_true_range
from trading.strategies.levels import with_targets
from trading.strategies.params import AtrPeriod, NotNegative, Params, Positive, Share


class MarubozuParams(Params):
    """What the strategy takes.

    Args:
        min_body_ratio: least share of the bar's range that its body is.
        min_range_atr: least range of the bar, in average true ranges at the bar itself.
        atr_period: bars of the average true range.
        risk_reward: distance of the target, in stop distances.
    """

    min_body_ratio: Share = 0.9
    min_range_atr: NotNegative = 1.0
    atr_period: AtrPeriod = 14
    risk_reward: Positive = 2.0


class MarubozuBreakout(Strategy[MarubozuParams]):
    """A bullish bar is bought above its High and stopped at its Low; a bearish one is the mirror image."""

    name = "marubozu_breakout"
    short_name = "MB"
    timeframes = ("5m", "1d")
    parameters = MarubozuParams
    source_modules = (
        "trading.strategies.indicators",
        "trading.strategies.levels",
        "trading.strategies.params",
    )

    def warmup(self, params: MarubozuParams) -> int:
        return params.atr_period

    def compute(self, bars: pl.DataFrame, params: MarubozuParams, instruments: Instruments | None) -> pl.DataFrame:
        del instruments  # no level of it depends on a tick
        col = pl.col
        span, body = col("High") - col("Low"), (col("Close") - col("Open")).abs()
        bullish, bearish = col("Close") > col("Open"), col("Close") < col("Open")
        setups = (
            bars.with_columns(meta_atr=pl.Series(average_true_range(bars, params.atr_period)))
            .filter(
                at_least(body, params.min_body_ratio * span)
                & at_least(span, params.min_range_atr * col("meta_atr"))
                & col("meta_atr").is_not_nan()
            )
            .select(
                "Symbol",
                "Timestamp",
                "meta_atr",
                long_entry=pl.when(bullish).then("High"),
                sl_long=pl.when(bullish).then("Low"),
                short_entry=pl.when(bearish).then("Low"),
                sl_short=pl.when(bearish).then("High"),
            )
        )
        return with_targets(setups, params.risk_reward).select("Symbol", "Timestamp", *LEVELS, "meta_atr")
