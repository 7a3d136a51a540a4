"""The daily quality table: what is missing, doubled, odd, stuck or silent, per Symbol and session."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from trading.bars.assemble import AssembledBars
from trading.contracts import INSTANT, PRICES, Rule, register, sorted_unique, table
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
        "gap_move": pl.Float64,
        "first_minute": INSTANT,
        "last_minute": INSTANT,
        "rows_in": pl.Int64,
        "exact_duplicates": pl.Int64,
        "rows_outside_session": pl.Int64,
        "volume": pl.Int64,
        "zero_volume": pl.Int32,
        "stuck_minutes": pl.Int32,
        "stuck_from": INSTANT,
        "off_tick": pl.Int32,
        "outliers": pl.Int32,
        "worst_zscore": pl.Float64,
        "worst_minute": INSTANT,
        "passed": pl.Boolean,
    }
)

_NORMAL = 1.4826  # median absolute deviation of a normal distribution is sigma / 1.4826
_OFF_TICK = 1e-6  # of a tick: far above the rounding of a division, far below the finest price in use
_KEY = ["Symbol", "session"]


class QualityConfig(BaseModel):
    """Thresholds of the table.

    Args:
        min_coverage: share of the session's minutes below which a Symbol fails.
        outlier_zscore: a minute whose robust z-score is above it counts as an outlier.
        min_return_scale: lower bound of the scale that returns are measured in; keeps a quiet Symbol, whose
            returns are mostly zero, from having every tick called an outlier.
        tick: grid that prices are held against, in the instrument's currency; None does not measure it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_coverage: float = Field(0.9, ge=0.0, le=1.0)
    outlier_zscore: float = Field(12.0, gt=0.0)
    min_return_scale: float = Field(2e-4, gt=0.0)
    tick: float | None = Field(0.01, gt=0.0)


