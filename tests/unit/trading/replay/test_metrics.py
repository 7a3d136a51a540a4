"""Equity and metrics, worked out by hand."""

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest

from trading.instruments import Instrument
from trading.replay import ReplayConfig, replay
from trading.replay.metrics import sharpe
from trading.replay.result import equity_frame
from trading.replay.state import Curve

MINUTE = 60_000_000
T0 = 1_704_205_800_000_000
DAY = 1440 * MINUTE


def bar(symbol, day, minute, o, h, low, c):
    return {
        "symbol": symbol,
        "time": T0 + day * DAY + minute * MINUTE,
        "o": o,
        "h": h,
        "l": low,
        "c": c,
        "session": day,
    }


def long(symbol, day, minute, entry, stop, target):
    levels = {"long_entry": entry, "sl_long": stop, "tp_long": target}
    empty = {"short_entry": None, "sl_short": None, "tp_short": None}
    return {"symbol": symbol, "time": T0 + day * DAY + minute * MINUTE, **levels, **empty}


def run(oracle, bars, signals, instruments=None, **config):
    base = {"initial_cash": 1000.0, "sizing": {"mode": "fixed", "qty": 1.0}, "exit_at_session_end": False, **config}
    bars, signals, parsed, _ = oracle.frames((bars, signals, base, {}))
    return replay(bars, signals, parsed, instruments)


# two trades of one unit: +10 in session 0, -20 in session 1; open over night between 1.1 and 2.0 (+5, -15, -20)
BARS = [
    bar("A", 0, 0, 100, 100, 100, 100),
    bar("A", 0, 1, 100, 110, 100, 110),
    bar("A", 0, 2, 110, 110, 110, 110),
    bar("A", 1, 0, 100, 100, 100, 100),
    bar("A", 1, 1, 100, 105, 100, 105),
    bar("A", 2, 0, 90, 90, 85, 85),
    bar("A", 2, 1, 85, 85, 80, 80),
]
SIGNALS = [long("A", 0, 0, 100, 70, 110), long("A", 1, 0, 100, 80, 150)]


def test_metrics_by_hand(oracle):
    got = run(oracle, BARS, SIGNALS)
    assert got.trades["pnl"].to_list() == [10.0, -20.0]
    assert got.equity["realised"].to_list() == [1000.0, 1010.0, 1010.0, 1010.0, 1010.0, 1010.0, 990.0]
    assert got.equity["unrealised"].to_list() == [0.0, 0.0, 0.0, 0.0, 5.0, -15.0, 0.0]
    assert got.equity["equity"].to_list() == [1000.0, 1010.0, 1010.0, 1010.0, 1015.0, 995.0, 990.0]
    drawdowns = [0, 0, 0, 0, 0, 20 / 1015, 25 / 1015]
    assert got.equity["drawdown"].to_list() == pytest.approx(drawdowns)
    returns = [1010 / 1000 - 1, 1015 / 1010 - 1, 990 / 1015 - 1]
    mean = sum(returns) / 3
    deviation = math.sqrt(sum((r - mean) ** 2 for r in returns) / 2)
    assert got.metrics == pytest.approx(
        {
            "initial_cash": 1000.0,
            "final_cash": 990.0,
            "net_pnl": -10.0,
            "num_trades": 2,
            "win_rate": 0.5,
            "profit_factor": 0.5,
            "avg_win": 10.0,
            "avg_loss": -20.0,
            "expectancy": -5.0,
            "sharpe": mean / deviation * math.sqrt(252),
            "max_drawdown": 25 / 1015,
            "exposure": 4 / 7,
        }
    )


def test_exposure_counts_the_bars_of_every_symbol(oracle):
    other = [bar("B", 0, minute, 50, 50, 50, 50) for minute in range(7)]
    assert run(oracle, BARS + other, SIGNALS).metrics["exposure"] == 4 / 14


def test_open_positions_of_a_symbol_without_a_bar_keep_their_last_close(oracle):
    bars = [
        *BARS[:1],
        bar("A", 0, 1, 100, 104, 100, 104),
        bar("B", 0, 2, 50, 50, 50, 50),
        bar("B", 0, 3, 50, 50, 50, 50),
    ]
    got = run(oracle, bars, SIGNALS[:1])
    assert got.equity["unrealised"].to_list() == [0.0, 4.0, 4.0, 0.0]
    assert got.trades["exit_time"].to_list() == [dt.datetime(2024, 1, 2, 14, 31, tzinfo=dt.UTC)]


