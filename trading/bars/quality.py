"""The daily quality table: what is missing, doubled, odd or silent, per Symbol and session."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from trading.bars.assemble import AssembledBars
from trading.contracts import INSTANT, Rule, register, sorted_unique, table
from trading.sessions import SessionCalendar, get_calendar

if TYPE_CHECKING:
    from pandera.polars import DataFrameSchema

QUALITY_SCHEMA: Mapping[str, Any] = MappingProxyType(
    {
        "Symbol": pl.String,
        "session": pl.Date,
        "minutes_expected": pl.Int32,
        "minutes_present": pl.Int32,
        "coverage": pl.Float64,
        "missing_minutes": pl.Int32,
        "longest_gap": pl.Int32,
        "missing": pl.List(INSTANT),
        "first_minute": INSTANT,
        "last_minute": INSTANT,
        "rows_in": pl.Int64,
        "exact_duplicates": pl.Int64,
        "rows_outside_session": pl.Int64,
        "zero_volume": pl.Int32,
        "outliers": pl.Int32,
        "worst_zscore": pl.Float64,
        "worst_minute": INSTANT,
        "passed": pl.Boolean,
    }
)

_NORMAL = 1.4826  # median absolute deviation of a normal distribution is sigma / 1.4826
_KEY = ["Symbol", "session"]


class QualityConfig(BaseModel):
    """Thresholds of the table.

    Args:
        min_coverage: share of the session's minutes below which a Symbol fails.
        outlier_zscore: a minute whose robust z-score is above it counts as an outlier.
        min_return_scale: lower bound of the scale that returns are measured in; keeps a quiet Symbol, whose
            returns are mostly zero, from having every tick called an outlier.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_coverage: float = Field(0.9, ge=0.0, le=1.0)
    outlier_zscore: float = Field(12.0, gt=0.0)
    min_return_scale: float = Field(2e-4, gt=0.0)


def daily_quality(
    assembled: AssembledBars,
    calendar: str = "XNYS",
    config: QualityConfig | None = None,
    expected: Iterable[str] = (),
) -> pl.DataFrame:
    """One row per Symbol and session, columns of ``QUALITY_SCHEMA``, sorted by Symbol, session.

    Outliers: returns are log(Close / previous Close) within the session, the first one from its own Open;
    z = (return - median) / max(1.4826 * MAD, min_return_scale), per Symbol and session (Iglewicz and Hoaglin
    1993).

    Args:
        assembled: of one or several sessions.
        calendar: of all the Symbols given.
        config: thresholds; default :class:`QualityConfig`.
        expected: Symbols that must be there; one without a single row gets a row of coverage 0 in every
            session that occurs in ``assembled``.
    """
    config = config or QualityConfig()
    sessions = get_calendar(calendar)
    report = assembled.report.filter(pl.col("minutes_expected") > 0)
    base = _with_absent(report, expected, sessions)
    if base.is_empty():
        return pl.DataFrame(schema=dict(QUALITY_SCHEMA))
    present = assembled.bars
    missing = _missing(base.select(_KEY), present, sessions)
    figures = _figures(present, config)
    counts = ("missing_minutes", "longest_gap", "zero_volume", "outliers")
    return (
        base.join(missing, on=_KEY, how="left")
        .join(figures, on=_KEY, how="left")
        .with_columns(
            pl.col(counts).fill_null(0).cast(pl.Int32),
            pl.col("missing").fill_null([]),
            passed=pl.col("coverage") >= config.min_coverage,
        )
        .select(pl.col(name).cast(dtype) for name, dtype in QUALITY_SCHEMA.items())
        .sort(_KEY)
    )


def failing_symbols(quality: pl.DataFrame) -> pl.DataFrame:
    """Rows below ``min_coverage``, worst first: Symbol, session, coverage, minutes present and expected."""
    columns = ["Symbol", "session", "coverage", "minutes_present", "minutes_expected"]
    return quality.filter(~pl.col("passed")).select(columns).sort("coverage", "Symbol", "session")


def _with_absent(report: pl.DataFrame, expected: Iterable[str], calendar: SessionCalendar) -> pl.DataFrame:
    symbols = pl.DataFrame({"Symbol": sorted(set(expected))}, schema={"Symbol": pl.String})
    days = report.select("session").unique()
    absent = symbols.join(days, how="cross").join(report, on=_KEY, how="anti")
    if absent.is_empty():
        return report
    schedule = calendar.frame_of(days["session"])
    filled = absent.join(schedule.select("session", minutes_expected="minutes"), on="session").with_columns(
        pl.lit(0, report.schema[name]).alias(name)
        for name in ("rows_in", "exact_duplicates", "rows_outside_session", "minutes_present")
    )
    filled = filled.with_columns(
        coverage=pl.lit(0.0), first_minute=pl.lit(None, INSTANT), last_minute=pl.lit(None, INSTANT)
    )
    return pl.concat([report, filled.select(report.columns)])


def _missing(keys: pl.DataFrame, bars: pl.DataFrame, calendar: SessionCalendar) -> pl.DataFrame:
    days = keys["session"]
    schedule = calendar.frame_of(days)
    due = keys.join(schedule, on="session").with_columns(
        Timestamp=pl.datetime_ranges("open", "close", "1m", closed="left")
    )
    absent = (
        due.select(*_KEY, "Timestamp")
        .explode("Timestamp")
        .join(bars.select("Symbol", "Timestamp"), on=["Symbol", "Timestamp"], how="anti")
        .sort("Symbol", "Timestamp")
    )
    step = pl.col("Timestamp").diff().over(_KEY)
    runs = absent.with_columns(run=(step != pl.duration(minutes=1)).fill_null(True).cum_sum())
    longest = runs.group_by(*_KEY, "run").len("gap").group_by(_KEY).agg(longest_gap=pl.col("gap").max())
    listed = absent.group_by(_KEY, maintain_order=True).agg(missing=pl.col("Timestamp"), missing_minutes=pl.len())
    return listed.join(longest, on=_KEY)


def _figures(bars: pl.DataFrame, config: QualityConfig) -> pl.DataFrame:
    before = pl.coalesce(pl.col("Close").shift().over(_KEY), "Open")
    returns = bars.select(*_KEY, "Timestamp", "Volume", r=(pl.col("Close") / before).log())
    centre = returns.with_columns(off=pl.col("r") - pl.col("r").median().over(_KEY))
    spread = pl.max_horizontal(pl.col("off").abs().median().over(_KEY) * _NORMAL, pl.lit(config.min_return_scale))
    scored = centre.with_columns(z=pl.col("off") / spread)
    size = pl.col("z").abs()
    return scored.group_by(_KEY).agg(
        zero_volume=(pl.col("Volume") == 0).sum(),
        outliers=(size > config.outlier_zscore).sum(),
        worst_zscore=pl.col("z").get(size.arg_max()),
        worst_minute=pl.col("Timestamp").get(size.arg_max()),
    )


def _contract() -> "DataFrameSchema":
    share = Rule("coverage_share", pl.col("coverage").is_between(0, 1), "coverage must lie in 0 to 1")
    counted = Rule(
        "minutes_add_up",
        pl.col("minutes_present") + pl.col("missing_minutes") == pl.col("minutes_expected"),
        "minutes present and missing must add up to those expected",
    )
    may_be_null = ["first_minute", "last_minute", "worst_zscore", "worst_minute"]
    rules = [share, counted, sorted_unique("Symbol", "session")]
    return table("bar_quality", QUALITY_SCHEMA, rules=rules, nullable=may_be_null)


register("bar_quality", _contract)
