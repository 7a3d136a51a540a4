"""Prices that no trade at the market can have made: wicks and reversals far beyond what the Symbol does otherwise.

This is diagnosis, not a signal: a session is judged by those before and after it. What is found is reported and left in the
bars.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from trading.contracts import PRICES, Rule, register, require_columns, sorted_unique, table

if TYPE_CHECKING:
    from pandera.polars import DataFrameSchema

OUTLIER_SCHEMA: Mapping[str, Any] = MappingProxyType(
    {
        "Symbol": pl.String,
        "session": pl.Date,
        "rule": pl.String,
        "price": pl.Float64,
        "reference": pl.Float64,
        "figure": pl.Float64,
        "limit": pl.Float64,
    }
)

RULES = ("close_reverts", "high_wick", "low_wick", "open_reverts")

_NORMAL = 1.4826  # median absolute deviation of a normal distribution is sigma / 1.4826
_NEEDED = {"Symbol": pl.String, "session": pl.Date, **dict.fromkeys(PRICES, pl.Float64)}


class OutlierConfig(BaseModel):
    """When a price is called an outlier.

    Args:
        window: sessions around the one judged, itself in the middle, that say what is usual for the Symbol.
        min_sessions: of them that must be there; with fewer nothing is judged.
        wick_zscore: a wick is an outlier beyond so many robust standard deviations, after what the market's median Symbol
            showed in the session is taken off.
        reversal_zscore: as many robust standard deviations of session returns must the price have gone and come back.
        min_wick_scale: lower bound of a wick's scale, as a share of the price.
        min_return_scale: lower bound of the returns' scale, as a share of the price.
        market_symbols: Symbols that a session needs before they count as a market.
        max_days_apart: calendar days between two sessions of a Symbol beyond which they do not follow each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: int = Field(61, ge=5)
    min_sessions: int = Field(20, ge=5)
    wick_zscore: float = Field(50.0, gt=0.0)
    reversal_zscore: float = Field(8.0, gt=0.0)
    min_wick_scale: float = Field(1e-3, gt=0.0)
    min_return_scale: float = Field(3e-3, gt=0.0)
    market_symbols: int = Field(4, ge=2)
    max_days_apart: int = Field(10, ge=1)


def price_outliers(bars: pl.DataFrame, config: OutlierConfig | None = None) -> pl.DataFrame:
    """Outliers of daily bars, columns of ``OUTLIER_SCHEMA``, sorted by Symbol, session, rule; at most one row of each.

    Robust z-scores are (x - median) / max(1.4826 * MAD, lower bound) over a centred window (Iglewicz and Hoaglin 1993). The
    rules, with logarithms of price ratios throughout, so that a factor counts alike upwards and downwards:

    - ``high_wick``: High over the higher of Open and Close; ``low_wick``: the lower of them over Low. From the z-score that
      of the session's median Symbol is taken off where it is positive: in a crash of the whole market long wicks are real.
    - ``close_reverts``: Close away from the Close before, and the next Open back by as much. The smaller of both moves
      counts. The newest session has no next Open yet and is judged when it has.
    - ``open_reverts``: Open away from the Close before, and the same session's Close back. Only an Open that is the
      session's High or Low: where trades went beyond it, the price was there.

    A move that stays, a crash or a split, is none of them, so splits need no adjusting.

    Args:
        bars: one row per Symbol and session with Open, High, Low, Close (Float64, above 0); other columns are ignored, the
            order of rows does not matter.
        config: thresholds; default :class:`OutlierConfig`.

    Returns:
        ``price`` is the one found, ``reference`` the nearest that the rest of the bars supports, ``figure`` the robust
        z-score and ``limit`` what it may be.

    Raises:
        ContractViolation: a needed column is missing or of another type.
    """
    require_columns(bars, _NEEDED, "price_outliers", extra=True)
    config = config or OutlierConfig()
    if bars.is_empty():
        return pl.DataFrame(schema=dict(OUTLIER_SCHEMA))
    scored = _scored(bars.select(*_NEEDED).sort("Symbol", "session"), config)
    high, low = pl.max_horizontal("Open", "Close"), pl.min_horizontal("Open", "Close")
    before = pl.col("Close").shift().over("Symbol")
    found = [
        _found("high_wick", "High", high, config.wick_zscore),
        _found("low_wick", "Low", low, config.wick_zscore),
        _found("close_reverts", "Close", before, config.reversal_zscore),
        _found("open_reverts", "Open", before, config.reversal_zscore),
    ]
    rows = [scored.select(columns).filter(pl.col("figure") > pl.col("limit")) for columns in found]
    return pl.concat(rows).sort("Symbol", "session", "rule")


