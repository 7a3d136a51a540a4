"""Recorded bars through the splits, dividends and changes of company that they went through."""

import datetime as dt
import os
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from resources.sources.context import SourceContext
from resources.sources.corporate_actions.factor_file import FactorFileConfig
from trading.bars import assemble_m1, resample
from trading.bars.adjust import adjust
from trading.bars.as_of import compute_as_of
from trading.sessions import get_calendar
from trading.strategies import get_strategy

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = ROOT / "tests" / "answers"
BEFORE, SPLIT = dt.date(2014, 6, 6), dt.date(2014, 6, 9)
LAST = dt.date(2021, 3, 31)
DAYS = [dt.date(2014, 6, 5), BEFORE, SPLIT]


@pytest.fixture(scope="module")
def market_data() -> Path:
    folder = Path(os.environ.get("TRADING_TEST_MARKET_DATA") or ROOT.parent / "shared" / "market_data")
    if not (folder / "corporate_actions.csv").is_file():
        pytest.skip(f"no real corporate actions in {folder}; set TRADING_TEST_MARKET_DATA")
    return folder


@pytest.fixture(scope="module")
def actions(market_data: Path) -> pl.DataFrame:
    config = FactorFileConfig.model_validate(
        {
            "kind": "factor_file",
            "path": str(market_data / "corporate_actions.csv"),
            "columns": {
                "security": "SecurityFile",
                "last_date": "LastDateWithFactor",
                "price_factor": "PriceFactor",
                "split_factor": "SplitFactor",
                "reference_close": "ReferenceClose",
            },
            "tickers_path": str(market_data / "symbol_changes.csv"),
            "ticker_columns": {"security": "SecurityFile", "last_date": "Date", "ticker": "Ticker"},
        }
    )
    context = SourceContext(market_data, market_data, "XNYS", None, lambda: dt.datetime(2024, 1, 2, tzinfo=dt.UTC))
    return config.open(context).read(None, dt.date(1990, 1, 1), dt.date(2035, 12, 31)).frame


@cache
def daily(market_data: Path, symbol: str) -> pl.DataFrame:
    opens = get_calendar("XNYS").frame(dt.date(1998, 1, 1), LAST).select("session", Timestamp="open")
    rows = pl.read_parquet(market_data / "d1" / f"{symbol}.parquet").rename({"Date": "session"})
    columns = ["Symbol", "Timestamp", "Open", "High", "Low", "Close", "Volume", "session"]
    return rows.join(opens, on="session").with_columns(Symbol=pl.lit(symbol)).select(columns)


@cache
def minutes(market_data: Path) -> pl.DataFrame:
    """Regular minutes of AAPL, the two sessions before the split and the one of it."""
    files = [pl.read_parquet(market_data / "m1" / "AAPL" / f"{day}.parquet") for day in DAYS]
    raw = [file.with_columns(pl.lit("AAPL").alias("Symbol"), pl.lit("AAPL").alias("source_file")) for file in files]
    return assemble_m1(raw).bars


def splits() -> list[dict[str, object]]:
    return pl.read_csv(ANSWERS / "actions_real_splits.csv", try_parse_dates=True).to_dicts()


@pytest.mark.parametrize("split", splits(), ids=lambda split: f"{split['Symbol']}-{split['ex_date']}")
def test_every_recorded_split_leaves_no_gap(market_data: Path, actions: pl.DataFrame, split: dict[str, object]) -> None:
    symbol, day = str(split["Symbol"]), split["ex_date"]
    assert isinstance(day, dt.date)
    row = actions.filter((pl.col("Symbol") == symbol) & (pl.col("ex_date") == day) & (pl.col("kind") == "split"))
    assert row["ratio"].to_list() == [split["ratio"]]
    raw = daily(market_data, symbol)
    two = pl.col("session").is_between(day - dt.timedelta(days=5), day)
    before, after = adjust(raw, actions, day).filter(two)["Close"].tail(2)
    assert round(100 * (after / before - 1), 2) == split["change_pct"]
    eve = adjust(raw, actions, day - dt.timedelta(days=1)).filter(two)["Close"].tail(2)
    assert round(100 * (eve[1] / eve[0] - 1), 2) == split["raw_change_pct"]


