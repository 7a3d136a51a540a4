"""Neighbours and what they show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.lab.axes import Axis
from trading.lab.sampling import ParameterSets, grid_sets, random_sets
from trading.lab.stability import Neighbourhood, Stability, stability

from .conftest import answers


def _axes(**axes):
    return {name: Axis.model_validate(axis) for name, axis in axes.items()}


def test_neighbours_on_a_grid_are_those_worked_by_hand():
    near = Neighbourhood(grid_sets(_axes(risk_reward=[1, 2, 3], entry_level=["a", "b"]), 6))
    for number, expected in answers("neighbours.csv").iter_rows():
        assert " ".join(map(str, near.around(number))) == expected


def test_numbers_are_neighbours_by_size_however_they_are_listed():
    near = Neighbourhood(grid_sets(_axes(a=[3.0, 1.0, 2.0]), 3))
    assert [near.around(number) for number in range(3)] == [(2,), (2,), (0, 1)]


def test_off_the_grid_the_nearest_count():
    grid = grid_sets(_axes(a=[0.0, 1.0, 2.0, 10.0], b=["x", "y"]), 8)
    sets = ParameterSets(grid.axes, (*grid.rows, (1.4, "x")), grid.grid)
    # distances over the range 10: 0.04 to (1, x), 0.06 to (2, x), 0.14 to (0, x), 0.86 to (10, x), 1.0 to the nearest y
    assert Neighbourhood(sets).around(8) == (0, 2, 4, 6)


def test_log_axes_compare_ratios():
    sets = ParameterSets(_axes(g={"log_uniform": [0.5, 100.0]}), ((1.0,), (4.0,), (10.0,), (30.0,)))
    # 10 lies nearer to 30 (ratio 3) and to 4 (2.5) than to 1
    assert Neighbourhood(sets).around(2) == (1, 3)


@given(st.integers(0, 1000), st.integers(2, 30))
def test_no_set_is_its_own_neighbour(seed, draws):
    sets = random_sets(_axes(a={"uniform": [0, 1]}, b=["x", "y"]), draws, seed, 100)
    near = Neighbourhood(sets)
    varied = sum(len(set(values)) > 1 for values in zip(*sets.rows, strict=True))  # few draws may all have one b
    for number in range(len(sets)):
        around = near.around(number)
        assert number not in around and len(set(around)) == len(around) == min(2 * varied, len(sets) - 1)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_on_a_grid_neighbours_are_mutual(counts):
    near = Neighbourhood(grid_sets(_axes(**{f"a{i}": list(range(count)) for i, count in enumerate(counts)}), 64))
    for number in range(int(np.prod(counts))):
        assert all(number in near.around(other) for other in near.around(number))


def test_shares_worked_by_hand():
    metric = np.array([2.0, 1.5, 1.4, np.nan, 3.0])
    expectancy = np.array([1.0, 0.5, -0.1, np.nan, 2.0])
    # of 1.5, 1.4, none (0) and 3: at least 1.5 are two; median 1.45; expectancy above 0: two
    found = stability(metric, expectancy, (1, 2, 3, 4), 0, tolerance=0.25)
    assert found == Stability(4, 0.5, 0.5, pytest.approx(0.725))


def test_no_likeness_to_a_set_that_loses():
    metric = np.array([-1.0, 2.0])
    assert stability(metric, metric, (1,), 0, 0.25) == Stability(1, None, 1.0, None)
    assert stability(metric, metric, (), 0, 0.25) == Stability(0, None, None, None)
