"""The signal frame: what every strategy returns and the replay reads."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from trading.contracts import INSTANT, Rule, register, require_columns, sorted_unique, table, violation

if TYPE_CHECKING:
    from pandera.polars import DataFrameSchema

LEVELS = ("long_entry", "short_entry", "sl_long", "sl_short", "tp_long", "tp_short")
META_PREFIX = "meta_"

SIGNAL_COLUMNS: Mapping[str, Any] = {
    "Symbol": pl.String,
    "Timestamp": INSTANT,
    **dict.fromkeys(LEVELS, pl.Float64),
}
"""Columns of a signal frame before its ``meta_`` columns; a null level is an absent side or target."""

_META_SAYS = f"columns beyond {' '.join(SIGNAL_COLUMNS)} must start with {META_PREFIX}"


def signal_rules() -> list[Rule]:
    """What every row of a signal frame must satisfy; a null comparison counts as good."""
    col = pl.col
    long, short = col("long_entry").is_not_null(), col("short_entry").is_not_null()
    finite = pl.all_horizontal(*(col(name).is_finite().fill_null(True) for name in LEVELS))
    return [
        Rule("level_not_finite", finite, "a level must be finite, or null where it is absent"),
        Rule("no_side", long | short, "a signal needs long_entry or short_entry"),
        Rule("long_without_stop", long == col("sl_long").is_not_null(), "long_entry and sl_long come together"),
        Rule(
            "short_without_stop",
            short == col("sl_short").is_not_null(),
            "short_entry and sl_short come together",
        ),
        Rule("target_without_entry_long", long | col("tp_long").is_null(), "tp_long needs long_entry"),
        Rule("target_without_entry_short", short | col("tp_short").is_null(), "tp_short needs short_entry"),
        Rule(
            "entry_not_positive",
            (col("long_entry") > 0) & (col("short_entry") > 0),
            "an entry must be above 0",
        ),
        Rule("sl_long", col("sl_long") < col("long_entry"), "sl_long must be below long_entry"),
        Rule("tp_long", col("tp_long") > col("long_entry"), "tp_long must be above long_entry"),
        Rule("sl_short", col("sl_short") > col("short_entry"), "sl_short must be above short_entry"),
        Rule("tp_short", col("tp_short") < col("short_entry"), "tp_short must be below short_entry"),
        sorted_unique("Symbol", "Timestamp"),
    ]


def check_signals(frame: pl.DataFrame, bars: pl.DataFrame | None = None, *, where: str = "") -> pl.DataFrame:
    """``frame`` where it keeps the contract ``signals``: the same rules as the registered one, without
    pandera.

    Args:
        frame: sorted by Symbol, Timestamp; the columns of ``SIGNAL_COLUMNS``, then ``meta_`` columns.
        bars: when given, every signal must stand on one of these bars.

    Raises:
        ContractViolation: naming the rule and the first offending rows.
    """
    require_columns(frame, SIGNAL_COLUMNS, "signals", where=where, extra=True)
    for name in _strangers(frame.columns):
        raise violation("signals", "unexpected_column", f"{name!r} is not expected; {_META_SAYS}", where=where)
    for key in ("Symbol", "Timestamp"):
        if frame[key].null_count():
            rows = frame.filter(pl.col(key).is_null())
            raise violation("signals", "null", f"column {key} must not be null", rows=rows, where=where)
    rules = signal_rules()
    kept = frame.select(rule.holds.fill_null(True).all().alias(rule.name) for rule in rules).row(0)
    for rule, holds in zip(rules, kept, strict=True):
        if not holds:
            rows = frame.filter(~rule.holds.fill_null(True))
            raise violation("signals", rule.name, rule.says, rows=rows, where=where)
    if bars is not None:
        stray = frame.join(bars, on=["Symbol", "Timestamp"], how="anti")
        if stray.height:
            raise violation(
                "signals", "no_such_bar", "a signal must stand on a bar it was given", rows=stray, where=where
            )
    return frame


def _strangers(columns: list[str]) -> list[str]:
    return [name for name in columns if name not in SIGNAL_COLUMNS and not name.startswith(META_PREFIX)]


def _signals() -> "DataFrameSchema":
    import pandera.polars as pa

    schema = table("signals", SIGNAL_COLUMNS, rules=signal_rules(), nullable=LEVELS, extra=True)

    def only_meta(data: Any) -> pl.LazyFrame:
        frame: pl.LazyFrame = data.lazyframe
        return pl.LazyFrame({"known": [not _strangers(frame.collect_schema().names())]})

    schema.checks.append(pa.Check(only_meta, name="unexpected_column", error=_META_SAYS))
    return schema


register("signals", _signals)
