"""Outliers of daily bars: hand-worked scores, the prices known to be wrong in real bars, and prints put in at random."""

import datetime as dt
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from trading.bars.outliers import OUTLIER_SCHEMA, OutlierConfig, price_outliers
from trading.contracts import validate
from trading.errors import ContractViolation

FIRST = dt.date(2024, 1, 1)
PRICES = ["Open", "High", "Low", "Close"]
MAD = 0.01 * 1.4826  # of the wicks below: 0.01, 0.02, 0.03 in turn have median 0.02 and median deviation 0.01


def flat(symbol: str = "AAA", days: int = 90) -> pl.DataFrame:
    """Open and Close 100 on every day; upper and lower wicks of 1, 2 and 3 log-percent in turn."""
    wick = np.array([0.01, 0.02, 0.03] * (days // 3))
    return pl.DataFrame(
        {
            "Symbol": pl.repeat(symbol, days, dtype=pl.String, eager=True),
            "session": [FIRST + dt.timedelta(days=day) for day in range(days)],
            "Open": np.full(days, 100.0),
            "High": 100.0 * np.exp(wick),
            "Low": 100.0 * np.exp(-wick),
            "Close": np.full(days, 100.0),
        }
    )


def with_prices(bars: pl.DataFrame, day: int, **prices: float) -> pl.DataFrame:
    """The bar of one day with other prices, High and Low widened to hold them."""
    here = pl.col("session") == FIRST + dt.timedelta(days=day)
    changed = bars.with_columns(
        pl.when(here).then(pl.lit(value)).otherwise(pl.col(name)).alias(name) for name, value in prices.items()
    )
    return changed.with_columns(High=pl.max_horizontal(PRICES), Low=pl.min_horizontal(PRICES))


def rules(found: pl.DataFrame) -> list[tuple[int, str]]:
    return [((session - FIRST).days, rule) for session, rule in found.select("session", "rule").rows()]


@pytest.mark.parametrize(("zscore", "flagged"), [(49.9, False), (50.1, True)])
def test_a_wick_is_scored_by_median_and_mad(zscore: float, flagged: bool) -> None:
    high = 100 * math.exp(0.02 + zscore * MAD)
    found = price_outliers(with_prices(flat(), 45, High=high))
    assert rules(found) == ([(45, "high_wick")] if flagged else [])
    if flagged:
        row = found.row(0, named=True)
        assert (row["price"], row["reference"], row["limit"]) == (high, 100.0, 50.0)
        assert row["figure"] == pytest.approx(zscore)


def test_the_scale_of_a_quiet_symbol_has_a_lower_bound() -> None:
    quiet = flat().with_columns(High=pl.lit(100.0), Low=pl.lit(100.0))
    assert rules(price_outliers(with_prices(quiet, 45, Low=100 * math.exp(-0.049)))) == []
    assert rules(price_outliers(with_prices(quiet, 45, Low=100 * math.exp(-0.051)))) == [(45, "low_wick")]


def test_a_false_close_comes_back_at_the_next_open() -> None:
    found = price_outliers(with_prices(flat(), 45, Close=97.0))  # 3.05 log-percent, scale 0.3 log-percent
    assert rules(found) == [(45, "close_reverts")]
    assert found["reference"].to_list() == [100.0]
    assert found["figure"].to_list() == [pytest.approx(-math.log(0.97) / 0.003)]
    assert rules(price_outliers(with_prices(flat(), 45, Close=97.7))) == []  # 2.33 log-percent: 7.8 scales
    assert rules(price_outliers(with_prices(flat(), 89, Close=97.0))) == []  # no next open yet


def test_a_false_open_is_the_only_trade_out_there() -> None:
    doubled = with_prices(flat(), 45, Open=200.0)
    found = price_outliers(doubled)
    assert rules(found) == [(45, "open_reverts")]
    assert found.row(0, named=True)["reference"] == 100.0
    # Trades went beyond the open: the market was there.
    assert rules(price_outliers(with_prices(doubled, 45, High=201.0))) == []


def test_a_crash_and_a_split_stay_and_are_no_outliers() -> None:
    after = pl.col("session") >= FIRST + dt.timedelta(days=45)
    for factor in (0.48, 1 / 7, 20.0):
        moved = flat().with_columns(pl.when(after).then(pl.col(p) * factor).otherwise(pl.col(p)) for p in PRICES)
        assert price_outliers(moved).is_empty()


def test_what_the_whole_market_shows_is_taken_off() -> None:
    crash = pl.concat([with_prices(flat(s), 45, Low=40.0) for s in "ABCD"])
    assert price_outliers(crash).is_empty()
    alone = pl.concat([flat("A"), flat("B"), flat("C"), with_prices(flat("D"), 45, Low=40.0)])
    assert price_outliers(alone)["Symbol"].to_list() == ["D"]
    assert price_outliers(crash.filter(pl.col("Symbol") < "D")).height == 3  # too few for a market


def test_too_short_a_history_is_not_judged() -> None:
    assert price_outliers(with_prices(flat(days=18), 9, Low=1.0)).is_empty()


def test_a_hole_in_the_data_is_no_reversal() -> None:
    bars = with_prices(flat(), 45, Close=50.0)
    day = pl.col("session").sub(pl.lit(FIRST)).dt.total_days()
    assert rules(price_outliers(bars.filter((day <= 45) | (day > 56)))) == []
    assert rules(price_outliers(bars.filter((day <= 45) | (day > 52)))) == [(45, "close_reverts")]


def test_no_bar_gives_no_outlier_and_a_missing_column_is_named() -> None:
    assert price_outliers(flat().clear()).schema == pl.Schema(OUTLIER_SCHEMA)
    with pytest.raises(ContractViolation, match="'Low' is missing"):
        price_outliers(flat().drop("Low"))


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False), st.floats(0.01, 1000.0))
def test_neither_the_order_of_rows_nor_the_currency_matters(random: object, factor: float) -> None:
    bars = pl.concat([with_prices(flat("A"), 45, Low=1.0), with_prices(flat("B"), 50, Open=300.0)])
    order = list(range(bars.height))
    random.shuffle(order)  # type: ignore[attr-defined]
    other = bars[order].with_columns(pl.col(PRICES) * factor)
    expected = price_outliers(bars).with_columns(pl.col("price", "reference") * factor)
    assert_frame_equal(price_outliers(other), expected, rel_tol=1e-6)