def daily_quality(
    assembled: AssembledBars,
    calendar: str = "XNYS",
    config: QualityConfig | None = None,
    expected: Iterable[str] = (),
) -> pl.DataFrame:
    """One row per Symbol and session, columns of ``QUALITY_SCHEMA``, sorted by Symbol, session.

    - missing, missing_minutes, longest_gap: trading minutes without a bar; a lunch break is neither missing
      nor does it end a gap. A session whose own end is missing has a gap up to the close.
    - gap_move: Open after a gap over Close before it, minus 1: the one that is largest in size; null without
      a gap between two bars of the session.
    - volume, zero_volume: sum over the bars, and bars without any.
    - stuck_minutes, stuck_from: the longest run of bars in which Open, High, Low and Close are all one and
      the same price, and its first minute (null where there is no such bar).
    - off_tick: bars with a price off the grid of ``config.tick``; null where that is None.
    - outliers, worst_zscore, worst_minute: returns are log(Close / previous Close) within the session, the
      first one from its own Open; z = (return - median) / max(1.4826 * MAD, min_return_scale), per Symbol and
      session (Iglewicz and Hoaglin 1993).

    Only coverage decides ``passed``; the other figures are there to be looked at.

    Args:
        assembled: of one or several sessions; bars sorted by Symbol, Timestamp, as assembly gives them.
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
    schedule = sessions.frame_of(base["session"])
    bars = _placed(assembled.bars, schedule)
    counts = ("missing_minutes", "longest_gap", "volume", "zero_volume", "stuck_minutes", "outliers", "off_tick")
    return (
        base.join(_missing(base, bars, schedule), on=_KEY, how="left")
        .join(_figures(bars, config), on=_KEY, how="left")
        .with_columns(
            pl.col(counts).fill_null(0),
            pl.col("missing").fill_null([]),
            passed=pl.col("coverage") >= config.min_coverage,
        )
        .with_columns(pl.col("off_tick") if config.tick else pl.lit(None, pl.Int32).alias("off_tick"))
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


def _placed(bars: pl.DataFrame, schedule: pl.DataFrame) -> pl.DataFrame:
    """``bars`` with minute (the how many-th trading minute of its session, from 0), run (numbers the Symbols and
    sessions as they come) and first (whether the bar is the run's first).

    Rows are sorted, so that a run's rows are neighbours: nothing is hashed.
    """
    edges = schedule[schedule["session"].search_sorted(bars["session"])]
    since_open = (bars["Timestamp"] - edges["open"]).dt.total_minutes()
    lunch = (edges["break_end"] - edges["break_start"]).dt.total_minutes()
    before = (bars["Timestamp"] < edges["break_end"]).fill_null(True)
    first = bars.select(
        pl.any_horizontal(pl.col(name) != pl.col(name).shift() for name in _KEY).fill_null(True)
    ).to_series()
    return bars.with_columns(
        minute=since_open - lunch.fill_null(0).set(before, 0), run=first.cum_sum().set_sorted(), first=first
    )


def _missing(base: pl.DataFrame, bars: pl.DataFrame, schedule: pl.DataFrame) -> pl.DataFrame:
    """Symbol, session, missing, missing_minutes and longest_gap of those that miss any."""
    minute, first = pl.col("minute"), pl.col("first")
    ends = first.shift(-1).fill_null(True)
    last = bars.filter(ends).join(base.select(*_KEY, end="minutes_expected"), on=_KEY)
    gaps = pl.concat(
        [
            bars.select(*_KEY, start=pl.when(first).then(0).otherwise(minute.shift() + 1), end=minute),
            last.select(*_KEY, start=minute + 1, end=pl.col("end").cast(pl.Int64)),
            base.filter(pl.col("minutes_present") == 0).select(
                *_KEY, start=pl.lit(0, pl.Int64), end=pl.col("minutes_expected").cast(pl.Int64)
            ),
        ]
    ).filter(pl.col("start") < pl.col("end"))
    morning = (pl.col("break_start") - pl.col("open")).dt.total_minutes()
    lunch = (pl.col("break_end") - pl.col("break_start")).dt.total_minutes()
    passed = pl.when(pl.col("minute") >= morning).then(lunch).otherwise(0)
    return (
        gaps.with_columns(minute=pl.int_ranges("start", "end"), gap=pl.col("end") - pl.col("start"))
        .explode("minute")
        .join(schedule, on="session")
        .with_columns(Timestamp=pl.col("open") + pl.duration(minutes=pl.col("minute") + passed))
        .group_by(_KEY)
        .agg(missing=pl.col("Timestamp").sort(), missing_minutes=pl.len(), longest_gap=pl.col("gap").max())
    )


def _figures(bars: pl.DataFrame, config: QualityConfig) -> pl.DataFrame:
    first, close, before = pl.col("first"), pl.col("Close"), pl.col("Close").shift()
    flat = (pl.col("High") == pl.col("Low")) & (pl.col("Open") == close)
    goes_on = flat & flat.shift() & (close == before) & ~first
    row = pl.int_range(pl.len())
    ticks = [pl.col(price) / (config.tick or 1.0) for price in PRICES]
    after_gap = ~first & (pl.col("minute") - pl.col("minute").shift() > 1)
    rows = bars.select(
        *_KEY,
        "run",
        "Timestamp",
        "Volume",
        r=(close / pl.when(first).then("Open").otherwise(before)).log(),
        stuck=pl.when(flat).then(row - pl.when(goes_on).then(0).otherwise(row).cum_max() + 1).otherwise(0),
        gap_move=pl.when(after_gap).then(pl.col("Open") / before - 1),
        off=pl.any_horizontal((count - count.round()).abs() > _OFF_TICK for count in ticks),
    )
    scored = _deviation(rows, config.min_return_scale)
    size, stuck = pl.col("z").abs(), pl.col("stuck")
    at_stuck = stuck.arg_max()
    return (
        scored.group_by("run", maintain_order=True)
        .agg(
            pl.col(_KEY).first(),
            volume=pl.col("Volume").sum(),
            zero_volume=(pl.col("Volume") == 0).sum(),
            stuck_minutes=stuck.max(),
            stuck_from=pl.col("Timestamp").get(at_stuck - stuck.get(at_stuck) + 1, null_on_oob=True),
            gap_move=pl.col("gap_move").get(pl.col("gap_move").abs().arg_max(), null_on_oob=True),
            off_tick=pl.col("off").sum(),
            outliers=(size > config.outlier_zscore).sum(),
            worst_zscore=pl.col("z").get(size.arg_max()),
            worst_minute=pl.col("Timestamp").get(size.arg_max()),
        )
        .with_columns(stuck_from=pl.when(pl.col("stuck_minutes") > 0).then("stuck_from"))
        .drop("run")
    )


def _deviation(rows: pl.DataFrame, least: float) -> pl.DataFrame:
    """``rows`` with z, the robust z-score of r within its run."""
    run = rows["run"] - 1
    centre = rows.group_by("run", maintain_order=True).agg(pl.col("r").median())["r"]
    centred = rows.with_columns(off_centre=rows["r"] - centre.gather(run))
    deviation = centred.group_by("run", maintain_order=True).agg(pl.col("off_centre").abs().median())["off_centre"]
    return centred.with_columns(z=centred["off_centre"] / (deviation * _NORMAL).clip(least).gather(run))


def _contract() -> "DataFrameSchema":
    share = Rule("coverage_share", pl.col("coverage").is_between(0, 1), "coverage must lie in 0 to 1")
    counted = Rule(
        "minutes_add_up",
        pl.col("minutes_present") + pl.col("missing_minutes") == pl.col("minutes_expected"),
        "minutes present and missing must add up to those expected",
    )
    may_be_null = [
        *("first_minute", "last_minute", "worst_zscore", "worst_minute"),
        *("gap_move", "stuck_from", "off_tick"),
    ]
    rules = [share, counted, sorted_unique("Symbol", "session")]
    return table("bar_quality", QUALITY_SCHEMA, rules=rules, nullable=may_be_null)


register("bar_quality", _contract)
