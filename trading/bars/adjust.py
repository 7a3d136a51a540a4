"""Adjusted views: bars as they compare with the prices of one date, made from raw bars and corporate actions.

A view as of a date knows the actions that were in effect and announced by then and no later one, so that nothing
computed on it looks ahead. Raw bars stay as they are.

Prices of earlier sessions are divided by the shares that one old share became. With dividends they are also multiplied by
``1 - amount / Close``, Close being the last one before the ex_date: the multiplier behind the adjusted closes that data
vendors publish after the standards of CRSP (Center for Research in Security Prices).
"""

import datetime as dt

import polars as pl

from trading.contracts import PRICES, require_columns, violation
from trading.corporate_actions import ACTION_COLUMNS, CONTRACT, DIVIDEND, NEW_SECURITY, SPLIT, in_force_from

_DAILY = {"Symbol": pl.String, "session": pl.Date, "Close": pl.Float64}
_BARS = {**_DAILY, **dict.fromkeys(PRICES, pl.Float64), "Volume": pl.Int64}
_STEP = ("Symbol", "session")

NEW, OLD, CASH = "_new", "_old", "_cash"
"""Columns of :func:`with_factors`: a price is divided by _new and multiplied by _old and _cash."""


def adjust(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    as_of: dt.date,
    *,
    dividends: bool = False,
    closes: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """``bars`` as a trader sees them on ``as_of``: earlier sessions on the share count of that date.

    Args:
        bars: Symbol, Timestamp, Open, High, Low, Close (Float64), Volume (Int64), session (Date) and any more columns;
            raw, of any timeframe, rows in any order.
        actions: contract ``corporate_actions``.
        as_of: actions with a later ex_date, or announced later, do not exist.
        dividends: whether cash dividends count besides splits. Amounts are taken to be in the currency of the prices.
        closes: raw daily bars (Symbol, session, Close) to take the close before a dividend from, where ``bars`` may lack
            the last bar before it; default: the last bar of ``bars`` before it.

    Returns:
        The same columns and the same order of rows. Rows before a ``new_security`` in force are left out. Prices are not
        rounded to ticks. Volume is scaled the other way and rounded to the nearest integer, halves to even; n for 1
        is exact.

    Raises:
        ContractViolation: a wrong column, or ``dividend_above_close``.
    """
    return apply_actions(bars, actions.filter(in_force_from() <= as_of), dividends=dividends, closes=closes)


def apply_actions(
    bars: pl.DataFrame, known: pl.DataFrame, *, dividends: bool = False, closes: pl.DataFrame | None = None
) -> pl.DataFrame:
    """``bars`` with all of ``known`` applied to the sessions before each ex_date, see :func:`adjust`."""
    require_columns(bars, _BARS, "bars", extra=True)
    if dividends and closes is None:
        closes = _last_closes(bars, known)
    rows = with_factors(bars, known, closes if dividends else None)
    if rows is None:
        return bars
    volume, new = pl.col("Volume"), pl.col(NEW)
    whole = (pl.col(OLD) == 1) & (new == new.floor())
    return rows.with_columns(
        *(scaled(price) for price in PRICES),
        pl.when(whole)
        .then(volume * new.cast(pl.Int64))
        .otherwise((volume * new / pl.col(OLD)).round(mode="half_to_even").cast(pl.Int64))
        .alias("Volume"),
    ).select(bars.columns)


def scaled(price: str) -> pl.Expr:
    """A price column brought to the later share count, on rows of :func:`with_factors`.

    A division by the 7 of 7 for 1 and a product with the 20 of 1 for 20 are exact, a product with 1/7 is not.
    """
    return (pl.col(price) / pl.col(NEW) * pl.col(OLD) * pl.col(CASH)).alias(price)


def with_factors(
    rows: pl.DataFrame, known: pl.DataFrame, closes: pl.DataFrame | None, session: str = "session"
) -> pl.DataFrame | None:
    """``rows`` with what the actions after each row's session come to; None where they change nothing.

    Args:
        rows: Symbol and ``session`` (Date).
        known: the actions to apply, contract ``corporate_actions``.
        closes: raw Symbol, session, Close; None leaves dividends out.

    Returns:
        ``rows`` in their order with the columns _new, _old and _cash (Float64), without those whose Symbol was another
        security.
    """
    runs, run_of_row = session_runs(rows, session)
    found = _factors(runs.with_row_index("_run"), known, closes)
    if found.is_empty():
        return None
    per_run = runs.with_row_index("_run").join(found, on="_run", how="left", maintain_order="left")
    filled = per_run.select(pl.col(NEW, OLD, CASH).fill_null(1.0), pl.col("_gone").fill_null(False))
    widened = rows.with_columns(filled[name].gather(run_of_row) for name in (NEW, OLD, CASH))
    return widened.filter(~filled["_gone"].gather(run_of_row)) if filled["_gone"].any() else widened


def session_runs(rows: pl.DataFrame, session: str = "session") -> tuple[pl.DataFrame, pl.Series]:
    """Neighbouring rows of one Symbol and session, taken together: what is done once per run is spared its rows.

    Returns:
        Symbol, session of each run in order, and for each row of ``rows`` the number of its run (UInt32, from 0).
    """
    symbol, day = pl.col("Symbol"), pl.col(session)
    begins = rows.select(((symbol != symbol.shift()) | (day != day.shift())).fill_null(True)).to_series()
    return rows.filter(begins).select("Symbol", session=session), begins.cum_sum().cast(pl.UInt32) - 1


def _factors(runs: pl.DataFrame, known: pl.DataFrame, closes: pl.DataFrame | None) -> pl.DataFrame:
    """_run, _new, _old, _cash, _gone for those of ``runs`` that an action comes after."""
    require_columns(known, ACTION_COLUMNS, CONTRACT)
    kinds = [SPLIT, NEW_SECURITY] if closes is None else [SPLIT, NEW_SECURITY, DIVIDEND]
    events = known.filter(pl.col("kind").is_in(kinds)).sort("Symbol", "ex_date")
    ratio = pl.col("ratio").fill_null(1.0)
    after = (
        events.with_columns(pl.lit(1.0).alias(CASH) if closes is None else _cash_factors(events, closes))
        .with_columns(
            pl.when(ratio > 1).then(ratio).otherwise(1.0).alias(NEW),
            pl.when(ratio < 1).then(1 / ratio).otherwise(1.0).alias(OLD),
            _gone=pl.col("kind") == NEW_SECURITY,
        )
        .group_by("Symbol", "ex_date", maintain_order=True)
        .agg(pl.col(NEW, OLD, CASH).product(), pl.col("_gone").any())
        .with_columns(
            pl.col(NEW, OLD, CASH).cum_prod(reverse=True).over("Symbol"),
            pl.col("_gone").cum_max(reverse=True).over("Symbol"),
        )
    )
    return (
        runs.join(after, on="Symbol", how="semi")
        .sort(_STEP)
        .join_asof(
            after,
            left_on="session",
            right_on="ex_date",
            by="Symbol",
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,  # both are sorted; polars cannot see that within groups
        )
        .filter(pl.col("_gone").is_not_null())
        .select("_run", NEW, OLD, CASH, "_gone")
    )


def _last_closes(bars: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Symbol, session, Close of the last session before each dividend."""
    runs, run_of_row = session_runs(bars)
    paid = known.filter(pl.col("kind") == DIVIDEND).select("Symbol", "ex_date").sort("Symbol", "ex_date")
    before = (
        paid.join_asof(
            runs.unique().sort(_STEP).with_columns(last="session"),
            left_on="ex_date",
            right_on="session",
            by="Symbol",
            allow_exact_matches=False,
            check_sortedness=False,  # both are sorted; polars cannot see that within groups
        )
        .select("Symbol", session="last")
        .unique()
    )
    needed = runs.join(before.with_columns(_needed=True), on=_STEP, how="left", maintain_order="left")["_needed"]
    rows = bars.filter(needed.fill_null(False).gather(run_of_row))
    return rows.group_by(_STEP).agg(pl.col("Close").sort_by("Timestamp").last())


def _cash_factors(events: pl.DataFrame, closes: pl.DataFrame) -> pl.Series:
    """``1 - amount / Close`` of each dividend; 1 for other rows, and where there is no earlier close."""
    require_columns(closes, _DAILY, "bars", where="closes", extra=True)
    priced = events.join_asof(
        closes.select(_DAILY.keys()).sort(_STEP),
        left_on="ex_date",
        right_on="session",
        by="Symbol",
        strategy="backward",
        allow_exact_matches=False,
        check_sortedness=False,  # both are sorted; polars cannot see that within groups
    )
    wrong = priced.filter(pl.col("amount") >= pl.col("Close"))
    if wrong.height:
        says = "a dividend must be below the close before it; where a company is wound up, write new_security"
        shown = wrong.select("Symbol", "ex_date", "amount", "currency", "Close")
        raise violation(CONTRACT, "dividend_above_close", says, rows=shown)
    return priced.select((1 - pl.col("amount") / pl.col("Close")).fill_null(1.0).alias(CASH)).to_series()
