import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.bars import BarsRefused, assemble_m1, resample, resample_each, timeframe_minutes
from trading.contracts import validate
from trading.errors import ConfigError

Minutes = Callable[..., pl.DataFrame]
DAY = dt.date(2023, 11, 22)


def _cases() -> list[dict[str, str]]:
    file = Path(__file__).resolve().parents[3] / "answers" / "bars_resample_cases.csv"
    return pl.read_csv(file, infer_schema=False).to_dicts()


def _numbers(text: str) -> list[int]:
    spans = [span.split("-") for span in text.split()]
    return [i for first, last in spans for i in range(int(first), int(last) + 1)]


@pytest.mark.parametrize("case", _cases(), ids=lambda case: str(case["case"]))
def test_worked_answers(case: dict[str, str], minutes_of: Minutes, answers: Path) -> None:
    m1 = minutes_of(dt.date.fromisoformat(case["session"]), _numbers(case["minutes"]), case["calendar"])
    got = resample(m1, case["timeframe"], case["calendar"], case["policy"])
    validate(got, "bars")
    worked = pl.read_csv(answers / "bars_resample.csv").filter(pl.col("case") == case["case"])
    expected = worked.select(
        Symbol=pl.lit("AAA"),
        Timestamp=pl.col("Timestamp").str.to_datetime("%+", time_zone="UTC", time_unit="us"),
        Open="Open",
        High="High",
        Low="Low",
        Close="Close",
        Volume="Volume",
        session=pl.col("session").str.to_date(),
        minutes=pl.col("minutes").cast(pl.Int32),
        complete="complete",
    )
    assert_frame_equal(got, expected, check_exact=True)


def test_two_symbols_and_sessions_do_not_mix(minutes_of: Minutes) -> None:
    days = [dt.date(2023, 11, 22), dt.date(2023, 11, 24)]
    m1 = pl.concat([minutes_of(day, range(3), symbol=s) for day in days for s in ("BBB", "AAA")])
    got = resample(m1, "5m", policy="keep")
    assert got.select("Symbol", "session", "minutes").rows() == [
        (symbol, day, 3) for symbol in ("AAA", "BBB") for day in days
    ]


def test_row_order_and_session_column_change_nothing(minutes_of: Minutes) -> None:
    m1 = pl.concat([minutes_of(DAY, range(390), symbol=s) for s in ("AAA", "BBB")])
    with_session = m1.with_columns(session=pl.lit(DAY))
    straight = resample(m1, "15m")
    assert_frame_equal(resample(m1.sample(fraction=1.0, shuffle=True, seed=3), "15m"), straight)
    assert_frame_equal(resample(with_session, "15m"), straight)


def test_no_rows_give_the_typed_empty_frame(minutes_of: Minutes) -> None:
    empty = resample(minutes_of(DAY, range(1)).clear(), "5m")
    assert empty.is_empty()
    assert empty.schema == resample(minutes_of(DAY, range(5)), "5m").schema


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("outside_session", lambda f: f.with_columns(pl.col("Timestamp").dt.offset_by("-1m"))),
        ("outside_session", lambda f: f.with_columns(pl.col("Timestamp").dt.offset_by("1d"))),
        ("outside_session", lambda f: f[4:].with_columns(pl.col("Timestamp").dt.offset_by("386m"))),
        ("off_grid", lambda f: f.with_columns(pl.col("Timestamp").dt.offset_by("1s"))),
        ("sorted_unique", lambda f: pl.concat([f, f])),
        ("session_mismatch", lambda f: f.with_columns(session=pl.lit(dt.date(2023, 11, 21)))),
        ("missing_column", lambda f: f.rename({"Open": "open"})),
        ("unexpected_column", lambda f: f.with_columns(minutes=pl.lit(5))),
        ("naive_timestamp", lambda f: f.with_columns(pl.col("Timestamp").dt.replace_time_zone(None))),
        ("dtype", lambda f: f.with_columns(pl.col("Volume").cast(pl.Float64))),
        ("null", lambda f: f.with_columns(Open=pl.lit(None, pl.Float64))),
    ],
)
def test_refusals(code: str, change: Callable[[pl.DataFrame], pl.DataFrame], minutes_of: Minutes) -> None:
    with pytest.raises(BarsRefused) as refused:
        resample(change(minutes_of(DAY, range(5))), "5m")
    assert refused.value.code == code


def test_a_minute_of_the_lunch_break_is_outside(minutes_of: Minutes) -> None:
    with pytest.raises(BarsRefused) as refused:
        resample(minutes_of(DAY, [148, 149, 150, 210], "XTKS"), "5m", "XTKS")
    assert refused.value.code == "outside_session"
    assert refused.value.rows is not None
    assert refused.value.rows["Volume"].to_list() == [151]


def test_a_minute_with_no_session_near_it_is_outside(minutes_of: Minutes) -> None:
    golden_week = dt.datetime(2019, 5, 1, 3, tzinfo=dt.UTC)
    m1 = minutes_of(dt.date(2019, 4, 26), [0], "XTKS").with_columns(
        Timestamp=pl.lit(golden_week).dt.cast_time_unit("us")
    )
    with pytest.raises(BarsRefused) as refused:
        resample(m1.select(minutes_of(DAY, [0]).columns), "5m", "XTKS")
    assert refused.value.code == "outside_session"


def test_what_is_no_number_stays_none(minutes_of: Minutes) -> None:
    m1 = minutes_of(DAY, range(10))
    m1 = m1.with_columns(High=pl.when(pl.int_range(pl.len()) == 3).then(float("nan")).otherwise("High"))
    assert resample(m1, "5m")["High"].is_nan().to_list() == [True, False]


