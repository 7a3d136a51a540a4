import datetime as dt
from collections.abc import Callable
from pathlib import Path

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


def test_real_missing_minutes_are_the_published_ones(market_data: Path, answers: Path) -> None:
    table = pl.read_csv(answers / "bars_real_coverage.csv", schema_overrides={"missing_new_york": pl.String})
    for day in table.filter(folder="m1").iter_rows(named=True):
        file = market_data / "m1" / day["symbol"] / f"{day['session']}.parquet"
        raw = pl.read_parquet(file).with_columns(Symbol=pl.lit(day["symbol"]))
        quality = daily_quality(assemble_m1([raw]))
        local = quality["missing"].explode().drop_nulls().dt.convert_time_zone("America/New_York")
        assert " ".join(local.dt.strftime("%H:%M").to_list()) == (day["missing_new_york"] or ""), file
        assert quality["passed"].to_list() == [True]


def test_the_circuit_breaker_halt_is_one_gap(market_data: Path) -> None:
    raw = pl.read_parquet(market_data / "m1_futures" / "ES_XYZ" / "2020-03-09.parquet")
    row = daily_quality(assemble_m1([raw.with_columns(Symbol=pl.lit("ES_XYZ"))])).row(0, named=True)
    assert (row["missing_minutes"], row["longest_gap"]) == (13, 13)
