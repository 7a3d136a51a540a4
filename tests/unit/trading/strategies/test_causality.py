"""The look-ahead check catches strategies that cheat, each in its own way, and lets honest ones pass."""

import numpy as np
import pytest

from trading.errors import ConfigError
from trading.strategies import check_causality, get_strategy
from trading.strategies.futures import Timeline

EVERYWHERE = [
    "NextBar", "NextBarWhereKnown", "LevelOfNextBar", "CentredRolling", "WholeSeriesZScore", "WholeSeriesQuantile",
    "WholeSeriesRank", "BestByFutureReturn", "LabelledLeft", "ResampledLabelledLeft", "Backfilled", "Interpolated",
    "AsofForward", "TomorrowsGap", "ReversedTrend", "SessionHigh", "LiquidToday", "LastClose", "BeforeTheNewestBar",
    "OtherSymbolAhead",
]  # fmt: skip
RARELY = ["OneBarIn500", "OneLoserIn500", "OneLevelIn500"]


@pytest.mark.parametrize("cheat", EVERYWHERE)
@pytest.mark.parametrize("seed", range(2))
def test_a_strategy_that_looks_ahead_is_caught(frames, cheats, cheat, seed):
    report = check_causality(getattr(cheats, cheat)(), frames.random_bars(["AA", "BB"], 8, seed=seed), seed=seed)
    assert not report.passed
    assert report.conclusive
    assert str(report).startswith("looks ahead: ") and "over all bars" in str(report)
    assert report.breaches[0].timestamp <= report.breaches[0].cut


@pytest.mark.parametrize("cheat", RARELY)
@pytest.mark.parametrize("seed", range(2))
def test_a_look_ahead_at_one_bar_in_500_among_honest_signals_is_caught(frames, cheats, cheat, seed):
    bars = frames.random_bars(["AA", "BB", "CC"], 20, seed=seed)
    moments = bars.filter(cheats.every_500th())["Timestamp"].unique()
    assert 1 <= len(moments) <= 6  # of 1,560
    strategy = getattr(cheats, cheat)()
    assert strategy.signals(bars).height > 2000
    report = check_causality(strategy, bars, seed=seed)
    assert not report.passed
    assert report.breaches[0].timestamp in moments


def test_every_timestamp_is_probed_once(frames):
    time = Timeline.of(frames.random_bars(["AA"], 6), memory=15)
    random = np.random.default_rng(0)
    cuts = [cut for found in time.rounds(154, np.arange(0, 400, 9), random) for cut in found.values()]
    _, at_edges = time.edges()
    cuts += [cut for found in at_edges for cut in found.values()]
    assert sorted(cuts) == list(range(6 * 78 - 1))  # all but the very last, after which there is nothing


def test_a_forged_future_shows_what_a_hidden_one_does_not(frames, cheats):
    report = check_causality(cheats.NextBarWhereKnown(), frames.random_bars(["AA"], 4), cuts=20)
    assert "perturbation" in {breach.experiment for breach in report.breaches}


@pytest.mark.parametrize("strange", ["Fickle", "Random"])
def test_what_is_no_function_of_its_bars_is_caught(frames, cheats, strange):
    report = check_causality(getattr(cheats, strange)(), frames.random_bars(["AA"], 4))
    assert not report.passed


def test_a_future_is_hidden_before_it_is_shown(frames, cheats):
    """One that keeps what it saw would otherwise know every hidden bar from the run over all of them."""
    report = check_causality(cheats.RemembersWhatItSaw(), frames.random_bars(["AA", "BB"], 4))
    assert report.breaches[0].experiment == "truncation"


PARAMS = {
    "insidebar_intraday": [
        {},
        {"atr_period": 5, "max_setups_per_window": 3, "session_windows": [["15:30", "17:00"], ["17:00", "20:00"]]},
        {"atr_period": 100, "min_mother_atr": 0.5, "entry_level": "inside_bar", "max_stop_ticks": 20},
    ],
    "insidebar_breakout": [{"atr_period": 5}, {"strict": True, "min_mother_atr": 1.0}],
    "marubozu_breakout": [{}, {"min_body_ratio": 0.5, "min_range_atr": 0.5, "atr_period": 3}],
}


@pytest.mark.parametrize(("name", "params"), [(name, params) for name, found in PARAMS.items() for params in found])
def test_honest_strategies_pass(frames, name, params):
    daily = name == "insidebar_breakout"
    bars = frames.random_bars(["AA", "BB"], 150 if daily else 6, minutes=None if daily else 5, missing=0.02, seed=3)
    report = check_causality(get_strategy(name), bars, params)
    assert report.passed and report.conclusive
    assert str(report).startswith("no look-ahead found in ")
    assert report.signals > 3
    assert len(report.cuts) == 8
    assert report.probes > 50


@pytest.mark.parametrize("honest", ["Breakout", "LongMemory", "YesterdaysHigh"])
@pytest.mark.parametrize("seed", range(2))
def test_no_false_alarm_over_what_is_remembered(frames, cheats, honest, seed):
    strategy = getattr(cheats, honest)()
    report = check_causality(strategy, frames.random_bars(["AA", "BB"], 6), cuts=12, seed=seed)
    assert report.passed and report.conclusive


def test_the_same_seed_gives_the_same_report(frames, cheats):
    bars = frames.random_bars(["AA", "BB"], 5)
    one, two = (check_causality(cheats.NextBar(), bars, seed=7) for _ in range(2))
    assert one == two
    assert check_causality(cheats.NextBar(), bars, seed=8).cuts != one.cuts


def test_no_signal_is_no_evidence(frames):
    bars = frames.random_bars(["AA"], 1).head(10)
    report = check_causality(get_strategy("insidebar_intraday"), bars)
    assert report.passed and not report.conclusive
    assert str(report).startswith("inconclusive: 0 signals on 10 bars")
    assert not check_causality(get_strategy("insidebar_intraday"), bars.clear()).conclusive


def test_cost_is_bounded(frames, cheats):
    bars = frames.random_bars(["AA"], 20)
    report = check_causality(cheats.Breakout(), bars, cuts=3, rounds=0, max_bars=200)
    assert (report.bars, len(report.cuts), report.probes) == (200, 3, 0)
    for wrong in ({"cuts": 0}, {"max_bars": 0}, {"rounds": -1}):
        with pytest.raises(ConfigError, match="at least 1"):
            check_causality(cheats.Breakout(), bars, **wrong)


def test_bars_without_a_session_are_given_one(frames, cheats):
    report = check_causality(cheats.SessionHigh(), frames.random_bars(["AA"], 4).drop("session"))
    assert not report.passed
