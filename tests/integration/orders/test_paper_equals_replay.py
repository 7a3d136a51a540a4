"""A paper account over many sessions trades as a replay of the same sessions does, trade for trade."""

import threading
import time
from pathlib import Path

import polars as pl
import pytest
import yaml
from harness import order_market as kit
from polars.testing import assert_frame_equal

from resources.brokers.simulated import BrokerAddress, RemoteBroker, broker_server
from resources.ledger import Ledger
from resources.router import Router
from trading.bars.resample import resample
from trading.replay import replay
from trading.synthetic import SyntheticMarket
from trading.variants import Variant
from trading_assets.settings import CONFIGS


@pytest.mark.slow
def test_four_variants_over_ten_sessions(tmp_path: Path) -> None:
    kelly = {"mode": "pct_of_equity", "pos_pct": 10.0, "equity": 10_000.0}
    variants = [
        kit.TestVariant("risk", kit.replay_config()),
        kit.TestVariant("pct", kit.replay_config(sizing=kelly)),
        kit.TestVariant("fixed", kit.replay_config(sizing={"mode": "fixed", "qty": 7}, max_hold_sessions=1)),
        kit.TestVariant("m15", kit.replay_config(exit_at_session_end=False, valid_sessions=1), timeframe="15m"),
    ]
    sessions = kit.SESSIONS[:10]
    account = kit.make_account([variant.name for variant in variants], reconcile_seconds=7200)
    desk = kit.make_desk(tmp_path, variants, sessions=sessions, symbols=kit.SYMBOLS, account=account)
    start = time.perf_counter()
    for session in sessions:
        report = desk.route(session)
        assert report.differences == () and report.refused == {}
    print(f"{len(sessions)} sessions in {time.perf_counter() - start:.1f} s, {report}")
    for variant in variants:
        expected = replay(desk.bars[variant.name], desk.signals[variant.name], variant.replay)
        closed = expected.trades.filter(pl.col("exit_reason") != "end")
        got = desk.trades(variant.name)
        assert got.height == closed.height and got.height > 20
        columns = got.columns
        assert_frame_equal(got, closed.select(columns), check_dtypes=False, check_exact=False, rel_tol=0, abs_tol=1e-9)
        worth = desk.ledger.worth("paper", variant.name)
        curve = expected.equity.sort("Timestamp").group_by(pl.col("Timestamp").dt.date(), maintain_order=True).last()
        if closed.height == expected.trades.height:
            assert [w.equity for w in worth] == pytest.approx(curve["equity"].to_list(), abs=1e-6)
    assert desk.ledger.verify() == []


@pytest.mark.slow
def test_the_demo_s_market_and_variants_through_a_broker_process_that_fills_in_parts(tmp_path: Path) -> None:
    """The shipped variants on the demo's synthetic market; every fill in three executions, over a socket."""
    market = SyntheticMarket(seed=7, symbols=8, sessions=5)
    minutes = market.m1()
    days = kit.CALENDAR.session_of(minutes["Timestamp"])
    minutes = minutes.with_columns(session=days).filter(pl.col("session").is_not_null())
    bars = resample(minutes.unique(["Symbol", "Timestamp"]), "5m", policy="keep").drop("minutes", "complete")
    bars = bars.sort("Symbol", "Timestamp")
    names = ("risk1", "pos10pct", "fixed1")
    configs = {name: yaml.safe_load((CONFIGS / "runs" / f"{name}.yml").read_text()) for name in names}
    variants = {name: Variant.from_config({"name": name, **config}) for name, config in configs.items()}
    signals = {
        name: v.implementation.signals(bars, v.params).join(
            bars.select("Symbol", "Timestamp", "session"), on=["Symbol", "Timestamp"]
        )
        for name, v in variants.items()
    }
    server = broker_server(tmp_path / "broker.db", BrokerAddress(path=tmp_path / "b"), executions_per_fill=3)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    ledger, broker = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}"), RemoteBroker(BrokerAddress(path=tmp_path / "b"))
    account = kit.make_account(list(names), breakers={"daily_loss_pct": 90.0, "drawdown_pct": 90.0, "overheat": None})
    desk = kit.Desk(
        ledger, broker, Router(ledger, broker, kit.CALENDAR), account, variants, dict.fromkeys(names, bars), signals
    )
    try:
        for session in market.sessions:
            report = desk.route(session)
            assert report.differences == () and report.refused == {}
    finally:
        broker.close()
        server.shutdown()
        server.server_close()
        thread.join(10)
    for name in names:
        expected = replay(bars, signals[name], variants[name].replay).trades.sort("exit_time", "Symbol")
        parts = pl.DataFrame([vars(fill) for fill in ledger.fills("paper", name)])
        found = (
            parts.group_by("order_ref")
            .agg(
                pl.col("symbol").first(), pl.col("side").first(), pl.len().alias("executions"),
                pl.col("at").filter(leg="entry").first().alias("entry_time"),
                pl.col("at").filter(leg="exit").last().alias("exit_time"),
                pl.col("qty").filter(leg="entry").sum().alias("qty"),
                pl.col("price").filter(leg="exit").last().alias("exit_price"),
                pl.col("reason").filter(leg="exit").last().alias("exit_reason"),
                pl.col("realised").sum().alias("pnl"),
            )
            .sort("exit_time", "symbol")
        )  # fmt: skip
        assert found.height == expected.height > 5 and found["executions"].max() == (2 if name == "fixed1" else 6)
        columns = ["side", "entry_time", "exit_time", "qty", "exit_price", "exit_reason", "pnl"]
        assert found["symbol"].to_list() == expected["Symbol"].to_list()
        assert_frame_equal(
            found.select(columns),
            expected.select(columns),
            check_dtypes=False,
            check_exact=False,
            rel_tol=0,
            abs_tol=1e-8,
        )
    ledger.close()
