"""The compiled replay against the plain reference, on random cases."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.replay import engine, market, replay

TRADE = ("symbol", "setup_time", "side", "qty", "entry_time", "entry_price", "exit_time", "exit_price")
REST = ("exit_reason", "fees", "pnl", "bars_held")


def check(oracle, seed):
    case = oracle.random_case(seed)
    expected = oracle.replay(*case)
    got = replay(*oracle.frames(case))
    where = f"seed {seed}"
    trades = got.trades.with_columns(pl.col(pl.Datetime).to_physical()).rows()
    want = [tuple(trade[k] for k in TRADE + REST) for trade in expected.trades]
    assert len(trades) == len(want), where
    for row, wanted in zip(trades, want, strict=True):
        for name, a, b in zip(TRADE + REST, row, wanted, strict=True):
            if isinstance(a, float):
                assert a == pytest.approx(float(b), rel=1e-12, abs=1e-6), f"{where}: {name} of {wanted}"
            else:
                assert a == b, f"{where}: {name} of {wanted}"
    rejected = got.rejected.with_columns(pl.col(pl.Datetime).to_physical()).rows()
    assert rejected == [tuple(r.values()) for r in expected.rejected], where
    assert got.metrics["final_cash"] == pytest.approx(float(expected.cash), rel=1e-12, abs=1e-6), where
    if expected.curve:
        assert got.equity.height == len(expected.curve), where
        for row, (t, cash, marked) in zip(got.equity.to_dicts()[:-1], expected.curve[:-1], strict=True):
            assert int(row["Timestamp"].timestamp() * 1e6) == t, where
            assert row["realised"] == pytest.approx(float(cash), rel=1e-12, abs=1e-6), where
            assert row["unrealised"] == pytest.approx(float(marked), rel=1e-12, abs=1e-6), where
        assert got.equity["equity"][-1] == got.metrics["final_cash"], where
    return expected


@pytest.fixture
def shared_out(monkeypatch, block):
    """Odd blocks are done on three threads, even ones on one."""
    for module in (engine, market):
        monkeypatch.setattr(module, "parts_of", lambda _: 1 + 2 * (block % 2))


@pytest.mark.usefixtures("shared_out")
@pytest.mark.parametrize("block", range(6))
def test_random_cases_agree(oracle, block):
    for seed in range(block * 100, block * 100 + 100):
        check(oracle, seed)


@pytest.mark.slow
@pytest.mark.usefixtures("shared_out")
@pytest.mark.parametrize("block", range(10))
def test_many_random_cases_agree(oracle, block):
    for seed in range(100_000 + block * 500, 100_000 + block * 500 + 500):
        check(oracle, seed)


def test_the_random_cases_reach_every_outcome(oracle):
    reasons, modes = set(), set()
    for seed in range(300):
        case = oracle.random_case(seed)
        done = oracle.replay(*case)
        if done.trades:
            modes.add(case[2]["sizing"]["mode"])
        reasons |= {(t["side"], t["exit_reason"]) for t in done.trades} | {r["reason"] for r in done.rejected}
    assert modes == {"fixed", "pct_of_equity", "risk", "kelly"}
    assert reasons == {(side, r) for side in (1, -1) for r in ("sl", "tp", "eod", "time", "end")} | {
        "ambiguous",
        "gap_through_target",
        "buying_power",
        "size",
    }


def test_signals_may_come_in_any_order_and_meta_columns_are_ignored(oracle):
    bars, signals, config, instruments = oracle.frames(oracle.random_case(6))
    shuffled = signals.sample(fraction=1.0, shuffle=True, seed=1).with_columns(meta_atr=pl.lit(1.0))
    assert signals.height > 1
    assert_frame_equal(
        replay(bars, shuffled, config, instruments).trades, replay(bars, signals, config, instruments).trades
    )
