"""vectorbt trades the same by rules written a second time: random cases, recorded minutes, and what a difference looks like."""

import datetime as dt
import os
from pathlib import Path

import polars as pl
import pytest
from oracle.replay_cases import random_case

from trading.bars import assemble_m1, resample
from trading.errors import ConfigError
from trading.instruments import Instrument
from trading.lab.parity import ParityReport, compare, parity, parity_alone
from trading.lab.vectorbt_engine import TRADES
from trading.replay import ReplayConfig, replay
from trading.strategies import get_strategy
from trading.synthetic import SyntheticMarket

FOLDER = Path(os.environ.get("TRADING_TEST_MARKET_DATA") or Path(__file__).parents[5] / "shared" / "market_data")
INSTANT = pl.Datetime("us", "UTC")
LEVELS = ("long_entry", "short_entry", "sl_long", "sl_short", "tp_long", "tp_short")
RISK = {"mode": "risk", "risk_pct": 1.0, "max_pos_pct": 20.0}
COSTS = {"fees_bps": 2.0, "slippage_bps": 1.0}


def frames(seed):
    """A random case as the replay takes it; kelly, which vectorbt's side does not have, becomes risk."""
    bars, signals, config, instruments = random_case(seed)
    if config["sizing"]["mode"] == "kelly":
        config = {**config, "sizing": RISK}
    prices = dict.fromkeys(("Open", "High", "Low", "Close"), pl.Float64)
    rows = [(b["symbol"], b["time"], b["o"], b["h"], b["l"], b["c"], 1, b["session"]) for b in bars]
    schema = {"Symbol": pl.String, "Timestamp": pl.Int64, **prices, "Volume": pl.Int64, "session": pl.Int32}
    bars = pl.DataFrame(rows, schema, orient="row").sort("Symbol", "Timestamp")
    rows = [(s["symbol"], s["time"], *(s[name] for name in LEVELS)) for s in signals]
    schema = {"Symbol": pl.String, "Timestamp": pl.Int64, **dict.fromkeys(LEVELS, pl.Float64)}
    return (
        bars.with_columns(pl.col("Timestamp").cast(INSTANT), pl.col("session").cast(pl.Date)),
        pl.DataFrame(rows, schema, orient="row").with_columns(pl.col("Timestamp").cast(INSTANT)),
        ReplayConfig.model_validate(config),
        {s: Instrument(symbol=s, tick_size=i["tick"], lot_size=i["lot"], min_qty=i["min_qty"]) for s, i in instruments.items()},
    )  # fmt: skip


@pytest.mark.parametrize("block", range(2))
def test_each_symbol_and_side_alone_agrees_on_random_bars(block):
    reports = [parity_alone(*frames(seed)) for seed in range(block * 25, block * 25 + 25)]
    together = ParityReport.together(reports)
    assert together.differences.is_empty(), together.differences.head(3)
    assert together.passed
    assert together.trades > 50
    assert together.max_pnl_difference < 1e-7
    assert together.replay_pnl == pytest.approx(together.vectorbt_pnl, abs=1e-6)


def test_both_sides_shared_cash_and_every_sizing_but_kelly_agree_as_well():
    reports, symbols = [], 0
    for seed in range(100):
        bars, signals, config, instruments = frames(seed)
        symbols = max(symbols, bars["Symbol"].n_unique())
        if bars.height:
            reports.append(parity(bars, signals, config, instruments, run=str(seed)))
    together = ParityReport.together(reports)
    assert together.differences.is_empty(), together.differences.head(3)
    assert together.trades > 150
    assert symbols == 5


def test_inside_bars_of_a_synthetic_market_agree():
    market = SyntheticMarket(seed=11, symbols=3, sessions=8)
    bars = resample(assemble_m1([market.m1()]).bars, "5m").filter(pl.col("complete"))
    signals = get_strategy("insidebar_intraday").signals(bars, {"max_setups_per_window": 5})
    config = ReplayConfig.model_validate({"costs": COSTS, "sizing": RISK})
    as_it_is = parity(bars, signals, config)
    assert as_it_is.passed, as_it_is.differences
    assert as_it_is.trades > 50
    alone = parity_alone(bars, signals, config)
    assert alone.passed, alone.differences
    assert alone.runs == 6
    assert alone.evidence().model_dump() == {
        "trades": alone.trades, "unmatched": 0, "max_pnl_difference": alone.max_pnl_difference
    }  # fmt: skip


