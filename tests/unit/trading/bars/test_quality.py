import datetime as dt
from collections.abc import Callable

import polars as pl
import pytest
from pydantic import ValidationError

from trading.bars import QualityConfig, assemble_m1, daily_quality, failing_symbols
from trading.contracts import validate

Minutes = Callable[..., pl.DataFrame]
DAY = dt.date(2023, 11, 22)


def _minutes(values: list[dt.datetime]) -> list[str]:
    return [value.strftime("%H:%M") for value in values]


def test_gaps_duplicates_and_silence_are_measured(minutes_of: Minutes) -> None:
    kept = [i for i in range(390) if i not in (0, 1, 100, 200, 201, 202, 389)]
    raw = minutes_of(DAY, kept)
    silent = pl.when(pl.col("Volume").is_in([50, 60])).then(0).otherwise("Volume").alias("Volume")
    raw = pl.concat([raw.with_columns(silent), raw[10:12].with_columns(silent), minutes_of(DAY, [-5, 400])])
    row = validate(daily_quality(assemble_m1([raw])), "bar_quality").row(0, named=True)
    assert row["minutes_present"] == 383
    assert row["missing_minutes"] == 7
    assert row["coverage"] == 383 / 390
    assert row["longest_gap"] == 3
    assert _minutes(row["missing"]) == ["14:30", "14:31", "16:10", "17:50", "17:51", "17:52", "20:59"]
    assert (row["exact_duplicates"], row["rows_outside_session"], row["zero_volume"]) == (2, 2, 2)
    assert row["passed"] is True


@pytest.mark.parametrize(("present", "passed"), [(351, True), (350, False)])
def test_min_coverage_is_inclusive(present: int, passed: bool, minutes_of: Minutes) -> None:
    quality = daily_quality(assemble_m1([minutes_of(DAY, range(present))]), config=QualityConfig(min_coverage=0.9))
    assert quality["passed"].to_list() == [passed]
    assert failing_symbols(quality).height == (not passed)


def test_an_expected_symbol_without_a_row_fails(minutes_of: Minutes) -> None:
    quality = daily_quality(assemble_m1([minutes_of(DAY, range(390))]), expected=["AAA", "GONE"])
    validate(quality, "bar_quality")
    assert quality.select("Symbol", "coverage", "missing_minutes", "longest_gap", "passed").rows() == [
        ("AAA", 1.0, 0, 0, True),
        ("GONE", 0.0, 390, 390, False),
    ]
    assert failing_symbols(quality)["Symbol"].to_list() == ["GONE"]


def test_a_symbol_with_only_extended_hours_fails(minutes_of: Minutes) -> None:
    quality = daily_quality(assemble_m1([minutes_of(DAY, [-3, 395])]))
    assert quality.select("coverage", "rows_outside_session", "passed").row(0) == (0.0, 2, False)


def test_a_spike_is_an_outlier_and_is_located(minutes_of: Minutes) -> None:
    raw = minutes_of(DAY, range(390))
    spike = pl.col("Volume") == 201
    raw = raw.with_columns(pl.when(spike).then(pl.col(c) * 1.05).otherwise(c).alias(c) for c in ("High", "Close"))
    row = daily_quality(assemble_m1([raw])).row(0, named=True)
    assert row["outliers"] == 2, "the jump there and the jump back"
    assert row["worst_minute"].strftime("%H:%M") in ("17:50", "17:51")
    calm = daily_quality(assemble_m1([minutes_of(DAY, range(390))])).row(0, named=True)
    assert calm["outliers"] == 0


def test_a_constant_price_has_no_outliers(minutes_of: Minutes) -> None:
    flat = minutes_of(DAY, range(390)).with_columns(pl.lit(10.0).alias(c) for c in ("Open", "High", "Low", "Close"))
    tick = flat.with_columns(
        pl.when(pl.col("Volume") == 100).then(10.01).otherwise(c).alias(c) for c in ("High", "Close")
    )
    assert daily_quality(assemble_m1([tick]))["outliers"].to_list() == [0]


def test_the_overnight_gap_is_no_outlier(minutes_of: Minutes) -> None:
    next_day = minutes_of(dt.date(2023, 11, 24), range(210)).with_columns(
        pl.col(c) / 4 for c in ("Open", "High", "Low", "Close")
    )
    quality = daily_quality(assemble_m1([minutes_of(DAY, range(390)), next_day]))
    assert quality["outliers"].to_list() == [0, 0]


def test_nothing_gives_the_typed_empty_table() -> None:
    assert validate(daily_quality(assemble_m1([])), "bar_quality").is_empty()


