"""Price levels that outlive a corporate action."""

import datetime as dt

import polars as pl

from trading.bars.adjust import scaled, with_factors
from trading.contracts import require_columns
from trading.corporate_actions import in_force_from
from trading.errors import ConfigError
from trading.strategies.contracts import LEVELS


def adjust_levels(
    signals: pl.DataFrame,
    actions: pl.DataFrame,
    from_session: dt.date | str,
    to_session: dt.date,
    *,
    dividends: bool = False,
    closes: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Price levels of signals set in one session as they stand in a later one.

    For an order that lives over an ex_date, and for a replay on the view as of ``to_session`` of signals that were each
    made on the view of their own session.

    Args:
        signals: Symbol and any of long_entry, short_entry, sl_long, sl_short, tp_long, tp_short (Float64, null = absent);
            other columns, ``meta_`` ones too, are left as they are.
        actions: contract ``corporate_actions``.
        from_session: of all signals, or the name of the column (Date) that holds the session of each.
        to_session: actions with a later ex_date, or announced later, do not exist.
        dividends: whether cash dividends move levels; needs ``closes``.
        closes: raw daily bars: Symbol, session, Close.

    Returns:
        The rows in their order; those whose Symbol became another security in between are left out. A quantity goes the
        other way: multiply it by the ratio of the split.

    Raises:
        ConfigError: dividends without closes.
        ContractViolation: a wrong column, or ``dividend_above_close``.
    """
    if dividends and closes is None:
        raise ConfigError("levels can follow dividends only with closes: raw daily bars with Symbol, session, Close")
    column = from_session if isinstance(from_session, str) else "_from"
    rows = signals if isinstance(from_session, str) else signals.with_columns(pl.lit(from_session).alias(column))
    levels = [name for name in LEVELS if name in signals.columns]
    columns = {"Symbol": pl.String, column: pl.Date, **dict.fromkeys(levels, pl.Float64)}
    require_columns(rows, columns, "signals", extra=True)
    known = actions.filter(in_force_from() <= to_session)
    found = with_factors(rows, known, closes if dividends else None, column)
    return signals if found is None else found.with_columns(scaled(level) for level in levels).select(signals.columns)
