"""An axis of a sweep: the values that one setting may take, listed or drawn from a distribution."""

from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, model_validator

_KINDS = ("choice", "uniform", "log_uniform", "integers")
_SAYS = "an axis is a list of values, or one of {uniform: [low, high]}, {log_uniform: [low, high]}, {integers: [first, last]}"


class Axis(BaseModel):
    """Values of one setting; a plain list is short for ``choice``.

    Args:
        choice: the values themselves, each once, of any kind that the setting takes; null is one too.
        uniform: ``[low, high]``, every number between alike.
        log_uniform: ``[low, high]``, above 0, every ratio alike: as many draws from 1 to 2 as from 2 to 4.
        integers: ``[first, last]``, both included.
        step: between the integers.
        decimals: digits after the point that drawn numbers are rounded to; null: none is cut off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    choice: tuple[JsonValue, ...] | None = None
    uniform: tuple[FiniteFloat, FiniteFloat] | None = None
    log_uniform: tuple[FiniteFloat, FiniteFloat] | None = None
    integers: tuple[int, int] | None = None
    step: Annotated[int, Field(ge=1)] = 1
    decimals: Annotated[int, Field(ge=0, le=12)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return {"choice": value}
        if not isinstance(value, dict) and not isinstance(value, Axis):
            raise ValueError(_SAYS)
        return value

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in _KINDS) != 1:
            raise ValueError(_SAYS)
        if self.choice is not None:
            if not self.choice:
                raise ValueError("the list of values is empty; at least one is needed")
            texts = [repr(value) for value in self.choice]
            if len(set(texts)) < len(texts):
                raise ValueError(f"each value may come once, they are {', '.join(texts)}")
        for kind in ("uniform", "log_uniform"):
            bounds = getattr(self, kind)
            if bounds is not None and not bounds[0] < bounds[1]:
                raise ValueError(f"{kind} must be [low, high] with low below high, it is {list(bounds)}")
        if self.log_uniform is not None and self.log_uniform[0] <= 0:
            raise ValueError(f"log_uniform must lie above 0, it is {list(self.log_uniform)}")
        if self.integers is not None and self.integers[0] > self.integers[1]:
            raise ValueError(f"integers must be [first, last] with first at most last, it is {list(self.integers)}")
        if self.integers is None and "step" in self.model_fields_set:
            raise ValueError("step belongs to integers only")
        if self.decimals is not None and self.uniform is None and self.log_uniform is None:
            raise ValueError("decimals belongs to uniform and log_uniform only")
        return self

    @property
    def listed(self) -> tuple[Any, ...] | None:
        """All values in order, where they can be listed; None of a continuous distribution."""
        if self.integers is not None:
            return tuple(range(self.integers[0], self.integers[1] + 1, self.step))
        return self.choice

    @property
    def logarithmic(self) -> bool:
        """Whether distances on it are ratios."""
        return self.log_uniform is not None

    def draw(self, generator: np.random.Generator, count: int) -> list[Any]:
        """``count`` independent values."""
        listed = self.listed
        if listed is not None:
            return [listed[index] for index in generator.integers(len(listed), size=count).tolist()]
        if self.log_uniform is not None:
            low, high = np.log(self.log_uniform)
            drawn = np.exp(generator.uniform(low, high, size=count))
        else:
            assert self.uniform is not None
            drawn = generator.uniform(*self.uniform, size=count)
        values: list[float] = drawn.tolist()
        return values if self.decimals is None else [round(value, self.decimals) for value in values]
