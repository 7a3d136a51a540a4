"""Adjusted views for many sessions at once, each session on the view as of its own date.

Between two dates on which an action of a Symbol comes into force, the view of that Symbol is one and the same. So a long
range of sessions needs few passes: the n-th pass holds, of every Symbol, the sessions after the n-th such date and before
the next one. Most Symbols have no action in a range and are done in the first pass.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import polars as pl

from trading.bars.adjust import apply_actions, session_runs
from trading.contracts import require_columns, sorted_unique, violation
from trading.corporate_actions import DIVIDEND, in_force_from


@dataclass(frozen=True)
class AsOfPass:
    """Bars on one view per Symbol.

    Attributes:
        wanted: Symbol, session: those whose view this is.
        bars: adjusted; of each Symbol the wanted sessions and the bars before them, and none after.
    """

    wanted: pl.DataFrame
    bars: pl.DataFrame


def as_of_passes(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    sessions: Collection[dt.date],
    *,
    warmup: int | None = None,
    dividends: bool = False,
    closes: pl.DataFrame | None = None,
) -> Iterator[AsOfPass]:
    """Passes in which every (Symbol, session) of ``bars`` and ``sessions`` is wanted exactly once.

    The wanted rows of a pass, and the bars before them, equal ``adjust(bars, actions, session)`` for every wanted
    session.

    Args:
        bars: as :func:`trading.bars.adjust.adjust` takes them, sorted by Symbol, Timestamp; with the bars before the
            first session that a computation needs.
        actions: contract ``corporate_actions``.
        sessions: that results are wanted for.
        warmup: bars of a Symbol to give, at the least, before the first wanted session of a pass; None gives all there
            are.
        dividends, closes: see :func:`trading.bars.adjust.adjust`.

    Raises:
        ContractViolation: wrong columns, or ``sorted_unique``.
    """
    require_columns(bars, {"Symbol": pl.String, "session": pl.Date}, "bars", extra=True)
    runs, run_of_row = session_runs(bars)
    in_order = sorted_unique("Symbol", "session")
    if not runs.select(in_order.holds.fill_null(True).all()).item():
        raise violation("bars", in_order.name, "bars must be sorted by Symbol, Timestamp", where="as_of_passes")
    runs = runs.with_columns(bars=run_of_row.value_counts(name="n").sort(run_of_row.name)["n"].cast(pl.Int64))
    wanted = runs.select("Symbol", "session").filter(pl.col("session").is_in(list(sessions)))
    if wanted.is_empty():
        return
    relevant = actions if dividends else actions.filter(pl.col("kind") != DIVIDEND)
    for segment in _numbered(wanted, relevant).partition_by("number", maintain_order=True):
        reach = segment.group_by("Symbol").agg(first=pl.col("session").min(), last=pl.col("session").max())
        known = (
            relevant.join(reach.select("Symbol", "first"), on="Symbol")
            .filter(in_force_from() <= pl.col("first"))
            .select(actions.columns)
        )
        reached = _reached(runs, reach, warmup)
        raw = bars if reached.all() else bars.filter(reached.gather(run_of_row))
        yield AsOfPass(
            wanted=segment.select("Symbol", "session"),
            bars=apply_actions(raw, known, dividends=dividends, closes=closes),
        )


def compute_as_of(
    compute: Callable[[pl.DataFrame], pl.DataFrame],
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    sessions: Collection[dt.date],
    *,
    warmup: int | None = None,
    dividends: bool = False,
    closes: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """``compute`` over ``bars`` with every session on the view as of its own date.

    Args:
        compute: a causal function of bars, Symbol by Symbol, that returns at most one row per (Symbol, Timestamp), such
            as a strategy's signals.
        others: as :func:`as_of_passes`.

    Returns:
        The rows of the wanted sessions as ``compute`` returns them, with session (Date); sorted by Symbol, Timestamp.
    """
    parts = [
        compute(part.bars)
        .join(part.bars.select("Symbol", "Timestamp", "session"), on=["Symbol", "Timestamp"], how="inner")
        .join(part.wanted, on=["Symbol", "session"], how="semi")
        for part in as_of_passes(bars, actions, sessions, warmup=warmup, dividends=dividends, closes=closes)
    ]
    if not parts:
        empty = bars.clear()
        return compute(empty).with_columns(session=pl.lit(None, pl.Date))
    return pl.concat(parts).sort("Symbol", "Timestamp")


def _numbered(wanted: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """``wanted`` with number (UInt32): how many dates, after the Symbol's first wanted session and up to this one, brought
    an action into force.
    """
    dates = actions.select("Symbol", date=in_force_from()).unique().sort("Symbol", "date")
    counted = dates.with_columns(count=pl.int_range(1, pl.len() + 1, dtype=pl.UInt32).over("Symbol"))
    in_force = (
        wanted.sort("Symbol", "session")
        .join_asof(counted, left_on="session", right_on="date", by="Symbol", check_sortedness=False)
        .with_columns(pl.col("count").fill_null(0))
    )
    # numbered without holes: two dates between the same two sessions are one step
    number = pl.col("count").rank("dense").over("Symbol") - 1
    return in_force.select("Symbol", "session", number=number).sort("number", "Symbol", "session")


def _reached(runs: pl.DataFrame, reach: pl.DataFrame, warmup: int | None) -> pl.Series:
    """Whether each run belongs to a pass: from ``warmup`` bars before the first session of its Symbol to the last one."""
    rows = runs.join(reach, on="Symbol", how="left", maintain_order="left")
    inside = pl.col("session") <= pl.col("last")
    if warmup is not None:
        before = pl.when(pl.col("session") < pl.col("first")).then("bars").otherwise(0)
        later = before.cum_sum(reverse=True).over("Symbol") - before  # bars between the run and the first session
        inside &= (pl.col("session") >= pl.col("first")) | (later < warmup)
    return rows.select(inside.fill_null(False)).to_series()
