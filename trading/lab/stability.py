"""Stability: whether the sets around a good one are good too. A peak that stands alone is luck more often than a plateau."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from trading.lab.sampling import ParameterSets

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Stability:
    """The neighbourhood of one set.

    Attributes:
        neighbours: how many sets it has around it.
        alike: share of them whose metric is at least ``(1 - tolerance)`` times the set's own; None where the set's is not
            above 0, or there are no neighbours.
        earning: share of them with an expectancy above 0; one without a trade does not earn. None without neighbours.
        plateau: median metric of the neighbours over the set's own: 1 on a plateau, near 0 or below it on a peak. None as
            ``alike``.
    """

    neighbours: int
    alike: float | None
    earning: float | None
    plateau: float | None


def stability(metric: Array, expectancy: Array, around: tuple[int, ...], number: int, tolerance: float) -> Stability:
    """What the sets ``around`` set ``number`` show.

    Args:
        metric, expectancy: shape (sets,); NaN where a set has none, which counts as 0.
        tolerance: share of the set's own metric that a neighbour may lack, 0 to 1.
    """
    if not around:
        return Stability(0, None, None, None)
    near = np.nan_to_num(metric[list(around)], nan=0.0)
    earning = float(np.mean(np.nan_to_num(expectancy[list(around)], nan=0.0) > 0))
    own = float(metric[number])
    if not own > 0:
        return Stability(len(around), None, earning, None)
    alike = float(np.mean(near >= (1 - tolerance) * own))
    return Stability(len(around), alike, earning, float(np.median(near)) / own)


class Neighbourhood:
    """Which sets are next to one another.

    On a grid: those that differ on one axis only, by one step where its values are numbers (in order of size), by any
    other value where they are not. Off the grid and among random draws: the nearest ones, two for each axis, by distance over
    the range of each axis (of its logarithm for ``log_uniform``; 0 or 1 where the values are no numbers).
    """

    def __init__(self, sets: ParameterSets) -> None:
        self._sets = sets
        columns = zip(sets.names, zip(*sets.rows, strict=True), strict=True)
        varied = [(name, values) for name, values in columns if any(value != values[0] for value in values)]
        self._scaled = [_scaled(values, sets.axes[name].logarithmic) for name, values in varied]

    def around(self, number: int) -> tuple[int, ...]:
        """The neighbours of one set, ascending."""
        grid = self._sets.grid
        if grid is not None and number < math.prod(grid):
            return _on_grid(self._sets, grid, number)
        return self._nearest(number)

    def _nearest(self, number: int) -> tuple[int, ...]:
        distance = np.zeros(len(self._sets))
        for values, is_number in self._scaled:
            distance += (values - values[number]) ** 2 if is_number else values != values[number]
        distance[number] = np.inf
        near = np.argsort(distance, kind="stable")[: min(2 * len(self._scaled), len(self._sets) - 1)]
        return tuple(sorted(near.tolist()))


def _on_grid(sets: ParameterSets, grid: tuple[int, ...], number: int) -> tuple[int, ...]:
    place = [int(index) for index in np.unravel_index(number, grid)]
    strides = [math.prod(grid[axis + 1 :]) for axis in range(len(grid))]
    found = []
    for axis, name in enumerate(sets.names):
        values = sets.axes[name].listed or ()
        at = place[axis]
        if _numeric(values):
            order = sorted(range(len(values)), key=lambda index: float(values[index]))
            rank = order.index(at)
            others = [order[near] for near in (rank - 1, rank + 1) if 0 <= near < len(order)]
        else:
            others = [index for index in range(len(values)) if index != at]
        found += [number + (other - at) * strides[axis] for other in others]
    return tuple(sorted(found))


def _scaled(values: tuple[Any, ...], logarithmic: bool) -> tuple[Array, bool]:
    """Values from 0 to 1 and True; or numbers that tell different values apart, and False."""
    if not _numeric(values):
        codes: dict[str, int] = {}
        return np.array([codes.setdefault(repr(value), len(codes)) for value in values]), False
    numbers = np.array(values, dtype=np.float64)
    if logarithmic:
        numbers = np.log(numbers)
    return (numbers - numbers.min()) / (numbers.max() - numbers.min()), True


def _numeric(values: tuple[Any, ...]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
