"""The table of a heat map, and its picture."""

import struct

import numpy as np
import pytest

from trading.errors import ConfigError
from trading.lab.axes import Axis
from trading.lab.heat_map import default_axes, heat_map
from trading.lab.sampling import ParameterSets, grid_sets
from trading.reports.sweep_plots import heat_map_png


def _axes(**axes):
    return {name: Axis.model_validate(axis) for name, axis in axes.items()}


@pytest.fixture
def grid():
    return grid_sets(_axes(a=[2, 1], b=["x", "y"], c=[0.1, 0.2]), 8)


def test_a_cell_is_the_best_over_the_other_axes(grid):
    # sets: (2,x,.1) (2,x,.2) (2,y,.1) (2,y,.2) (1,x,.1) (1,x,.2) (1,y,.1) (1,y,.2)
    metric = np.array([1.0, 3.0, np.nan, np.nan, -1.0, np.nan, 0.5, 0.25])
    found = heat_map(grid, metric, "a", "b", {"best": 1})
    assert found.x_labels == ("1", "2")  # ascending, however they are listed
    assert found.y_labels == ("x", "y")
    assert np.array_equal(found.values, [[-1.0, 3.0], [0.5, np.nan]], equal_nan=True)
    assert found.sets.tolist() == [[2, 2], [2, 2]]
    assert found.marked == {"best": (1, 0)}


def test_many_numbers_are_cut_into_ranges():
    # from 1 to 256 in eight doublings, and two numbers in each
    powers = [0.0, *(whole + part for whole in range(8) for part in (0.3, 0.6)), 8.0]
    sets = ParameterSets(_axes(g={"log_uniform": [1.0, 256.0]}), tuple((2.0**power,) for power in powers))
    found = heat_map(sets, np.arange(18.0), "g")
    assert found.x_labels[0] == "1 to 2" and found.x_labels[-1] == "128 to 256"
    assert found.sets.tolist() == [[3, 2, 2, 2, 2, 2, 2, 3]]
    assert found.values[0].tolist() == [2, 4, 6, 8, 10, 12, 14, 17]


def test_the_first_two_axes_that_vary_are_shown(grid):
    assert default_axes(grid) == ("a", "b")
    assert default_axes(grid_sets(_axes(a=[1], b=[1, 2]), 2)) == ("b", "")
    assert default_axes(grid_sets(_axes(a=[1], b=[1]), 2)) == ("a", "")


def test_an_unknown_axis_is_named(grid):
    with pytest.raises(ConfigError, match="heat_map: d is no axis; the axes are a, b, c"):
        heat_map(grid, np.zeros(8), "a", "d")


@pytest.mark.parametrize("y", ["b", ""])
@pytest.mark.parametrize("known", [True, False])
def test_the_picture_is_the_same_bytes_each_time(grid, y, known):
    metric = np.arange(8.0) - 3 if known else np.full(8, np.nan)
    found = heat_map(grid, metric, "a", y, {"best set": 7, "variant base": 0})
    first, second = (heat_map_png(found, metric="sharpe", title="tried", label="SYNTHETIC") for _ in range(2))
    assert first == second
    width, height = struct.unpack(">II", first[16:24])
    assert width > 500 and height > 250