def _scored(bars: pl.DataFrame, config: OutlierConfig) -> pl.DataFrame:
    """``bars`` with a column per rule: its robust z-score, null where the session cannot be judged."""

    def centre(x: pl.Expr) -> pl.Expr:
        rolled = x.rolling_median(config.window, center=True, min_samples=config.min_sessions)
        return rolled.over("Symbol")

    def spread(x: pl.Expr, least: float) -> pl.Expr:
        return pl.max_horizontal(_NORMAL * centre((x - centre(x)).abs()), pl.lit(least))

    high, low = pl.max_horizontal("Open", "Close"), pl.min_horizontal("Open", "Close")
    moves = _moves(bars, config).with_columns(
        high_wick=(pl.col("High") / high).log(), low_wick=(low / pl.col("Low")).log()
    )
    wicks = [
        ((pl.col(wick) - centre(pl.col(wick))) / spread(pl.col(wick), config.min_wick_scale)).alias(wick)
        for wick in ("high_wick", "low_wick")
    ]
    scale = spread(pl.col("since_close"), config.min_return_scale)
    extreme = (pl.col("Open") == pl.col("High")) | (pl.col("Open") == pl.col("Low"))
    scored = moves.with_columns(
        *wicks,
        close_reverts=_went_and_came_back("since_close", "next_gap") / scale,
        open_reverts=pl.when(extreme).then(_went_and_came_back("gap", "body") / scale),
    )
    return scored.with_columns(_without_the_market(wick, config) for wick in ("high_wick", "low_wick"))


def _moves(bars: pl.DataFrame, config: OutlierConfig) -> pl.DataFrame:
    """With gap (to Open), body, since_close (Close to Close) and next_gap, as logarithms; null across holes in the data."""
    apart = pl.col("session").diff().dt.total_days().over("Symbol")
    before = pl.when(apart <= config.max_days_apart).then(pl.col("Close").shift().over("Symbol"))
    moves = bars.with_columns(
        gap=(pl.col("Open") / before).log(),
        body=(pl.col("Close") / pl.col("Open")).log(),
        since_close=(pl.col("Close") / before).log(),
    )
    return moves.with_columns(next_gap=pl.col("gap").shift(-1).over("Symbol"))


def _went_and_came_back(first: str, then: str) -> pl.Expr:
    """The smaller of two moves in opposite directions, 0 where they go the same way."""
    opposite = pl.col(first) * pl.col(then) < 0
    size = pl.min_horizontal(pl.col(first).abs(), pl.col(then).abs())
    return pl.when(opposite).then(size).when(opposite.not_()).then(0.0)


def _without_the_market(wick: str, config: OutlierConfig) -> pl.Expr:
    market = pl.col(wick).median().over("session").clip(lower_bound=0.0)
    is_market = pl.col(wick).count().over("session") >= config.market_symbols
    return pl.when(is_market).then(pl.col(wick) - market).otherwise(pl.col(wick)).alias(wick)


def _found(rule: str, price: str, reference: pl.Expr, limit: float) -> list[pl.Expr]:
    return [
        pl.col("Symbol"),
        pl.col("session"),
        pl.lit(rule).alias("rule"),
        pl.col(price).alias("price"),
        reference.alias("reference"),
        pl.col(rule).alias("figure"),
        pl.lit(limit).alias("limit"),
    ]


STORED_SCHEMA: Mapping[str, Any] = MappingProxyType({"dataset": pl.String, "universe": pl.String, **OUTLIER_SCHEMA})
"""The table ``price_outliers``: which daily bars were judged, then what was found; universe is empty for all together."""


def _contract() -> "DataFrameSchema":
    known = Rule("known_rule", pl.col("rule").is_in(RULES), f"rule must be one of {', '.join(RULES)}")
    beyond = Rule("beyond_limit", pl.col("figure") > pl.col("limit"), "an outlier's figure lies beyond its limit")
    key = sorted_unique("dataset", "universe", "Symbol", "session", "rule")
    return table("price_outliers", STORED_SCHEMA, rules=[known, beyond, key])


register("price_outliers", _contract)
