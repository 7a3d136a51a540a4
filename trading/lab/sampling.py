"""Parameter sets: every point of a grid, or random draws."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from trading.errors import ConfigError
from trading.lab.axes import Axis
from trading.strategies.identity import canonical_json
from trading.variants import Variant

SET = pl.Int32()


@dataclass(frozen=True)
class ParameterSets:
    """Values by set and axis.

    Attributes:
        axes: by name, ``params.risk_reward`` or ``replay.costs.slippage_bps``, in the order of the columns.
        rows: one tuple of values a set.
        grid: number of values of each axis where the first ``prod(grid)`` rows are all points of a grid, the last axis
            going fastest; None of random draws.
    """

    axes: Mapping[str, Axis]
    rows: tuple[tuple[Any, ...], ...]
    grid: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.axes)

    def values(self, number: int) -> dict[str, Any]:
        """Value of each axis in one set."""
        return dict(zip(self.names, self.rows[number], strict=True))

    def says(self, number: int) -> str:
        """One set for a person: ``params.risk_reward=2.0, params.strict=False``."""
        return ", ".join(f"{name}={value!r}" for name, value in self.values(number).items())

    @cached_property
    def frame(self) -> pl.DataFrame:
        """set (Int32), then a column an axis: numbers and truth values as they are, anything else as text."""
        columns = list(zip(*self.rows, strict=True)) if self.rows else [()] * len(self.axes)
        return pl.DataFrame(
            [
                pl.Series("set", range(len(self.rows)), dtype=SET),
                *(_column(name, values) for name, values in zip(self.names, columns, strict=True)),
            ]
        )

    def variants(self, base: Variant) -> tuple[Variant, ...]:
        """``base`` with the values of each set.

        Raises:
            ConfigError: naming the set, its values, the setting and what would be right.
        """
        return tuple(self._variant(base, number) for number in range(len(self.rows)))

    def _variant(self, base: Variant, number: int) -> Variant:
        config = base.model_dump(mode="python")
        values = self.values(number)
        if "params.valid_sessions" in values:
            config["replay"].pop("valid_sessions")  # the replay takes it from the parameters
        for name, value in values.items():
            *path, last = name.split(".")
            inner = config
            for step in path:
                deeper = inner.get(step)
                if not isinstance(deeper, dict):
                    raise ConfigError(f"{name}: variant {base.name} has no setting {step} that holds others")
                inner = deeper
            inner[last] = value
        try:
            return Variant.from_config(config)
        except ConfigError as error:
            raise ConfigError(f"set {number} ({self.says(number)}): {error}") from None


def grid_sets(axes: Mapping[str, Axis], max_sets: int) -> ParameterSets:
    """Every combination of the axes' values, the last axis going fastest.

    Raises:
        ConfigError: an axis without a list of values, or more than ``max_sets`` combinations.
    """
    listed = {name: axis.listed for name, axis in axes.items()}
    for name, values in listed.items():
        if values is None:
            raise ConfigError(
                f"{name}: a grid needs listed values or integers, not a continuous distribution; "
                "list values, or set method: random"
            )
    counts = [len(values or ()) for values in listed.values()]
    total = math.prod(counts)
    if total > max_sets:
        raise ConfigError(
            f"a grid of {' x '.join(str(count) for count in counts)} = {total:,} sets is more than max_sets, {max_sets:,}; "
            "list fewer values, draw some of them with method: random, or raise max_sets"
        )
    rows = tuple(itertools.product(*(values or () for values in listed.values())))
    return ParameterSets(axes, rows, tuple(counts))


def random_sets(axes: Mapping[str, Axis], draws: int, seed: int, max_sets: int) -> ParameterSets:
    """Independent draws, in order, equal ones once: there may be fewer sets than ``draws``.

    Every axis has a stream of its own, seeded by ``seed`` and its name, so that another axis beside it changes nothing of it.

    Raises:
        ConfigError: more than ``max_sets`` draws.
    """
    if draws > max_sets:
        raise ConfigError(f"draws is {draws:,}, more than max_sets, {max_sets:,}; draw fewer, or raise max_sets")
    columns = [axis.draw(np.random.default_rng([seed, *name.encode()]), draws) for name, axis in axes.items()]
    distinct: dict[str, tuple[Any, ...]] = {}
    for row in zip(*columns, strict=True):
        distinct.setdefault(canonical_json(row), row)
    return ParameterSets(axes, tuple(distinct.values()))


def own_values(sets: ParameterSets, base: Variant) -> tuple[Any, ...]:
    """What the base variant itself has on each axis; None where it has no such setting."""
    dumped = base.model_dump(mode="json")
    found = []
    for name in sets.names:
        inner: Any = dumped
        for step in name.split("."):
            inner = inner.get(step) if isinstance(inner, dict) else None
        found.append(inner)
    return tuple(found)


def _column(name: str, values: tuple[Any, ...]) -> pl.Series:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    if kinds == {int}:
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds and kinds <= {int, float}:
        return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)
    texts = [value if isinstance(value, str) or value is None else canonical_json(value) for value in values]
    return pl.Series(name, texts, dtype=pl.String)
