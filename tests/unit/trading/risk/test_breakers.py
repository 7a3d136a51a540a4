"""The breakers that are not about money: an overheated market, pauses, the trailing stop, the reference of a losing streak."""

import datetime as dt
import itertools
from dataclasses import replace

import numpy as np
import pytest
from harness.gates import an_account
from hypothesis import given
from hypothesis import strategies as st

from trading.accounts import BreakerLimits, OverheatLimits, TrailingStopLimits
from trading.promotion.statistics import wilson_lower_bound
from trading.risk.overheat import MarketHeat, heat_steps, quantile, size_factor
from trading.risk.pauses import Health, pauses
from trading.risk.trailing_stop import TrailingStop
from trading.risk.win_rate import WinRateReference, reference_of

DAY = dt.date(2024, 3, 1)
LIMITS = OverheatLimits(lookback=4, min_sessions=4, quantile=0.75, release_quantile=0.5)


def heat(*volatility: float, gaps: float = 0.0) -> list[MarketHeat]:
    return [MarketHeat(DAY + dt.timedelta(days=i), value, gaps) for i, value in enumerate(volatility)]


def test_a_hot_market_steps_down_to_nothing_and_back_with_hysteresis() -> None:
    # of 1 2 3 4 the 75 % quantile is 3.25 and the 50 % quantile 2.5
    calm = (1.0, 2.0, 3.0, 4.0)
    steps = heat_steps(heat(*calm, 3.25, 3.26, 3.0, 9.0, 9.0, 9.1, 1.0), LIMITS)
    # 3.25 is not above; before 3.26 are 2 3 4 3.25 (q75 3.4375, q50 3.125): between; before 3.0: 3 4 3.25 3.26 (q50 3.255): calm;
    # before the nines 4 3.25 3.26 3 (q75 3.445), then 3.25 3.26 3 9 (q75 4.695), then 3.26 3 9 9 (q75 9); before 1.0: q50 9
    assert [step.factor for step in steps] == [1, 1, 1, 1, 1, 1, 1, 0.5, 0.25, 0.0, 0.25]
    assert steps[4].volatility_limit == 3.25 and steps[3].volatility_limit is None


def test_between_the_two_quantiles_the_step_stays() -> None:
    # tripped by 5 (q75 of 1 2 3 4 is 3.25); of 2 3 4 5 q50 is 3.5 and q75 4.25: 4 stays, 3.5 is not reached from above
    steps = heat_steps(heat(1, 2, 3, 4, 5, 4), LIMITS)
    assert [step.step for step in steps][-2:] == [1, 1]


def test_gaps_alone_are_hot_and_what_is_not_a_number_too() -> None:
    calm = heat(1, 1, 1, 1)
    assert size_factor([*calm, MarketHeat(DAY, 1.0, 0.1)], LIMITS) == 0.5
    assert size_factor([*calm, MarketHeat(DAY, float("nan"), 0.0)], LIMITS) == 0.5
    assert size_factor([*calm, MarketHeat(DAY, 1.0, 0.0)], LIMITS) == 1.0
    assert size_factor([*calm, MarketHeat(DAY, 9.0, 0.0)], None) == 1.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.floats(0, 1))
def test_a_quantile_is_numpys(values: list[float], share: float) -> None:
    assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)), rel=1e-9, abs=1e-9)


@given(st.lists(st.floats(0.001, 10), min_size=5, max_size=40))
def test_one_session_is_one_step_at_most_and_the_past_is_not_rewritten(volatility: list[float]) -> None:
    steps = heat_steps(heat(*volatility), LIMITS)
    moves = [abs(b.step - a.step) for a, b in itertools.pairwise(steps)]
    assert max(moves) <= 1 and steps[:-1] == heat_steps(heat(*volatility[:-1]), LIMITS)


GOOD = Health()


@pytest.mark.parametrize(
    ("health", "names"),
    [
        (GOOD, []),
        (replace(GOOD, data_age_seconds=900.0), []),
        (replace(GOOD, data_age_seconds=900.1), ["stale_data"]),
        (replace(GOOD, data_age_seconds=None), ["stale_data"]),
        (replace(GOOD, broker_silent_seconds=60.0), []),
        (replace(GOOD, broker_silent_seconds=60.1), ["broker_disconnected"]),
        (replace(GOOD, ledger_writable=False), ["ledger_not_writable"]),
        (replace(GOOD, lake_writable=False), ["lake_not_writable"]),
        (replace(GOOD, clock_skew_seconds=5.1), ["clock_skew"]),
        (replace(GOOD, clock_skew_seconds=float("nan")), ["clock_skew"]),
        (replace(GOOD, size_factor=0.25), []),
        (replace(GOOD, size_factor=0.0), ["overheated"]),
        (Health(None, 99.0, False, False, 99.0, 0.0),
         ["stale_data", "broker_disconnected", "ledger_not_writable", "lake_not_writable", "clock_skew", "overheated"]),
    ],
)  # fmt: skip
def test_what_pauses_new_entries(health: Health, names: list[str]) -> None:
    found = pauses(health, an_account().breakers)
    assert [pause.name for pause in found] == names and all(pause.says for pause in found)


@given(st.floats(1, 1e4), st.floats(1, 1e4))
def test_a_tighter_pause_never_pauses_less(age: float, limit: float) -> None:
    health = replace(GOOD, data_age_seconds=age)
    loose = pauses(health, BreakerLimits(max_data_age_seconds=limit))
    tight = pauses(health, BreakerLimits(max_data_age_seconds=limit / 2))
    assert len(tight) >= len(loose)


@pytest.mark.parametrize(
    ("side", "closes", "level", "hit"),
    [
        (1, [100.4], None, False),  # +0.4 % does not activate
        (1, [100.5], 98.49, False),  # +0.5 % does: 100.5 x 0.98
        (1, [110.0, 107.8], 107.8, True),  # 110 x 0.98, at the level
        (1, [110.0, 107.81], 107.8, False),
        (-1, [99.5], 101.49, False),  # 99.5 x 1.02
        (-1, [90.0, 91.8], 91.8, True),
        (-1, [100.6], None, False),
    ],
)
def test_a_trailing_stop_by_hand(side: int, closes: list[float], level: float | None, hit: bool) -> None:
    limits, stop = TrailingStopLimits(), TrailingStop.of(side, 100.0)
    for close in closes:
        stop = stop.seen(close)
    assert stop.level(limits) == (None if level is None else pytest.approx(level))
    assert stop.hit(round(closes[-1], 6), limits) == hit


@given(st.sampled_from([1, -1]), st.lists(st.floats(50, 150), min_size=2, max_size=20))
def test_a_trailing_level_never_goes_back(side: int, closes: list[float]) -> None:
    limits, stop, levels = TrailingStopLimits(), TrailingStop.of(side, 100.0), []
    for close in closes:
        stop = stop.seen(close)
        level = stop.level(limits)
        levels += [] if level is None else [side * level]
    assert levels == sorted(levels)


def test_the_reference_is_of_the_horizon_with_most_trades() -> None:
    metrics = [
        {"num_trades": 10, "win_rate": 0.9},
        {"num_trades": 200, "win_rate": 0.45},
        {"num_trades": 0, "win_rate": None},
    ]
    assert reference_of(metrics, DAY) == WinRateReference(wilson_lower_bound(90, 200) or 0, DAY)
    assert reference_of([{"num_trades": 0, "win_rate": None}, {}], DAY) is None and reference_of([], DAY) is None
