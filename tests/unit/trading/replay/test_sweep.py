"""A sweep gives for each of its sets exactly what a replay of that set alone gives."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.errors import ContractViolation
from trading.replay import replay, replay_sweep


def variants(oracle, seed, n=4):
    """One case's bars and instruments, with the signals of other draws and the settings of other cases."""
    bars, signals, _, instruments = oracle.frames(oracle.random_case(seed))
    configs = [oracle.frames(oracle.random_case(seed * 1000 + i))[2] for i in range(n)]
    parts = [
        signals.sample(fraction=0.7, seed=seed + i).select(pl.lit(i, dtype=pl.Int32).alias("set"), pl.all())
        for i in range(n - 1)
    ]
    return bars, pl.concat(parts).sample(fraction=1.0, shuffle=True, seed=seed), configs, instruments


def check(oracle, seed):
    bars, signals, configs, instruments = variants(oracle, seed)
    got = replay_sweep(bars, signals, configs, instruments, trades=True)
    assert got.metrics["set"].to_list() == list(range(len(configs)))
    assert got.sessions.to_list() == bars["session"].unique().sort().to_list()
    assert got.equity.shape == (len(configs), got.sessions.len())
    for i, config in enumerate(configs):
        alone = replay(bars, signals.filter(pl.col("set") == i), config, instruments)
        metrics = got.metrics.row(i, named=True)
        assert metrics.pop("set") == i
        assert metrics == alone.metrics, f"seed {seed}, set {i}"
        assert_frame_equal(got.trades.filter(pl.col("set") == i).drop("set"), alone.trades, check_exact=True)
        ends = bars.group_by("session").agg(pl.col("Timestamp").max()).sort("session")
        wanted = ends.join(alone.equity, on="Timestamp", how="left", maintain_order="left")["equity"]
        assert np.array_equal(got.equity[i], wanted.to_numpy()), f"seed {seed}, set {i}"


@pytest.mark.parametrize("block", range(2))
def test_each_set_equals_its_replay(oracle, block):
    for seed in range(block * 30, block * 30 + 30):
        check(oracle, seed)


def test_without_trades_there_are_none(oracle):
    bars, signals, configs, instruments = variants(oracle, 6)
    assert replay_sweep(bars, signals, configs, instruments).trades is None


def test_no_sets(oracle):
    bars, signals, _, instruments = variants(oracle, 6)
    got = replay_sweep(bars, signals.clear(), [], instruments, trades=True)
    assert got.metrics.height == got.trades.height == 0
    assert got.equity.shape == (0, got.sessions.len())


@pytest.mark.parametrize("number", [-1, 4, None])
def test_a_set_without_config_is_refused(oracle, number):
    bars, signals, configs, instruments = variants(oracle, 6)
    bad = signals.with_columns(set=pl.when(pl.int_range(pl.len()) == 1).then(pl.lit(number, pl.Int32)).otherwise("set"))
    with pytest.raises(ContractViolation, match="index of one of 4 configs") as refused:
        replay_sweep(bars, bad, configs, instruments)
    assert (refused.value.contract, refused.value.rule) == ("replay.signals", "set")
    assert "1 offending" in str(refused.value)


def test_bad_bars_are_refused_without_any_set(oracle):
    bars, signals, _, instruments = variants(oracle, 6)
    with pytest.raises(ContractViolation, match="prices must be finite"):
        replay_sweep(bars.with_columns(Low=pl.lit(-1.0)), signals.clear(), [], instruments)
