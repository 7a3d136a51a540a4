"""A sweep gives for each of its sets exactly what a replay of that set alone gives."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.errors import ContractViolation
from trading.replay import replay, replay_sweep, sweep
from trading.replay.engine import new_curve


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


def test_the_sets_of_the_random_cases_are_of_every_sizing(oracle):
    modes = {config.sizing.mode for seed in range(60) for config in variants(oracle, seed)[2]}
    symbols = {variants(oracle, seed)[0]["Symbol"].n_unique() for seed in range(60)}
    assert modes == {"fixed", "pct_of_equity", "risk", "kelly"}
    assert max(symbols) > 2


def test_rows_may_come_in_any_order(oracle):
    bars, signals, configs, instruments = variants(oracle, 6)
    shuffled = replay_sweep(bars, signals, configs, instruments, trades=True)
    for by in (["set", "Symbol", "Timestamp"], ["Symbol", "Timestamp", "set"], ["Timestamp"]):
        again = replay_sweep(bars, signals.sort(by), configs, instruments, trades=True)
        assert_frame_equal(again.metrics, shuffled.metrics, check_exact=True)
        assert_frame_equal(again.trades, shuffled.trades, check_exact=True)
        assert np.array_equal(again.equity, shuffled.equity)


@pytest.mark.parametrize("in_order", [True, False])
def test_a_bad_signal_in_any_set_is_refused_and_shown(oracle, in_order):
    bars, signals, configs, instruments = variants(oracle, 6)
    signals = signals.sort("set", "Symbol", "Timestamp") if in_order else signals
    row = int(signals.with_row_index().filter(pl.col("long_entry").is_not_null())["index"][-1])
    picked = pl.int_range(pl.len()) == row
    for name, value, rule in (("tp_long", float("nan"), "finite"), ("sl_long", 1e6, "stop_side")):
        bad = signals.with_columns(pl.when(picked).then(value).otherwise(name).alias(name))
        with pytest.raises(ContractViolation, match="1 offending row") as refused:
            replay_sweep(bars, bad, configs, instruments)
        assert refused.value.rule == rule
        assert f"│ {row} " in refused.value.details


def test_a_bar_may_have_a_signal_of_each_set_but_not_two(oracle):
    bars, signals, configs, instruments = variants(oracle, 6)
    first = signals[:1]
    each = pl.concat([first.with_columns(set=pl.lit(i, pl.Int32)) for i in range(len(configs))])
    assert replay_sweep(bars, each, configs, instruments).metrics.height == len(configs)
    with pytest.raises(ContractViolation) as refused:
        replay_sweep(bars, pl.concat([each, first]), configs, instruments)
    assert refused.value.rule == "duplicate"


def test_memory_is_of_threads_and_not_of_sets(oracle, monkeypatch):
    """The arrays as long as the bars are made once a thread."""
    made = []

    def note(*size):
        made.append(size)
        return new_curve(*size)

    monkeypatch.setattr(sweep, "new_curve", note)
    bars, signals, configs, instruments = variants(oracle, 6)
    many = pl.concat([signals.filter(pl.col("set") == 0).with_columns(set=pl.lit(i, pl.Int32)) for i in range(40)])
    many = many.sort("set", "Symbol", "Timestamp")
    assert replay_sweep(bars, many, configs[:1] * 40, instruments).metrics.height == 40
    assert 1 <= len(made) <= pl.thread_pool_size()
