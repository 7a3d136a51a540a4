"""A sweep is its sets' own replays, each once, whatever their number and order."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.lab import sweep as module
from trading.lab.session_figures import best_of
from trading.lab.sweep import Trials, run_sweep
from trading.replay import replay

from .conftest import config


def _signals(bars):
    called = []

    def signals_of(variant):
        called.append(variant)
        return variant.implementation.signals(bars, variant.params)

    return signals_of, called


@pytest.fixture(scope="module")
def swept(bars, base):
    signals_of, called = _signals(bars)
    steps = []
    run = run_sweep(
        bars, Trials.of(config(), base), signals_of, progress=lambda done, total: steps.append((done, total))
    )
    return run, called, steps


def test_each_set_gives_what_its_own_replay_gives(swept, bars):
    run, _, _ = swept
    for number in (0, 5, 11):
        variant = run.trials.variants[number]
        alone = replay(bars, variant.implementation.signals(bars, variant.params), variant.replay)
        row = run.results.row(number, named=True)
        assert alone.metrics["num_trades"] > 10
        assert {name: row[name] for name in alone.metrics} == alone.metrics
        last = alone.equity.join(bars.select("Timestamp", "session").unique(), on="Timestamp").group_by("session")
        ends = last.agg(pl.col("equity").sort_by("Timestamp").last()).sort("session")
        assert run.figures.sessions.to_list() == ends["session"].to_list()
        assert run.figures.equity[number].tolist() == ends["equity"].to_list()
        assert run.figures.trades[number].sum() == alone.trades.height
        pnl = alone.trades["pnl"]
        assert run.figures.won[number].sum() == pytest.approx(pnl.filter(pnl > 0).sum())
        assert run.figures.lost[number].sum() == pytest.approx(-pnl.filter(pnl <= 0).sum())


@pytest.mark.parametrize("name", ["sharpe", "net_pnl", "expectancy", "profit_factor"])
def test_metrics_over_all_sessions_are_the_replays(swept, name):
    run, _, _ = swept
    assert run.figures.metric(name) == pytest.approx(run.results[name].to_numpy())


def test_signals_are_made_once_for_sets_that_differ_in_replay_settings(swept):
    run, called, steps = swept
    assert len(run.trials) == 12
    assert len(called) == len({variant.strategy_version for variant in called}) == 6
    assert steps[-1] == (12, 12)


def test_sets_with_the_same_signals_and_settings_are_replayed_once(bars, base, monkeypatch):
    replayed = []
    original = module.replay_sweep

    def counted(bars, signals, configs, *rest, **more):
        replayed.append(len(configs))
        return original(bars, signals, configs, *rest, **more)

    monkeypatch.setattr(module, "replay_sweep", counted)
    # a limit on the stop that no stop reaches changes nothing
    trials = Trials.of(config(params={"max_stop_ticks": [None, 1_000_000]}, replay=None), base)
    run = run_sweep(bars, trials, _signals(bars)[0])
    assert replayed == [1]
    assert run.results["same_as"].to_list() == [0, 0]
    assert run.distinct.tolist() == [True, False]
    metrics = run.results.select("num_trades", "net_pnl", "sharpe")
    assert metrics.row(0) == metrics.row(1)
    assert (run.figures.equity[0] == run.figures.equity[1]).all()


def test_chunks_change_nothing(swept, bars, base, monkeypatch):
    run, _, _ = swept
    monkeypatch.setattr(module, "SETS_AT_ONCE", 5)
    monkeypatch.setattr(module, "SIGNALS_AT_ONCE", 100)
    steps = []
    again = run_sweep(bars, run.trials, _signals(bars)[0], progress=lambda done, total: steps.append(done))
    assert_frame_equal(again.results, run.results)
    for name in ("equity", "trades", "won", "lost"):
        assert (getattr(again.figures, name) == getattr(run.figures, name)).all()
    assert len(steps) > 3 and steps == sorted(steps)


def test_a_set_without_a_signal_is_a_set(bars, base):
    trials = Trials.of(config(params={"min_mother_atr": [0.0, 1000.0]}, replay=None), base)
    run = run_sweep(bars, trials, _signals(bars)[0])
    assert run.results["signals"][1] == 0 and run.results["num_trades"][1] == 0
    assert run.figures.equity[1].tolist() == [10_000.0] * len(run.figures.sessions)
    assert np.isnan(run.figures.metric("sharpe")[1]) and np.isnan(run.figures.metric("expectancy")[1])


def test_the_best_is_the_first_of_the_highest():
    values = np.array([np.nan, 1.0, 3.0, 3.0])
    assert best_of(values) == 2
    assert best_of(values, np.array([True, True, False, False])) == 1
    assert best_of(np.array([np.nan])) is None