def test_one_compilation_serves_minutes_and_bars_with_a_session_and_without(minutes_of: Minutes) -> None:
    from trading.bars import kernel

    m1 = pl.concat([minutes_of(DAY, range(30)), minutes_of(DAY, range(30), symbol="BBB")])
    m5 = resample(m1, "5m", policy="keep")
    resample(m1.with_columns(session=pl.lit(DAY)), "1d")
    resample(m5, "15m", source_timeframe="5m")
    assert len(kernel.fold.signatures) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("calendar", ["XNYS", "XTKS"])
@pytest.mark.parametrize("timeframe", ["15m", "1h", "1d"])
def test_shorter_bars_give_what_the_minutes_give(calendar: str, timeframe: str, minutes_of: Minutes) -> None:
    minutes = [i for i in range(300) if not 150 <= i < 210]
    m1 = pl.concat([minutes_of(DAY, minutes, calendar, symbol) for symbol in ("AAA", "BBB")])
    m5 = resample(m1, "5m", calendar, "keep")
    direct = resample(m1, timeframe, calendar, "keep")
    assert_frame_equal(resample(m5, timeframe, calendar, "keep", source_timeframe="5m"), direct, check_exact=True)


def test_a_window_left_out_before_is_missed_later(minutes_of: Minutes) -> None:
    m5 = resample(minutes_of(DAY, [*range(6), *range(7, 30)]), "5m")
    assert resample(m5, "15m", source_timeframe="5m")["Open"].to_list() == [10.15]
    kept = resample(m5, "15m", policy="keep", source_timeframe="5m")
    assert kept.select("minutes", "complete").rows() == [(10, False), (15, True)]


@pytest.mark.parametrize(("source", "timeframe"), [("5m", "7m"), ("15m", "5m"), ("1d", "1d"), ("1d", "1h")])
def test_bars_that_do_not_divide_are_named(source: str, timeframe: str, minutes_of: Minutes) -> None:
    bars = resample(minutes_of(DAY, range(30)), source, policy="keep")
    with pytest.raises(ConfigError, match=f"{timeframe} bars cannot be made of {source} bars"):
        resample(bars, timeframe, source_timeframe=source)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("off_grid", lambda f: f.with_columns(pl.col("Timestamp").dt.offset_by("1m"))),
        ("outside_session", lambda f: f.with_columns(pl.col("Timestamp").dt.offset_by("1d"))),
        ("sorted_unique", lambda f: pl.concat([f, f])),
        ("missing_column", lambda f: f.drop("minutes")),
    ],
)
def test_refusals_of_shorter_bars(
    code: str, change: Callable[[pl.DataFrame], pl.DataFrame], minutes_of: Minutes
) -> None:
    m5 = resample(minutes_of(DAY, range(30)), "5m")
    with pytest.raises(BarsRefused) as refused:
        resample(change(m5), "15m", source_timeframe="5m")
    assert refused.value.code == code


def test_a_symbol_that_comes_back_is_put_together(minutes_of: Minutes) -> None:
    parts = [
        minutes_of(DAY, range(3), symbol="AAA"),
        minutes_of(DAY, range(5), symbol="BBB"),
        minutes_of(DAY, range(3, 5), symbol="AAA"),
    ]
    assert resample(pl.concat(parts), "5m").select("Symbol", "minutes").rows() == [("AAA", 5), ("BBB", 5)]


def test_several_timeframes_at_once_are_each_of_them(minutes_of: Minutes) -> None:
    m1 = pl.concat([minutes_of(DAY, [*range(100), *range(107, 390)], symbol=s) for s in ("AAA", "BBB")])
    timeframes = ["1d", "7m", "1h", "5m", "90m", "15m"]
    each = resample_each(m1, timeframes)
    assert sorted(each) == sorted(timeframes)
    for timeframe, bars in each.items():
        assert_frame_equal(bars, resample(m1, timeframe, policy="keep"), check_exact=True)


@pytest.mark.parametrize("timeframe", ["0m", "5", "m5", "2d", "1.5h", "-5m", "5M", ""])
def test_unknown_timeframes_are_named(timeframe: str, minutes_of: Minutes) -> None:
    with pytest.raises(ConfigError, match="5m, 15m, 1h or 1d"):
        resample(minutes_of(DAY, range(5)), timeframe)


def test_timeframe_lengths() -> None:
    assert [timeframe_minutes(t) for t in ("5m", "7m", "1h", "2h", "1d")] == [5, 7, 60, 120, None]


def test_unknown_policy_is_named(minutes_of: Minutes) -> None:
    with pytest.raises(ConfigError, match="complete_only or keep"):
        resample(minutes_of(DAY, range(5)), "5m", policy="forward_fill")  # type: ignore[arg-type]


def test_real_days_roll_up_to_the_daily_file(market_data: Path) -> None:
    """Regular minutes of SPY rolled up to D1 against the vendor's own daily bars (figures of its README)."""
    files = sorted((market_data / "m1" / "SPY").glob("2013-*.parquet"))
    m1 = pl.concat([pl.read_parquet(f).with_columns(Symbol=pl.lit("SPY")) for f in files])
    got = resample(assemble_m1([m1]).bars, "1d")
    daily = pl.read_parquet(market_data / "d1" / "SPY.parquet")
    both = got.join(daily, left_on="session", right_on="Date", suffix="_daily")
    assert both.height == 4
    for name in ("Open", "High", "Close", "Volume"):
        assert both[name].to_list() == both[f"{name}_daily"].to_list()
    off = both.filter(pl.col("Low") != pl.col("Low_daily"))
    assert off.select("session", "Low", "Low_daily").rows() == [(dt.date(2013, 10, 8), 165.36, 165.37)]