# Real daily bars. What their description lists as false prints:
LISTED = {
    ("AAPL", "2009-09-21", "Low"),
    ("AAPL", "2010-08-31", "Low"),
    ("AAPL", "2011-01-03", "Low"),
    ("AIG", "2009-05-05", "High"),
    ("GOOG", "2007-12-18", "Low"),
    ("GOOG", "2008-09-30", "Low"),
    ("GOOG", "2008-09-30", "Close"),
    ("IBM", "2002-12-23", "Open"),  # Open and High are double of what Low, Close and the days around say
}
COLUMN = {"high_wick": "High", "low_wick": "Low", "close_reverts": "Close", "open_reverts": "Open"}


@pytest.fixture(scope="module")
def daily(market_data: Path) -> pl.DataFrame:
    files = sorted((market_data / "d1").glob("*.parquet"))
    if not files:
        pytest.skip(f"no daily bars in {market_data / 'd1'}")
    frames = [pl.read_parquet(file).with_columns(Symbol=pl.lit(file.stem)) for file in files]
    return pl.concat(frames).rename({"Date": "session"})


def test_the_false_prints_of_real_bars_are_found_and_hardly_anything_else(daily: pl.DataFrame) -> None:
    found = price_outliers(daily)
    flagged = {(row["Symbol"], str(row["session"]), COLUMN[row["rule"]]) for row in found.to_dicts()}
    assert flagged >= LISTED
    others = {row[:2] for row in flagged} - {row[:2] for row in LISTED}
    assert daily.height == 31_543
    assert len(others) / daily.height < 0.0005
    real = {
        ("AAPL", "2000-09-29"),  # profit warning, -52 %
        ("AAPL", "2010-05-06"),  # flash crash
        *(("AAPL", day) for day in ("2000-06-21", "2005-02-28", "2014-06-09", "2020-08-31")),  # splits
        ("AIG", "2009-07-01"),
        ("GOOG", "2014-04-03"),  # another security under the ticker
        *(("SPY", day) for day in ("2015-08-24", "2020-03-13")),
    }
    crisis = {row for row in others if row[0] == "AIG" and row[1][:7] in ("2008-09", "2009-03")}
    assert not others & real
    assert not crisis


@pytest.mark.parametrize(
    ("price", "factor", "recall"),
    [
        ("Low", 0.1, 0.99),
        ("Low", 0.5, 0.97),
        ("Low", 0.7, 0.80),
        ("High", 10.0, 0.99),
        ("High", 2.0, 0.95),
        ("Close", 0.1, 0.98),
        ("Close", 2.0, 0.97),
        ("Open", 0.1, 0.98),
        ("Open", 2.0, 0.97),
        ("bar", 10.0, 0.97),
    ],
)
def test_prints_put_in_at_random_are_found_too(daily: pl.DataFrame, price: str, factor: float, recall: float) -> None:
    random = np.random.default_rng(20240102)
    clean = daily.join(price_outliers(daily), on=["Symbol", "session"], how="anti")
    hits = added = others = 0
    for _ in range(5):
        chosen = np.zeros(clean.height, dtype=bool)
        chosen[random.choice(clean.height, 60, replace=False)] = True
        columns = PRICES if price == "bar" else [price]
        forged = clean.with_columns(forged=pl.Series(chosen)).with_columns(
            pl.when("forged").then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name) for name in columns
        )
        forged = forged.with_columns(High=pl.max_horizontal(PRICES), Low=pl.min_horizontal(PRICES))
        found = price_outliers(forged).select("Symbol", "session").unique()
        hit = forged.filter("forged").join(found, on=["Symbol", "session"], how="semi").height
        hits, added, others = hits + hit, added + 60, others + found.height - hit
    assert hits / added >= recall
    assert others / (5 * clean.height) < 0.0005


def test_the_table_keeps_its_contract(daily: pl.DataFrame) -> None:
    found = price_outliers(daily, OutlierConfig(wick_zscore=20.0))
    stored = found.select(pl.lit("d1_raw").alias("dataset"), pl.lit("us").alias("universe"), *OUTLIER_SCHEMA)
    validate(stored.sort("dataset", "universe", "Symbol", "session", "rule"), "price_outliers")
    with pytest.raises(ContractViolation, match="sorted_unique"):
        validate(pl.concat([stored, stored]), "price_outliers")