@pytest.mark.parametrize("timeframe", ["1m", "5m", "1d"])
def test_the_split_of_seven_for_one_closes_the_gap_in_all_timeframes(
    market_data: Path, actions: pl.DataFrame, timeframe: str
) -> None:
    m1 = minutes(market_data)
    raw = m1 if timeframe == "1m" else resample(m1, timeframe, policy="keep")
    kept = raw.clone()
    assert_frame_equal(adjust(raw, actions, BEFORE), raw, check_exact=True)
    view = adjust(raw, actions, SPLIT)
    assert_frame_equal(raw, kept, check_exact=True)
    earlier = pl.col("session") < SPLIT
    assert_frame_equal(view.filter(~earlier), raw.filter(~earlier), check_exact=True)
    assert (view.filter(earlier)["Volume"] == 7 * raw.filter(earlier)["Volume"]).all()
    # last bar before: 645.57 / 7 = 92.22; the day of the split opens at 92.70 and closes 1.6 % up
    assert view.filter(earlier)["Close"][-1] == 645.57 / 7
    assert view["Close"].pct_change().abs().max() < 0.02 < 0.8 < raw["Close"].pct_change().abs().max()
    assert view["Close"][-1] / view.filter(earlier)["Close"][-1] - 1 == pytest.approx(0.016, abs=5e-4)


@pytest.mark.parametrize("symbol", ["AAPL", "AIG", "IBM", "SPY"])
def test_all_splits_and_dividends_give_the_factors_of_the_file(
    market_data: Path, actions: pl.DataFrame, symbol: str
) -> None:
    """The file's cumulative factors were worked out by others, from the same closes."""
    raw = daily(market_data, symbol)
    view = adjust(raw, actions, LAST, dividends=True)
    table = pl.read_csv(market_data / "corporate_actions.csv", try_parse_dates=True).filter(SecurityFile=symbol)
    printed = raw.select("session").join_asof(
        table.select("LastDateWithFactor", factor=pl.col("PriceFactor") * pl.col("SplitFactor")).sort(
            "LastDateWithFactor"
        ),
        left_on="session",
        right_on="LastDateWithFactor",
        strategy="forward",
    )["factor"]
    assert view.height == raw.height
    off = (view["Close"] / raw["Close"] / (printed / printed[-1]) - 1).abs().max()
    assert isinstance(off, float) and off < 2e-5  # both factors are printed with six digits


def test_goog_is_another_share_from_april_2014_on(market_data: Path, actions: pl.DataFrame) -> None:
    raw = daily(market_data, "GOOG")
    change = dt.date(2014, 4, 3)
    assert adjust(raw, actions, change - dt.timedelta(days=1))["session"].min() == dt.date(2004, 8, 19)
    view = adjust(raw, actions, change)
    assert view["session"].min() == change
    assert view["Close"][0] == 569.74


def test_signals_over_the_split_equal_those_made_session_by_session(market_data: Path, actions: pl.DataFrame) -> None:
    strategy = get_strategy("insidebar_intraday")
    params = {"max_setups_per_window": 100}
    m5 = resample(minutes(market_data), "5m")

    def signals(bars: pl.DataFrame) -> pl.DataFrame:
        return strategy.signals(bars, params)

    got = compute_as_of(signals, m5, actions, DAYS, warmup=strategy.warmup(strategy.read_params(params)))
    naive = [signals(adjust(m5, actions, day)).filter(pl.col("Timestamp").dt.date() == day) for day in DAYS]
    assert_frame_equal(got.drop("session"), pl.concat(naive), rel_tol=1e-12)
    of_the_split = got.filter(pl.col("session") == SPLIT)
    assert of_the_split.height > 5
    # on raw bars the first range of the day spans the gap of 550 dollars, and stays in the mean for fourteen bars
    assert (
        of_the_split["meta_atr"].max()
        < 0.5
        < 30
        < signals(m5).filter(pl.col("Timestamp").dt.date() == SPLIT)["meta_atr"].max()
    )
