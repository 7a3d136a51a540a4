"""What a sweep is told: from which variant, over which values, judged how. One YAML file each."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trading.lab.axes import Axis
from trading.lab.sampling import ParameterSets, grid_sets, random_sets
from trading.promotion.horizons import Horizon
from trading.variants import NAME_PATTERN

Metric = Literal["sharpe", "net_pnl", "expectancy", "profit_factor"]

_Share = Annotated[float, Field(ge=0, le=1)]
_Seed = Annotated[int, Field(ge=0, lt=2**32)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WalkForwardConfig(_Section):
    """Windows of :func:`trading.lab.walk_forward.folds`, in sessions.

    Args:
        train, test: length of each training and testing window.
        gap: sessions left out between them, so that a trade open at the end of the one is not in the other.
        anchored: every training window begins with the first session; false: it rolls along.
    """

    train: Annotated[int, Field(ge=2)] = 60
    test: Annotated[int, Field(ge=1)] = 20
    gap: Annotated[int, Field(ge=0)] = 0
    anchored: bool = False


class CscvConfig(_Section):
    """``blocks``: even number of parts that the sessions are cut into; 16 make 12,870 splits."""

    blocks: Annotated[int, Field(ge=2, le=20, multiple_of=2)] = 10


class MonteCarloConfig(_Section):
    """``runs``: random orders, and random samples, of the trades."""

    runs: Annotated[int, Field(ge=1, le=100_000)] = 2000


class StabilityConfig(_Section):
    """``tolerance``: a neighbour is like a set where its metric is within this share of the set's."""

    tolerance: _Share = 0.25


class Limits(_Section):
    """From where on a figure speaks against the sweep's finding. Promotion has limits of its own.

    Args:
        max_pbo: probability of backtest overfitting, at most.
        min_deflated_sharpe: at least.
        min_neighbourhood: share of neighbours that earn, at least.
        min_walk_forward_efficiency: at least.
    """

    max_pbo: _Share = 0.20
    min_deflated_sharpe: _Share = 0.95
    min_neighbourhood: _Share = 0.70
    min_walk_forward_efficiency: float = Field(0.5, allow_inf_nan=False)


class SweepConfig(_Section):
    """One file of configs/sweeps/.

    Args:
        name: of the file; partition key of the asset.
        variant: name of the variant to start from; what no axis sets is as there.
        params: axes by parameter of the strategy.
        replay: axes by setting of the replay; of nested ones with dots, ``sizing.risk_pct``.
        method: ``grid``, every combination; ``random``, so many ``draws``.
        draws: of the method ``random``.
        seed: of everything random.
        max_sets: more parameter sets than this are refused.
        metric: by which the best set is chosen.
        horizon: how far back from the as-of session: 1m, 3m, 6m, 1y, or all there is.
        heat_map: the two axes of the picture; default: the first two that have several values.
    """

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    variant: str
    params: Mapping[str, Axis] = Field(default_factory=dict)
    replay: Mapping[str, Axis] = Field(default_factory=dict)
    method: Literal["grid", "random"] = "grid"
    draws: Annotated[int, Field(ge=1)] | None = None
    seed: _Seed = 7
    max_sets: Annotated[int, Field(ge=1, le=20_000)] = 5000
    metric: Metric = "sharpe"
    horizon: Horizon | Literal["all"] = "1y"
    heat_map: tuple[str, str] | None = None
    walk_forward: WalkForwardConfig = WalkForwardConfig()
    cscv: CscvConfig = CscvConfig()
    monte_carlo: MonteCarloConfig = MonteCarloConfig()
    stability: StabilityConfig = StabilityConfig()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not self.axes:
            raise ValueError("params and replay name no axis; a sweep needs at least one")
        if (self.method == "random") != (self.draws is not None):
            raise ValueError("draws belongs to method random, and is needed there")
        for name in self.heat_map or ():
            if name not in self.axes:
                raise ValueError(f"heat_map: {name} is no axis; the axes are {', '.join(self.axes)}")
        if self.heat_map is not None and self.heat_map[0] == self.heat_map[1]:
            raise ValueError("heat_map: two different axes are needed")
        return self

    @property
    def axes(self) -> dict[str, Axis]:
        """By full name, ``params.risk_reward`` and ``replay.sizing.risk_pct``."""
        return {
            **{f"params.{name}": axis for name, axis in self.params.items()},
            **{f"replay.{name}": axis for name, axis in self.replay.items()},
        }

    def sets(self) -> ParameterSets:
        """The parameter sets; see :func:`grid_sets` and :func:`random_sets`. ConfigError where they are too many."""
        if self.method == "grid":
            return grid_sets(self.axes, self.max_sets)
        return random_sets(self.axes, self.draws or 0, self.seed, self.max_sets)
