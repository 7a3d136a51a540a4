import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.bars import BarsRefused, ConflictingDuplicates, assemble_m1
from trading.contracts import validate

Minutes = Callable[..., pl.DataFrame]
DAY = dt.date(2023, 11, 22)


@pytest.fixture(scope="session")
def raw(answers: Path) -> pl.DataFrame:
    stamp = pl.col("Timestamp").str.to_datetime("%+", time_unit="us", time_zone="UTC")
    return pl.read_csv(answers / "bars_assembly_raw.csv").drop("remark").with_columns(stamp)


def test_worked_report(raw: pl.DataFrame, answers: Path) -> None:
    report = assemble_m1([raw]).report
    stamps = [pl.col(c).str.to_datetime("%+", time_unit="us", time_zone="UTC") for c in ("first_minute", "last_minute")]
    expected = pl.read_csv(
        answers / "bars_assembly_report.csv",
        schema_overrides={"minutes_present": pl.Int32, "minutes_expected": pl.Int32},
    ).with_columns(pl.col("session").str.to_date(), *stamps)
    assert_frame_equal(report, expected, check_exact=True)
    parts = report.select(pl.sum_horizontal("exact_duplicates", "rows_outside_session", "minutes_present"))
    assert parts.to_series().to_list() == report["rows_in"].to_list()


def test_bars_are_the_regular_minutes_once(raw: pl.DataFrame) -> None:
    bars = validate(assemble_m1([raw]).bars, "m1_bars")
    assert bars.select("Symbol", "session", pl.col("Timestamp").dt.strftime("%d %H:%M"), "Volume").rows() == [
        ("AAA", dt.date(2015, 12, 24), "24 14:30", 200),
        ("AAA", dt.date(2015, 12, 24), "24 14:32", 0),
        ("AAA", dt.date(2015, 12, 24), "24 17:59", 300),
        ("AAA", dt.date(2015, 12, 28), "28 14:30", 500),
    ]


@pytest.mark.parametrize("nothing", [[], "empty_frame"])
def test_nothing_gives_typed_empty_frames(nothing: object, raw: pl.DataFrame) -> None:
    got = assemble_m1([raw.clear()] if nothing == "empty_frame" else [])
    full = assemble_m1([raw])
    assert got.bars.is_empty()
    assert got.bars.schema == full.bars.schema
    assert got.report.schema == full.report.schema


@pytest.mark.parametrize("column", ["Close", "Volume"])
def test_conflicting_duplicates_name_files_minute_and_figures(column: str, minutes_of: Minutes) -> None:
    one = minutes_of(DAY, range(10)).with_columns(source_file=pl.lit("a/AAA.parquet"))
    other = one[3:4].with_columns(pl.col(column) - 1, source_file=pl.lit("b/AAA.parquet"))
    if column == "Close":
        other = other.with_columns(Low=pl.lit(1.0))
    with pytest.raises(ConflictingDuplicates) as refused:
        assemble_m1([one, other])
    error = refused.value
    assert error.code == "conflicting_duplicates"
    assert error.rows is not None
    assert error.rows["source_file"].sort().to_list() == ["a/AAA.parquet", "b/AAA.parquet"]
    for part in ("a/AAA.parquet", "b/AAA.parquet", "Symbol=AAA", "2023-11-22T14:33:00Z", "2023-11-22 09:33:00"):
        assert part in str(error)


def test_symbols_share_minutes_without_conflict(minutes_of: Minutes) -> None:
    one, two = (minutes_of(DAY, range(3), symbol=s).with_columns(Volume=pl.lit(v)) for s, v in (("AAA", 1), ("BBB", 2)))
    alternating = pl.concat([one, two, one]).sort("Timestamp", maintain_order=True)
    assembled = assemble_m1([alternating.cast({"Volume": pl.Int64})])
    assert assembled.bars["Symbol"].to_list() == ["AAA"] * 3 + ["BBB"] * 3
    assert assembled.report.select("Symbol", "exact_duplicates").rows() == [("AAA", 3), ("BBB", 0)]
    single = pl.concat([one[:1], two[:1]]).cast({"Volume": pl.Int64})
    assert assemble_m1([single]).bars["Volume"].to_list() == [1, 2]


def test_a_conflict_is_found_whatever_stands_between(minutes_of: Minutes) -> None:
    """Same, other, same again: no order may hide the conflict."""
    one = minutes_of(DAY, range(1))
    other = one.with_columns(pl.col("Volume") + 1)
    for frames in ([one, other, one], [one, one, other], [other, one, one]):
        with pytest.raises(ConflictingDuplicates, match="2 rows"):
            assemble_m1(frames)


WRONG: list[tuple[str, dict[str, pl.Expr]]] = [
    ("off_grid", {"Timestamp": pl.col("Timestamp").dt.offset_by("30s")}),
    ("off_grid", {"Timestamp": pl.col("Timestamp").dt.offset_by("1us")}),
    ("low_bounds", {"Low": pl.col("Open") + 0.005}),
    ("low_bounds", {"Low": pl.col("Close") + 0.001, "Open": pl.col("High")}),
    ("high_bounds", {"High": pl.col("Close") - 0.005}),
    ("price_not_positive", {"Low": pl.lit(0.0)}),
    ("price_not_positive", {"Low": pl.lit(-1.0)}),
    ("price_not_positive", {"Open": pl.lit(float("nan"))}),
    ("price_not_positive", {"High": pl.lit(float("inf"))}),
    ("volume_negative", {"Volume": pl.lit(-1, pl.Int64)}),
    ("null", {"Close": pl.lit(None, pl.Float64)}),
    ("null", {"Volume": pl.lit(None, pl.Int64)}),
    ("null", {"Symbol": pl.lit(None, pl.String)}),
]


