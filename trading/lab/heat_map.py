"""The table behind a sweep's picture: the best metric over two axes (or one), whatever the others were."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from trading.errors import ConfigError
from trading.lab.axes import Axis
from trading.lab.sampling import ParameterSets

Array = np.ndarray[Any, np.dtype[Any]]

MOST_LABELS = 12  # an axis with more distinct numbers than this is cut into so many ranges
RANGES = 8


@dataclass(frozen=True)
class HeatMap:
    """One cell for each pair of labels.

    Attributes:
        x, y: names of the axes; y is empty where there is one axis only, with one row of cells.
        x_labels, y_labels: values, ascending where they are numbers, or ranges of them.
        values: shape (y, x), the best metric of the sets in the cell; NaN where there is none.
        sets: shape (y, x), how many sets are in the cell.
        marked: (column, row) of each set asked for, by its name.
    """

    x: str
    y: str
    x_labels: tuple[str, ...]
    y_labels: tuple[str, ...]
    values: Array
    sets: Array
    marked: dict[str, tuple[int, int]]


def default_axes(sets: ParameterSets) -> tuple[str, str]:
    """The first two axes with more than one value; the second is empty where there is only one such."""
    several = [
        name
        for name, values in zip(sets.names, zip(*sets.rows, strict=True), strict=True)
        if any(value != values[0] for value in values)
    ]
    x, y, *_ = [*several, *(name for name in sets.names[:1] if not several), "", ""]
    return x, y


def heat_map(sets: ParameterSets, metric: Array, x: str, y: str = "", marked: dict[str, int] | None = None) -> HeatMap:
    """The best of ``metric`` (sets,) in each cell of two axes.

    Args:
        marked: sets to find the cell of, by the name to show.

    Raises:
        ConfigError: no such axis.
    """
    for name in (x, y) if y else (x,):
        if name not in sets.names:
            raise ConfigError(f"heat_map: {name} is no axis; the axes are {', '.join(sets.names)}")
    x_labels, columns = _cells(sets, x)
    y_labels, rows = _cells(sets, y) if y else (("",), np.zeros(len(sets), dtype=np.int64))
    shape = (len(y_labels), len(x_labels))
    values, counts = np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
    np.fmax.at(values, (rows, columns), metric)
    np.add.at(counts, (rows, columns), 1)
    places = {name: (int(columns[number]), int(rows[number])) for name, number in (marked or {}).items()}
    return HeatMap(x, y, x_labels, y_labels, values, counts, places)


def _cells(sets: ParameterSets, name: str) -> tuple[tuple[str, ...], Array]:
    """Labels of one axis, and the label that each set has."""
    at = sets.names.index(name)
    values = [row[at] for row in sets.rows]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if not numeric:
        texts = ["none" if value is None else str(value) for value in values]
        labels = list(dict.fromkeys(texts))
        return tuple(labels), np.array([labels.index(text) for text in texts])
    numbers = np.array(values, dtype=np.float64)
    distinct = np.unique(numbers)
    if len(distinct) <= MOST_LABELS:
        return tuple(f"{value:g}" for value in distinct), np.searchsorted(distinct, numbers)
    return _ranges(numbers, sets.axes[name])


def _ranges(numbers: Array, axis: Axis) -> tuple[tuple[str, ...], Array]:
    low, high = float(numbers.min()), float(numbers.max())
    edges = np.geomspace(low, high, RANGES + 1) if axis.logarithmic else np.linspace(low, high, RANGES + 1)
    labels = tuple(f"{a:.3g} to {b:.3g}" for a, b in itertools.pairwise(edges))
    return labels, np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, RANGES - 1)
