import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from trading.bars import BarsRefused, ConflictingDuplicates, assemble_m1
from trading.contracts import validate

Minutes = Callable[..., pl.DataFrame]
DAY = dt.date(2023, 11, 22)


@pytest.fixture(scope="session")
def raw(answers: Path) -> pl.DataFrame:
    stamp = pl.col("Timestamp").str.to_datetime("%+", time_unit="us", time_zone="UTC")
    return pl.read_csv(answers / "bars_assembly_raw.csv").drop("remark").with_columns(stamp)


def _bytes(frame: pl.DataFrame, folder: Path) -> bytes:
    file = folder / "bars.parquet"
    frame.write_parquet(file)
    return file.read_bytes()


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


def test_any_order_and_split_gives_the_same_bytes(raw: pl.DataFrame, tmp_path: Path) -> None:
    whole = assemble_m1([raw])
    for seed in range(5):
        shuffled = raw.sample(fraction=1.0, shuffle=True, seed=seed)
        parts = assemble_m1([shuffled[:4], shuffled[4:5].drop("source_file"), shuffled[5:]])
        assert _bytes(parts.bars, tmp_path) == _bytes(whole.bars, tmp_path)
        assert _bytes(parts.report, tmp_path) == _bytes(whole.report, tmp_path)


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


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_counts_add_up_for_any_mixture(data: st.DataObject) -> None:
    from trading.sessions import get_calendar

    offsets = data.draw(st.lists(st.integers(-400, 800), min_size=1, max_size=60))
    start = get_calendar("XNYS").open(DAY)
    stamps = [start + dt.timedelta(minutes=i) for i in offsets]
    raw = pl.DataFrame({"Symbol": "AAA", "Timestamp": stamps}).with_columns(
        pl.col("Timestamp").cast(pl.Datetime("us", "UTC")),
        *(pl.lit(9.99).alias(name) for name in ("Open", "High", "Low", "Close")),
        Volume=pl.lit(7, pl.Int64),
    )
    assembled = assemble_m1([raw])
    report = assembled.report
    assert report["rows_in"].sum() == len(offsets)
    assert report["exact_duplicates"].sum() == len(offsets) - len(set(offsets))
    assert assembled.bars.height == len({i for i in offsets if 0 <= i < 390}) == report["minutes_present"].sum()
    assert report["rows_outside_session"].sum() == len({i for i in offsets if not 0 <= i < 390})


def _real_days(answers: Path) -> list[dict[str, object]]:
    return pl.read_csv(answers / "bars_real_coverage.csv", schema_overrides={"missing_new_york": pl.String}).to_dicts()


def test_real_minutes_match_the_published_table(market_data: Path, answers: Path) -> None:
    for day in _real_days(answers):
        file = market_data / str(day["folder"]) / str(day["symbol"]) / f"{day['session']}.parquet"
        rows = pl.read_parquet(file).with_columns(Symbol=pl.lit(day["symbol"]))
        if day["folder"] == "m1_index":
            rows = rows.with_columns(pl.col("Volume").cast(pl.Int64))
        assembled = assemble_m1([rows])
        found = assembled.report.row(0, named=True)
        assert assembled.report.height == 1, file
        assert str(found["session"]) == day["session"]
        assert (found["rows_in"], found["minutes_present"], found["minutes_expected"]) == (
            day["rows"],
            day["minutes_present"],
            day["minutes_expected"],
        ), file
        assert found["coverage"] == day["minutes_present"] / day["minutes_expected"]  # type: ignore[operator]
        assert found["rows_outside_session"] == day["before_open"] + day["after_close"], file  # type: ignore[operator]


def test_a_holiday_has_no_regular_minute(market_data: Path) -> None:
    """The future traded on Martin Luther King Day, when the exchange was closed."""
    file = market_data / "m1_futures" / "ES_XYZ" / "2020-01-20.parquet"
    assembled = assemble_m1([pl.read_parquet(file).with_columns(Symbol=pl.lit("ES_XYZ"))])
    assert assembled.bars.is_empty()
    row = assembled.report.row(0, named=True)
    assert (row["rows_outside_session"], row["minutes_expected"], row["coverage"]) == (210, 0, None)


def test_round_the_clock_calendar(market_data: Path) -> None:
    """Coinbase minutes, volume in hundred-millionths of a bitcoin; gaps as published."""
    raw = pl.read_parquet(market_data / "crypto" / "BTCUSD_COINBASE_1m.parquet")
    whole = raw.with_columns((pl.col("Volume") * 1e8).round().cast(pl.Int64), Symbol=pl.lit("BTCUSD"))
    report = assemble_m1([whole], calendar="24/7").report
    assert report["session"].to_list() == [dt.date(2018, 4, d) for d in (4, 5, 6)]
    assert report["minutes_present"].to_list()[0] in (1440 - 432, 1440 - 433)
    assert int((report["minutes_expected"] - report["minutes_present"]).sum()) == 433
