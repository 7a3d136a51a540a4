"""The replay against the reference on recorded minutes, with their gaps: breakouts of every seventh bar's range."""

import os
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.instruments import Instrument
from trading.replay import ReplayConfig, replay

FOLDER = Path(os.environ.get("TRADING_TEST_MARKET_DATA") or Path(__file__).parents[5] / "shared" / "market_data")
TICKS = {"AAPL": 0.01, "SPY": 0.01, "IBM": 0.01, "ES_XYZ": 0.25}
INSTANT = pl.Datetime("us", "UTC")
MONEY = ("qty", "entry_price", "exit_price", "fees", "pnl")


@pytest.fixture(scope="module")
def minutes():
    frames = []
    for symbol in TICKS:
        folder = FOLDER / ("m1_futures" if symbol == "ES_XYZ" else "m1") / symbol
        for path in sorted(folder.glob("*.parquet"))[:3]:
            frame = pl.read_parquet(path).with_columns(
                Symbol=pl.lit(symbol),
                session=pl.lit(path.stem).str.to_date(),
                Timestamp=pl.col("Timestamp").cast(INSTANT),
            )
            frames.append(frame.select("Symbol", "Timestamp", "Open", "High", "Low", "Close", "Volume", "session"))
    if not frames:
        pytest.skip(f"no recorded minutes under {FOLDER} (TRADING_TEST_MARKET_DATA)")
    return pl.concat(frames).sort("Symbol", "Timestamp")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["risk", "kelly"])
def test_recorded_minutes_agree_with_the_reference(minutes, oracle, mode):
    span = pl.col("High") - pl.col("Low")
    signals = minutes.filter((pl.int_range(pl.len()) % 7 == 0) & (span > 0)).select(
        "Symbol",
        "Timestamp",
        long_entry=pl.col("High"),
        short_entry=pl.col("Low"),
        sl_long=pl.col("Low"),
        sl_short=pl.col("High"),
        tp_long=pl.col("High") + 2 * span,
        tp_short=pl.col("Low") - 2 * span,
    )
    kelly = {"lookback": 30, "min_trades": 10, "fraction": 0.5, "min_pct": 0.2, "max_pct": 3.0}
    sizing = {"risk_pct": 0.5} if mode == "risk" else kelly
    config = {
        "initial_cash": 100_000.0,
        "costs": {"fees_bps": 0.5, "slippage_bps": 0.5},
        "sizing": {"mode": mode, "max_pos_pct": 60.0, "equity": None, **sizing},
        "exit_at_session_end": True,
        "valid_sessions": 0,
        "max_hold_sessions": None,
        "max_leverage": 1.5,
    }
    instruments = {symbol: Instrument(symbol=symbol, tick_size=tick) for symbol, tick in TICKS.items()}
    got = replay(minutes, signals, ReplayConfig.model_validate(config), instruments)
    levels = ("long_entry", "sl_long", "tp_long", "short_entry", "sl_short", "tp_short")
    expected = oracle.replay(
        [
            {"symbol": s, "time": t, "o": o, "h": h, "l": low, "c": c, "session": day}
            for s, t, o, h, low, c, _, day in minutes.with_columns(pl.col("Timestamp").to_physical()).rows()
        ],
        [
            {"symbol": row["Symbol"], "time": row["Timestamp"], **{name: row[name] for name in levels}}
            for row in signals.with_columns(pl.col("Timestamp").to_physical()).to_dicts()
        ],
        config,
        {symbol: {"tick": tick, "lot": 1.0, "min_qty": 1.0} for symbol, tick in TICKS.items()},
    )
    # Kelly sizing stays at nothing once its fraction is not positive: no trade closes that could change it
    assert got.trades.height >= (300 if mode == "risk" else 10)
    names = {"symbol": "Symbol"}
    wanted = pl.DataFrame(
        [
            {names.get(k, k): float(v) if hasattr(v, "numerator") and k in MONEY else v for k, v in t.items()}
            for t in expected.trades
        ]
    ).select(got.trades.columns)
    assert_frame_equal(
        got.trades.with_columns(pl.col(pl.Datetime).to_physical()),
        wanted,
        check_dtypes=False,
        rel_tol=1e-12,
        abs_tol=1e-6,
    )
    assert got.metrics["final_cash"] == pytest.approx(float(expected.cash), abs=1e-6)
