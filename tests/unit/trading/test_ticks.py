"""Rounding to the tick: exact in decimal, the array form equal to the scalar one."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.errors import DataError
from trading.ticks import exact, round_levels, round_to_tick

TICKS = st.sampled_from([0.01, 0.05, 0.25, 0.1, 1.0, 5.0, 0.0001, 0.125, 0.015625, 1e-8, 0.03, 12.5])
LEVELS = st.one_of(
    st.floats(min_value=-1e6, max_value=1e6),
    st.decimals(min_value=0, max_value=100_000, places=2).map(float),
    st.floats(min_value=1e-9, max_value=1e15),
    st.integers(0, 10**7).map(lambda n: n * 0.01),
    st.integers(0, 10**6).map(lambda n: n / 100 + 1e-13),
)


@pytest.mark.parametrize(
    ("value", "tick", "up", "down"),
    [
        (100.001, 0.01, 100.01, 100.0),
        (100.1, 0.01, 100.1, 100.1),
        (0.29, 0.01, 0.29, 0.29),
        (0.1 + 0.2, 0.1, 0.4, 0.3),
        (99.9, 0.25, 100.0, 99.75),
        (4321.13, 0.25, 4321.25, 4321.0),
        (-0.2, 0.25, 0.0, -0.25),
        (1e-9, 0.01, 0.01, 0.0),
        (7.0, 5.0, 10.0, 5.0),
    ],
)
def test_worked_by_hand(value, tick, up, down):
    assert round_to_tick(value, tick, "up") == up
    assert round_to_tick(value, tick, "down") == down
    assert round_levels(np.array([value]), tick, "up").tolist() == [up]
    assert round_levels(np.array([value]), tick, "down").tolist() == [down]


@given(LEVELS, TICKS)
@settings(max_examples=500, deadline=None)
def test_scalar_is_decimal_arithmetic(value, tick):
    steps = Decimal(repr(value)) / Decimal(repr(tick))
    if abs(steps) > Decimal(10) ** 20:
        return
    for direction, rounding in (("up", ROUND_CEILING), ("down", ROUND_FLOOR)):
        whole = Fraction(*Decimal(repr(value)).as_integer_ratio()) / Fraction(*Decimal(repr(tick)).as_integer_ratio())
        expected = (
            -(-whole.numerator // whole.denominator) if direction == "up" else whole.numerator // whole.denominator
        )
        got = round_to_tick(value, tick, direction)
        assert got == float(expected * Decimal(repr(tick)))
        if steps == steps.to_integral_value(rounding):
            assert got == value


@given(st.lists(LEVELS, max_size=30), TICKS, st.sampled_from(["up", "down"]))
@settings(max_examples=500, deadline=None)
def test_arrays_equal_scalars(values, tick, direction):
    got = round_levels(np.array(values, dtype=np.float64), tick, direction)
    assert got.tolist() == [round_to_tick(value, tick, direction) for value in values]


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=50), st.sampled_from([0.01, 0.05, 0.25, 0.001]))
@settings(max_examples=300, deadline=None)
def test_a_level_on_the_grid_never_moves(steps, tick):
    on_grid = np.array([float(n * Decimal(repr(tick))) for n in steps])
    for direction in ("up", "down"):
        assert round_levels(on_grid, tick, direction).tolist() == on_grid.tolist()


def test_absent_levels_stay_absent():
    got = round_levels(np.array([np.nan, 100.001, np.nan]), 0.01, "up")
    assert np.isnan(got[[0, 2]]).all()
    assert got[1] == 100.01


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_level_must_be_finite(value):
    with pytest.raises(DataError, match="finite"):
        round_to_tick(value, 0.01, "up")
    if not np.isnan(value):
        with pytest.raises(DataError, match="finite"):
            round_levels(np.array([value]), 0.01, "up")


@pytest.mark.parametrize("tick", [0.0, -0.01, float("inf"), float("nan")])
def test_a_tick_must_be_positive(tick):
    with pytest.raises(DataError, match="tick size"):
        round_to_tick(1.0, tick, "up")


def test_a_float_stands_for_its_shortest_decimal():
    assert exact(0.1) == Fraction(1, 10)
    assert exact(np.float64(0.1)) == Fraction(1, 10)
    assert exact(1e-7) == Fraction(1, 10**7)
    assert exact(Decimal("0.30")) == Fraction(3, 10)