@pytest.mark.parametrize("field", [{"min_coverage": 1.1}, {"outlier_zscore": 0.0}, {"mincoverage": 0.5}])
def test_wrong_settings_are_refused(field: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        QualityConfig(**field)


def test_a_lunch_break_is_neither_missing_nor_ends_a_gap(minutes_of: Minutes) -> None:
    """Tokyo until 2024-11-04: 150 minutes, 60 of lunch, 150 minutes; the bars around lunch are not there."""
    offsets = [i for i in range(360) if not 140 <= i < 220]
    raw = minutes_of(dt.date(2024, 11, 1), offsets, "XTKS")
    row = validate(daily_quality(assemble_m1([raw], "XTKS"), "XTKS"), "bar_quality").row(0, named=True)
    assert (row["minutes_expected"], row["minutes_present"], row["missing_minutes"]) == (300, 280, 20)
    assert row["longest_gap"] == 20
    assert _minutes(row["missing"]) == [f"02:{m}" for m in range(20, 30)] + [f"03:{m}" for m in range(30, 40)]
    assert row["gap_move"] == pytest.approx(12.20 / 11.40 - 1), "Open of minute 220 over Close of minute 139"
    whole = minutes_of(dt.date(2024, 11, 1), range(360), "XTKS")
    row = daily_quality(assemble_m1([whole], "XTKS"), "XTKS").row(0, named=True)
    assert (row["coverage"], row["rows_outside_session"], row["gap_move"]) == (1.0, 60, None)


def test_the_largest_move_across_a_gap_keeps_its_sign(minutes_of: Minutes) -> None:
    """Minutes 10 and 20 are missing; 21 opens at 9.00 after a Close of 10.20, the first gap's move is a cent up."""
    raw = minutes_of(DAY, [*range(10), *range(11, 20), *range(21, 30)])
    fallen = pl.col("Volume") > 21
    raw = raw.with_columns(pl.when(fallen).then(9.0).otherwise(c).alias(c) for c in ("Open", "High", "Low", "Close"))
    quality = daily_quality(assemble_m1([raw]))
    assert quality["gap_move"].item() == pytest.approx(9.0 / 10.20 - 1)
    unbroken = daily_quality(assemble_m1([minutes_of(DAY, range(50, 60))]))
    assert unbroken["gap_move"].to_list() == [None], "missing before the first and after the last bar is no gap between"


def _at_price(rows: pl.DataFrame, prices: dict[int, float]) -> pl.DataFrame:
    """``rows`` with all four prices of minute i set to ``prices[i]``."""
    price = (pl.col("Volume") - 1).replace_strict(prices, default=None, return_dtype=pl.Float64)
    return rows.with_columns(pl.coalesce(price, c).alias(c) for c in ("Open", "High", "Low", "Close"))


def test_stuck_is_the_longest_run_at_one_and_the_same_price(minutes_of: Minutes) -> None:
    flat = {5: 10.0, 6: 10.0, 7: 10.5, 8: 10.5, 9: 10.5, 20: 10.0, 30: 10.0, 31: 10.0}
    row = daily_quality(assemble_m1([_at_price(minutes_of(DAY, range(390)), flat)])).row(0, named=True)
    assert row["stuck_minutes"] == 3
    assert row["stuck_from"].strftime("%H:%M") == "14:37"
    moving = daily_quality(assemble_m1([minutes_of(DAY, range(390))])).row(0, named=True)
    assert (moving["stuck_minutes"], moving["stuck_from"]) == (0, None)


def test_stuck_never_runs_on_into_another_symbol_or_session(minutes_of: Minutes) -> None:
    still = dict.fromkeys(range(390), 10.0)
    one = _at_price(minutes_of(DAY, [388, 389]), still)
    two = _at_price(minutes_of(DAY, [388, 389], symbol="BBB"), still)
    later = _at_price(minutes_of(dt.date(2023, 11, 24), [0, 1, 2]), still)
    quality = daily_quality(assemble_m1([one, two, later]))
    found = quality.select("Symbol", "session", "stuck_minutes", pl.col("stuck_from").dt.strftime("%d %H:%M")).rows()
    assert found == [
        ("AAA", DAY, 2, "22 20:58"),
        ("AAA", dt.date(2023, 11, 24), 3, "24 14:30"),
        ("BBB", DAY, 2, "22 20:58"),
    ]


@pytest.mark.parametrize(
    ("tick", "off"), [(0.01, 1), (0.005, 0), (0.25, 9), (None, None)], ids=["cent", "half", "quarter", "none"]
)
def test_prices_off_the_tick(tick: float | None, off: int | None, minutes_of: Minutes) -> None:
    """Ten bars; one Close has a half cent, and one bar's prices are all whole quarters."""
    raw = _at_price(minutes_of(DAY, range(10)), {4: 10.25})
    raw = raw.with_columns(Close=pl.when(pl.col("Volume") == 8).then(pl.col("Close") + 0.005).otherwise("Close"))
    quality = daily_quality(assemble_m1([raw]), config=QualityConfig(tick=tick))
    assert validate(quality, "bar_quality")["off_tick"].to_list() == [off]


def test_volume_is_the_sum_over_the_session_s_bars(minutes_of: Minutes) -> None:
    quality = daily_quality(assemble_m1([minutes_of(DAY, [-1, 0, 1, 2, 390])]), expected=["GONE"])
    assert quality.select("Symbol", "volume").rows() == [("AAA", 1 + 2 + 3), ("GONE", 0)]
