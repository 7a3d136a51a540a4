"""The rows of one session out of the deliveries of many Symbols."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from resources.sources.downloads.spans import span_of
from resources.sources.downloads.store import PAGE, Delivery, Parse
from trading.contracts import INSTANT, PRICES
from trading.ports.sources import Step
from trading.sessions import SessionCalendar

COLUMNS: Mapping[str, Any] = {
    "Symbol": pl.String,
    "Timestamp": INSTANT,
    **dict.fromkeys(PRICES, pl.Float64),
    "Volume": pl.Int64,
    PAGE: pl.Int32,
}
TRADED = pl.any_horizontal(pl.col(*PRICES).is_not_null())
"""Not so where a vendor lists a bar in which nothing was traded."""


def session_rows(
    deliveries: Sequence[Delivery],
    session: dt.date,
    exchange: SessionCalendar,
    step: Step,
    parse_of: Callable[[str], Parse],
) -> pl.DataFrame:
    """``COLUMNS``, by delivery in their order, then by time; of each Symbol one delivery."""
    span = span_of(session, exchange, step)
    within = pl.col("Timestamp").is_between(pl.lit(span.start, INSTANT), pl.lit(span.end, INSTANT), closed="left")

    def labelled(rows: pl.LazyFrame, symbol: str) -> pl.LazyFrame:
        return rows.filter(within).select(pl.lit(symbol).alias("Symbol"), *list(COLUMNS)[1:])

    try:
        parts = pl.collect_all([labelled(one.scan(), one.symbol) for one in deliveries])
    except (OSError, pl.exceptions.PolarsError):  # one of them: each by itself, which makes it again
        parts = [labelled(one.rows(parse_of(one.symbol)).lazy(), one.symbol).collect() for one in deliveries]
    rows = pl.concat([pl.DataFrame(schema=dict(COLUMNS)), *parts])
    return rows.filter(dates(rows["Timestamp"], exchange, step) == session)


def dates(timestamps: pl.Series, exchange: SessionCalendar, step: Step) -> pl.Series:
    """The date of the session that each bar belongs to, whether or not there is such a session."""
    return timestamps.dt.date() if step == "1d" else exchange.belongs_to(timestamps)