@pytest.mark.parametrize(("code", "change"), WRONG, ids=lambda v: v if isinstance(v, str) else "+".join(v))
@pytest.mark.parametrize("minute", [5, -20], ids=["regular", "pre_market"])
def test_one_wrong_row_refuses_all(code: str, change: dict[str, pl.Expr], minute: int, minutes_of: Minutes) -> None:
    """Validation comes before the cut, so that a wrong row in extended hours is refused too."""
    good = minutes_of(DAY, range(-30, 30)).with_columns(source_file=pl.lit("AAA.parquet"))
    at = pl.col("Timestamp") == good["Timestamp"][minute + 30]
    bad = good.with_columns(pl.when(at).then(value).otherwise(name).alias(name) for name, value in change.items())
    assemble_m1([good])
    with pytest.raises(BarsRefused) as refused:
        assemble_m1([bad])
    assert refused.value.code == code
    assert refused.value.rows is not None
    assert refused.value.rows.height == 1
    assert "AAA.parquet" in str(refused.value)


@pytest.mark.parametrize(
    ("code", "says", "change"),
    [
        ("missing_column", "'open' must be spelled 'Open'", lambda f: f.rename({"Open": "open"})),
        ("missing_column", "'Low' is missing", lambda f: f.drop("Low")),
        ("unexpected_column", "'vwap'", lambda f: f.with_columns(vwap=1.0)),
        ("naive_timestamp", "Timestamp", lambda f: f.with_columns(pl.col("Timestamp").dt.replace_time_zone(None))),
        ("dtype", "Timestamp", lambda f: f.with_columns(pl.col("Timestamp").cast(pl.Datetime("ns", "UTC")))),
        ("dtype", "Timestamp", lambda f: f.with_columns(pl.col("Timestamp").dt.convert_time_zone("Europe/Berlin"))),
        ("dtype", "Open must be Float64", lambda f: f.with_columns(pl.col("Open").cast(pl.Float32))),
        ("dtype", "smallest unit", lambda f: f.with_columns(pl.col("Volume").cast(pl.Float64))),
    ],
)
def test_wrong_columns_are_named_and_never_renamed(
    code: str, says: str, change: Callable[[pl.DataFrame], pl.DataFrame], minutes_of: Minutes
) -> None:
    with pytest.raises(BarsRefused) as refused:
        assemble_m1([minutes_of(DAY, range(3)), change(minutes_of(DAY, range(3)))])
    assert refused.value.code == code
    assert says in str(refused.value)
    assert "frame 2" in str(refused.value)


def test_a_wrong_row_that_came_twice_names_both_files(minutes_of: Minutes) -> None:
    wrong = minutes_of(DAY, range(3)).with_columns(High=pl.when(pl.col("Volume") == 2).then(1.0).otherwise("High"))
    one, other = (wrong.with_columns(source_file=pl.lit(name)) for name in ("a/AAA.parquet", "b/AAA.parquet"))
    for frames in ([one, other], [other, one]):
        with pytest.raises(BarsRefused, match=r"high_bounds \(2 rows\)") as refused:
            assemble_m1(frames)
        assert refused.value.rows is not None
        assert refused.value.rows["source_file"].to_list() == ["a/AAA.parquet", "b/AAA.parquet"]


def test_a_lunch_break_s_minutes_are_outside_and_counted(minutes_of: Minutes) -> None:
    """Tokyo: 150 minutes, an hour of lunch with late prints in it, 150 minutes, and one at the close."""
    day = dt.date(2024, 11, 1)
    assembled = assemble_m1([minutes_of(day, range(361), "XTKS")], "XTKS")
    report = assembled.report.row(0, named=True)
    assert (report["minutes_present"], report["minutes_expected"], report["rows_outside_session"]) == (300, 300, 61)
    around = assembled.bars["Timestamp"].dt.strftime("%H:%M").to_list()[149:151]
    assert around == ["02:29", "03:30"]


def test_an_evening_open_counts_to_the_next_day_s_session(minutes_of: Minutes) -> None:
    """CMES on Monday 2020-01-20: from Sunday evening to the holiday's halt; what follows the halt is outside."""
    monday, tuesday = dt.date(2020, 1, 20), dt.date(2020, 1, 21)
    offsets = [-1, 0, 1139, 1140, 1439, 1440]
    report = assemble_m1([minutes_of(monday, offsets, "CMES")], "CMES").report
    columns = ("session", "minutes_present", "rows_outside_session", "minutes_expected")
    assert report.select(columns).rows() == [
        (dt.date(2020, 1, 19), 0, 1, 0),
        (monday, 2, 2, 1140),
        (tuesday, 1, 0, 1440),
    ]