def test_recorded_minutes_agree():
    files = [path for symbol in ("AAPL", "IBM", "SPY") for path in sorted((FOLDER / "m1" / symbol).glob("*.parquet"))]
    if not files:
        pytest.skip(f"no recorded minutes under {FOLDER} (TRADING_TEST_MARKET_DATA)")
    bars = pl.concat(
        pl.read_parquet(file).select(
            pl.lit(file.parent.name).alias("Symbol"),
            pl.col("Timestamp").cast(INSTANT),
            "Open", "High", "Low", "Close", "Volume",
            session=pl.lit(file.stem).str.to_date(),
        )
        for file in files
    ).sort("Symbol", "Timestamp")  # fmt: skip
    span = pl.col("High") - pl.col("Low")
    signals = bars.filter((pl.int_range(pl.len()) % 5 == 0) & (span > 0)).select(
        "Symbol",
        "Timestamp",
        long_entry=pl.col("High"),
        short_entry=pl.col("Low"),
        sl_long=pl.col("Low"),
        sl_short=pl.col("High"),
        tp_long=pl.col("High") + 2 * span,
        tp_short=pl.col("Low") - 2 * span,
    )
    report = parity_alone(bars, signals, ReplayConfig.model_validate({"initial_cash": 100_000.0, "costs": COSTS}))
    assert report.passed, report.differences.head(3)
    assert report.trades > 1000


def test_a_difference_is_shown_with_both_sides():
    moment = dt.datetime(2024, 1, 2, 15, tzinfo=dt.UTC)
    row = {
        "Symbol": "AAA", "side": 1, "qty": 10.0, "entry_time": moment, "entry_price": 100.0,
        "exit_time": moment, "exit_price": 101.0, "fees": 0.0, "pnl": 10.0,
    }  # fmt: skip
    later = {**row, "entry_time": moment + dt.timedelta(hours=1)}
    ours = pl.DataFrame([row, later], TRADES, orient="row")
    theirs = pl.DataFrame([{**row, "exit_price": 101.5, "pnl": 15.0}, {**later, "side": -1}], TRADES, orient="row")
    report = compare(ours, theirs, run="AAA")
    assert not report.passed
    assert report.trades == 1
    assert report.max_pnl_difference == 5.0
    assert report.differences.select("entry_time", "found", "pnl", "pnl_vectorbt").rows() == [
        (moment, "exit_price, pnl", 10.0, 15.0),
        (later["entry_time"], "vectorbt only", None, 10.0),
        (later["entry_time"], "replay only", 10.0, None),
    ]
    assert report.evidence().unmatched == 3


def test_a_changed_fill_of_the_replay_is_found(monkeypatch):
    """The check can fail: a replay with other costs is another replay."""
    bars, signals, config, instruments = frames(3)
    dearer = config.model_copy(update={"costs": config.costs.model_copy(update={"fees_bps": 7.0})})
    monkeypatch.setattr("trading.lab.parity.replay", lambda b, s, _, i: replay(b, s, dearer, i))
    assert not parity_alone(bars, signals, config, instruments).passed


def test_nothing_compared_is_no_parity():
    assert not ParityReport.together([]).passed


def test_a_sizing_that_vectorbt_does_not_have_is_refused():
    bars, signals, _, instruments = frames(3)
    kelly = {"mode": "kelly", "lookback": 5, "min_trades": 2, "fraction": 0.5, "min_pct": 0.1, "max_pct": 1.0}
    other = ReplayConfig.model_validate({"sizing": {**kelly, "max_pos_pct": 20.0}})
    with pytest.raises(ConfigError, match=r"every sizing but kelly; found .*lookback=5"):
        parity(bars, signals, other, instruments)
