"""vectorbt's account of a replay's fills comes to the replay's own figures."""

import json

import polars as pl
import pytest

from trading.bars import assemble_m1, resample
from trading.errors import DataError
from trading.lab.vectorbt_portfolio import page, portfolio_of, statistics
from trading.replay import ReplayConfig, replay
from trading.strategies import get_strategy
from trading.synthetic import SyntheticMarket


@pytest.fixture(scope="module")
def replayed():
    market = SyntheticMarket(seed=5, symbols=3, sessions=6)
    bars = resample(assemble_m1([market.m1()]).bars, "5m").filter(pl.col("complete"))
    signals = get_strategy("insidebar_intraday").signals(bars, {})
    config = ReplayConfig.model_validate({"costs": {"fees_bps": 2.0, "slippage_bps": 1.0}})
    result = replay(bars, signals, config)
    return bars, result, portfolio_of(result.fills, bars, config.initial_cash)


def test_the_pnl_is_the_replays(replayed):
    _, result, portfolio = replayed
    assert result.metrics["num_trades"] > 10
    assert portfolio.total_profit() == pytest.approx(result.metrics["net_pnl"], abs=1e-8)
    value = portfolio.value()
    assert value.to_numpy() == pytest.approx(result.equity["equity"].to_numpy(), abs=1e-8)


def test_the_statistics_are_the_replays_where_both_have_them(replayed):
    bars, result, portfolio = replayed
    figures, metrics = statistics(portfolio, bars, 252), result.metrics
    json.dumps(figures, allow_nan=False)
    assert figures["Total Trades"] == metrics["num_trades"]
    assert figures["End Value"] == pytest.approx(metrics["final_cash"])
    assert figures["Win Rate [%]"] == pytest.approx(100 * metrics["win_rate"])
    assert figures["Profit Factor"] == pytest.approx(metrics["profit_factor"])
    assert figures["Expectancy"] == pytest.approx(metrics["expectancy"])
    assert figures["Max Drawdown [%]"] == pytest.approx(100 * metrics["max_drawdown"])
    assert figures["Total Fees Paid"] == pytest.approx(result.trades["fees"].sum())
    assert figures["Sharpe Ratio"] is not None


def test_without_a_fill_there_are_statistics_all_the_same(replayed):
    bars, result, _ = replayed
    figures = statistics(portfolio_of(result.fills.clear(), bars, 5000.0), bars, 252)
    assert figures["End Value"] == 5000.0
    assert figures["Total Trades"] == 0
    assert figures["Win Rate [%]"] is None


def test_the_page_needs_no_network(replayed):
    _, _, portfolio = replayed
    html = page(portfolio, "IB · 5m")
    assert "IB · 5m" in html or "IB \\u00b7 5m" in html
    assert "<script src=" not in html
    assert "<link" not in html.split("</head>")[0]
    assert len(html) > 1_000_000  # plotly itself is in it
    assert page(portfolio, "IB · 5m") == html


def test_no_bars_is_refused(replayed):
    bars, result, _ = replayed
    with pytest.raises(DataError, match="needs the bars"):
        portfolio_of(result.fills.clear(), bars.clear(), 5000.0)
