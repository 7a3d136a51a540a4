"""The strategies on recorded market data, with its gaps, odd prints and prices of four decimals."""

import os
from pathlib import Path

import polars as pl
import pytest

from trading.bars import assemble_m1, resample
from trading.sessions import get_calendar
from trading.strategies import LEVELS, check_causality, get_strategy

FOLDER = Path(os.environ.get("TRADING_TEST_MARKET_DATA") or Path(__file__).parents[5] / "shared" / "market_data")


def _needs(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"no recorded bars in {folder} (TRADING_TEST_MARKET_DATA)")
    return folder


@pytest.fixture(scope="module")
def five_minutes() -> pl.DataFrame:
    files = sorted(_needs(FOLDER / "m1").rglob("*.parquet"))
    frames = (pl.read_parquet(f).select(pl.lit(f.parent.name).alias("Symbol"), pl.all()) for f in files)
    return resample(assemble_m1(frames).bars, "5m")


@pytest.fixture(scope="module")
def daily() -> pl.DataFrame:
    """Bars of 1998 to 2021 that bound their own Open and Close, at the session's open as resampling stamps them."""
    calendar = get_calendar("XNYS")
    parts = []
    for file in sorted(_needs(FOLDER / "d1").glob("*.parquet")):
        frame = pl.read_parquet(file).rename({"Date": "session"})
        parts.append(frame.select(pl.lit(file.stem).alias("Symbol"), pl.all()))
    frame = pl.concat(parts)
    first, last = frame["session"].min(), frame["session"].max()
    opens = calendar.frame(first, last).select("session", Timestamp="open")
    return frame.join(opens, on="session").sort("Symbol", "Timestamp")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"session_windows": [["15:30", "16:30"], ["16:30", "19:00"]], "max_setups_per_window": 2},
        {"entry_level": "inside_bar", "max_stop_ticks": 15, "min_mother_atr": 0.8, "max_setups_per_window": 50},
    ],
)
def test_intraday_equals_the_rules_read_bar_by_bar(five_minutes, reference, params):
    found = get_strategy("insidebar_intraday").signals(five_minutes, params)
    expected = reference.inside_bars(five_minutes, params, daily=False)
    assert found.height == len(expected) > 15
    assert found["Timestamp"].to_list() == [row["Timestamp"] for row in expected]
    for level in LEVELS:
        assert found[level].to_list() == [row[level] for row in expected], level


def test_daily_equals_the_rules_read_bar_by_bar(daily, reference):
    recent = daily.filter(pl.col("session").dt.year() >= 2011)  # QQQ begins anew in March 2011, after a gap
    found = get_strategy("insidebar_breakout").signals(recent, {"max_stop_ticks": 200})
    expected = reference.inside_bars(recent, {"max_stop_ticks": 200}, daily=True)
    assert found.height == len(expected) > 1000
    assert found["Timestamp"].to_list() == [row["Timestamp"] for row in expected]
    for level in LEVELS:
        assert found[level].to_list() == [row[level] for row in expected], level


@pytest.mark.parametrize("name", ["insidebar_intraday", "marubozu_breakout"])
def test_causal_on_five_minutes(five_minutes, name):
    report = check_causality(get_strategy(name), five_minutes)
    assert report.passed and report.conclusive


@pytest.mark.parametrize("name", ["insidebar_breakout", "marubozu_breakout"])
def test_causal_on_days(daily, name):
    report = check_causality(get_strategy(name), daily)
    assert report.passed and report.conclusive
    assert report.signals > 100


def test_an_early_close_and_a_missing_minute_are_no_neighbours(five_minutes):
    """GOOG, 28 December 2015: 12:08 New York is missing, so the 12:05 bar is, and 12:10 has no mother."""
    goog = five_minutes.filter(pl.col("Symbol") == "GOOG")
    found = get_strategy("insidebar_intraday").signals(goog, {"max_setups_per_window": 100, "atr_period": 1})
    stamps = goog["Timestamp"].implode()
    earlier = found.select(pl.col("Timestamp") - pl.duration(minutes=5)).to_series()
    assert found.height > 20
    assert earlier.is_in(stamps).all()
    assert goog.height < 3 * 78  # incomplete windows are left out