def test_the_last_row_of_equity_is_the_final_cash(oracle):
    got = run(oracle, BARS[:2], [long("A", 0, 0, 100, 70, 150)], costs={"fees_bps": 100.0, "slippage_bps": 100.0})
    # in at 101, fee 1.01; out at 110 * 0.99 = 108.9, fee 1.089
    assert got.trades["exit_reason"].to_list() == ["end"]
    assert got.metrics["final_cash"] == pytest.approx(1000 + 108.9 - 101 - 1.01 - 1.089)
    assert got.equity["equity"][-1] == got.metrics["final_cash"]
    assert got.equity["unrealised"][-1] == 0.0


def test_fills_are_in_order_of_execution(oracle):
    got = run(oracle, BARS, SIGNALS)
    rows = got.fills.select("kind", "side", "qty", "price", "fee", "reason").rows()
    assert rows == [
        ("entry", 1, 1.0, 100.0, 0.0, "entry"),
        ("exit", 1, 1.0, 110.0, 0.0, "tp"),
        ("entry", 1, 1.0, 100.0, 0.0, "entry"),
        ("exit", 1, 1.0, 80.0, 0.0, "sl"),
    ]


def test_figures_without_trades_are_none(oracle):
    metrics = run(oracle, BARS, []).metrics
    for name in ("win_rate", "profit_factor", "avg_win", "avg_loss", "expectancy", "sharpe"):
        assert metrics[name] is None
    assert (metrics["num_trades"], metrics["max_drawdown"], metrics["exposure"]) == (0, 0.0, 0.0)


def test_figures_without_losses_are_none(oracle):
    metrics = run(oracle, BARS[:3], SIGNALS[:1]).metrics
    assert metrics["profit_factor"] is metrics["avg_loss"] is metrics["sharpe"] is None
    assert metrics["avg_win"] == metrics["expectancy"] == 10.0


def test_a_pnl_of_exactly_nothing_is_no_win(oracle):
    """In at 0.1 * 1.0001, out at a target worth the same: floats leave some 1e-18 of either sign, decimals nothing."""
    found = 0
    for cents in range(3, 60):
        price = cents / 100
        slip = {"fees_bps": 0.0, "slippage_bps": 100.0}  # 1 %
        target = round(price * 1.01, 4)
        ticks = {"A": Instrument(symbol="A", tick_size=0.0001)}
        bars = [
            bar("A", 0, 0, price, price, price, price),
            bar("A", 0, 1, price, price, price, price),
            bar("A", 0, 2, price, 2 * price, price, price),
        ]
        got = run(oracle, bars, [long("A", 0, 0, price, price / 2, target)], ticks, costs=slip)
        assert got.trades["exit_reason"].to_list() == ["tp"]
        assert got.trades["pnl"].to_list() == [0.0]
        assert got.metrics["win_rate"] == 0.0
        found += price * (1 + 0.01) != target
    assert found > 0  # some of these do differ as floats


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([1010.0], None),
        ([1000.0, 1000.0, 1000.0], None),
        ([1010.0, 1020.1, 1030.301], None),  # 1 % each: no deviation but the floats'
        ([1100.0, 990.0], 0.0),
        ([-5.0, 10.0], None),
    ],
)
def test_sharpe_edges(levels, expected):
    got = sharpe(pl.Series(levels), 1000.0)
    assert got is None if expected is None else got == pytest.approx(expected, abs=1e-12)


def test_sharpe_is_annualised_by_the_sessions_of_the_year():
    levels = pl.Series([1010.0, 1015.0, 990.0])
    assert sharpe(levels, 1000.0, 365) == pytest.approx(sharpe(levels, 1000.0) * math.sqrt(365 / 252))


def test_drawdown_is_of_the_running_peak():
    curve = Curve(np.array([100.0, 90.0, 120.0, 80.0]), np.array([0.0, -10.0, 0.0, 10.0]), np.empty((2, 0), np.int64))
    drawn = equity_frame(np.arange(4), curve)
    assert drawn["equity"].to_list() == [100.0, 80.0, 120.0, 90.0]
    assert drawn["drawdown"].to_list() == pytest.approx([0.0, 0.2, 0.0, 0.25])


def test_another_calendar_has_another_year(oracle):
    pytest.importorskip("exchange_calendars")
    plain = run(oracle, BARS, SIGNALS).metrics["sharpe"]
    always = run(oracle, BARS, SIGNALS, {"A": Instrument(symbol="A", calendar="24/7")}).metrics["sharpe"]
    assert always == pytest.approx(plain * math.sqrt(365 / 252))


def test_parsed_config_defaults():
    config = ReplayConfig()
    assert (config.initial_cash, config.max_leverage, config.valid_sessions) == (10_000.0, 1.0, 0)
    assert config.exit_at_session_end
    assert config.sizing.mode == "risk"
