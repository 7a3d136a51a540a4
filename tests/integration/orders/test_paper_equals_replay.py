"""A paper account over many sessions trades as a replay of the same sessions does, trade for trade."""

import importlib.util
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.replay import replay


def _kit():  # the conftest's pieces, which are not a package under importlib mode
    name = "orders_market"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("conftest.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


kit = _kit()


@pytest.mark.slow
def test_four_variants_over_20_sessions(folder: Path) -> None:
    kelly = {"mode": "pct_of_equity", "pos_pct": 10.0, "equity": 10_000.0}
    variants = [
        kit.TestVariant("risk", kit.replay_config()),
        kit.TestVariant("pct", kit.replay_config(sizing=kelly)),
        kit.TestVariant("fixed", kit.replay_config(sizing={"mode": "fixed", "qty": 7}, max_hold_sessions=1)),
        kit.TestVariant("m15", kit.replay_config(exit_at_session_end=False, valid_sessions=1), timeframe="15m"),
    ]
    sessions = kit.SESSIONS[:20]
    desk = kit.make_desk(folder, variants, sessions=sessions, symbols=kit.SYMBOLS)
    start = time.perf_counter()
    for session in sessions:
        report = desk.route(session)
        assert report.differences == () and report.refused == {}
    print(f"{len(sessions)} sessions in {time.perf_counter() - start:.1f} s, {report}")
    for variant in variants:
        expected = replay(desk.bars[variant.name], desk.signals[variant.name], variant.replay)
        closed = expected.trades.filter(pl.col("exit_reason") != "end")
        got = desk.trades(variant.name)
        assert got.height == closed.height and got.height > 40
        columns = got.columns
        assert_frame_equal(got, closed.select(columns), check_dtypes=False, check_exact=False, rel_tol=0, abs_tol=1e-9)
        worth = desk.ledger.worth("paper", variant.name)
        curve = expected.equity.sort("Timestamp").group_by(pl.col("Timestamp").dt.date(), maintain_order=True).last()
        if closed.height == expected.trades.height:
            assert [w.equity for w in worth] == pytest.approx(curve["equity"].to_list(), abs=1e-6)
    assert desk.ledger.verify() == []
