"""What people read about parameters: kinds with their bounds, defaults, meanings."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from trading.strategies import Params, get_strategy, registered_strategies
from trading.strategies.parameter_table import Parameter, parameters_of, values_of


class Base(Params):
    """Takes two.

    Args:
        low, high: bounds of it, which
            may take two lines.
        mode: ``a`` or ``b``.

    Not an argument: of anything.
    """

    low: int
    high: Annotated[float, Field(ge=0, lt=1)] = 0.5
    mode: Literal["a", "b"] = "a"


class Child(Base):
    """Takes more.

    Args:
        mode: which.
    """

    flag: bool = Field(False, description="Said by the field.")
    cap: Annotated[int, Field(gt=2)] | None = None
    pairs: tuple[tuple[str, str], ...] = (("a", "b"),)


def test_kinds_defaults_and_meanings() -> None:
    assert parameters_of(Base)[2].meaning == "`a` or `b`."
    assert parameters_of(Child) == [
        Parameter("low", "int", "required", "bounds of it, which may take two lines."),
        Parameter("high", "float >= 0 and < 1", "0.5", "bounds of it, which may take two lines."),
        Parameter("mode", "a or b", "a", "which."),
        Parameter("flag", "bool", "false", "Said by the field."),
        Parameter("cap", "int > 2 or null", "null", ""),
        Parameter("pairs", "list", '[["a", "b"]]', ""),
    ]


def test_values_are_spelled_as_defaults_are() -> None:
    assert values_of(Child(low=3, flag=True)) == {
        "low": "3", "high": "0.5", "mode": "a", "flag": "true", "cap": "null", "pairs": '[["a", "b"]]'
    }  # fmt: skip


@pytest.mark.parametrize("name", registered_strategies())
def test_every_parameter_has_a_meaning(name: str) -> None:
    strategy = get_strategy(name)
    told = parameters_of(strategy.parameters)
    assert [one.name for one in told] == list(strategy.parameters.model_fields)
    assert all(one.meaning for one in told)
    assert {one.name: one.default for one in told} == values_of(strategy.read_params())
