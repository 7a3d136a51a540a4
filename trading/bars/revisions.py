"""How a session's bars differ from the ones that were published before."""

from typing import TYPE_CHECKING, Any

import polars as pl

from trading.contracts import INSTANT, PRICES, Rule, register, table

if TYPE_CHECKING:
    from pandera.polars import DataFrameSchema

_KEY = ["Symbol", "Timestamp"]
_VALUES = (*PRICES, "Volume")
_BPS = 10_000

DIFFERENCE_COLUMNS: dict[str, Any] = {
    "Symbol": pl.String,
    "Timestamp": INSTANT,
    "change": pl.String,
    "column": pl.String,
    "old": pl.Float64,
    "new": pl.Float64,
}


def bar_differences(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Every value that differs between two frames of bars, in which (Symbol, Timestamp) names a row.

    Args:
        before, after: ``Symbol Timestamp Open High Low Close Volume``; other columns are not looked at.

    Returns:
        ``Symbol Timestamp change column old new``, sorted so, columns as a bar has them. ``change`` is ``changed``, ``added``
        (old is null) or ``removed`` (new is null); an added or removed bar has a row for each of its values. Volume is there
        as Float64: above 2**53 units its last digits are rounded.
    """
    sides = [
        frame.select(*_KEY, *(pl.col(name).alias(f"{name}_{side}") for name in _VALUES), pl.lit(True).alias(side))
        for frame, side in ((before, "old"), (after, "new"))
    ]
    both = sides[0].join(sides[1], on=_KEY, how="full", coalesce=True)
    change = (
        pl.when(pl.col("old").is_null())
        .then(pl.lit("added"))
        .when(pl.col("new").is_null())
        .then(pl.lit("removed"))
        .otherwise(pl.lit("changed"))
    )
    parts = [
        both.filter(pl.col(f"{name}_old").ne_missing(pl.col(f"{name}_new"))).select(
            *_KEY,
            change.alias("change"),
            pl.lit(name).alias("column"),
            pl.col(f"{name}_old").cast(pl.Float64).alias("old"),
            pl.col(f"{name}_new").cast(pl.Float64).alias("new"),
            pl.lit(number, pl.Int8).alias("_nth"),
        )
        for number, name in enumerate(_VALUES)
    ]
    return pl.concat(parts).sort(*_KEY, "_nth").drop("_nth").cast(pl.Schema(DIFFERENCE_COLUMNS))


def summary(differences: pl.DataFrame) -> dict[str, Any]:
    """What a person asks first of :func:`bar_differences`.

    Returns:
        ``rows_changed``, ``rows_added``, ``rows_removed``: bars; ``symbols``: Symbols among them; ``largest_bps``: largest
        change of a price that was there before and after, in basis points of the old one, None where no price changed.
    """
    rows = differences.select(*_KEY, "change").unique()
    moved = differences.filter(pl.col("change") == "changed", pl.col("column").is_in(PRICES))
    return {
        **{f"rows_{kind}": rows.filter(pl.col("change") == kind).height for kind in ("changed", "added", "removed")},
        "symbols": rows["Symbol"].n_unique(),
        "largest_bps": moved.select(((pl.col("new") / pl.col("old") - 1).abs() * _BPS).max()).item(),
    }


def _bar_revisions() -> "DataFrameSchema":
    columns = {"session": pl.Date, "revision": pl.Int32, **DIFFERENCE_COLUMNS}
    kinds = pl.col("change").is_in(["changed", "added", "removed"])
    sides = (pl.col("old").is_null() == (pl.col("change") == "added")) & (
        pl.col("new").is_null() == (pl.col("change") == "removed")
    )
    rules = [
        Rule("revision_number", pl.col("revision") >= 1, "revisions are numbered from 1"),
        Rule("change", kinds, "change must be changed, added or removed"),
        Rule("sides", sides, "old is null for an added bar and only there, new for a removed one"),
        Rule("differs", pl.col("old").ne_missing(pl.col("new")) | (pl.col("column") == "Volume"), "old and new differ"),
    ]
    return table("bar_revisions", columns, rules=rules, nullable=["old", "new"])


register("bar_revisions", _bar_revisions)
