"""Strategies by name, and the identity of a version."""

import ast
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from trading.errors import ConfigError
from trading.strategies import get_strategy, registered_strategies, registry, strategy_version
from trading.strategies.identity import source_fingerprint
from trading.strategies.marubozu import MarubozuBreakout

OURS = ["insidebar_breakout", "insidebar_intraday", "marubozu_breakout"]


class Foreign(MarubozuBreakout):
    name = "foreign"


@pytest.fixture
def foreign(monkeypatch):
    """Entry points as an installed package of a user's own would give them."""

    def install(*points: tuple[str, str]) -> None:
        group = registry.GROUP
        found = [EntryPoint(name, value, group) for name, value in points]
        monkeypatch.setattr(registry, "entry_points", lambda group: found)
        get_strategy.cache_clear()

    yield install
    get_strategy.cache_clear()


def test_ours_are_registered():
    assert set(OURS) <= set(registered_strategies())
    for name in OURS:
        assert get_strategy(name).name == name


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ConfigError, match=r"'insidebar' is unknown; registered: .*insidebar_intraday"):
        get_strategy("insidebar")


def test_another_package_adds_a_strategy(foreign):
    foreign(("foreign", f"{__name__}:Foreign"))
    sys.modules.setdefault(__name__, sys.modules[Foreign.__module__])
    assert registered_strategies() == sorted([*OURS, "foreign"])
    assert get_strategy("foreign").name == "foreign"
    assert get_strategy("insidebar_intraday").name == "insidebar_intraday"


@pytest.mark.parametrize(
    ("points", "name", "says"),
    [
        ([("gone", "no_such_package_here:Gone")], "gone", "cannot be imported"),
        ([("gone", "trading.strategies.marubozu:Gone")], "gone", "cannot be imported"),
        ([("odd", "trading.strategies.marubozu:MarubozuBreakout")], "odd", "whose name is 'odd'"),
        ([("odd", "pathlib:Path")], "odd", "must give a trading.strategies.Strategy"),
        ([("marubozu_breakout", "pathlib:Path")], "marubozu_breakout", "more than once"),
        ([("two", "pathlib:Path"), ("two", "decimal:Decimal")], "two", "more than once"),
    ],
)
def test_a_wrong_entry_point_is_named(foreign, points, name, says):
    foreign(*points)
    with pytest.raises(ConfigError, match=says):
        get_strategy(name)


def test_identity_is_what_the_source_does():
    source = 'def f(x):\n    """Doc."""\n    return x + 1  # why\n'
    same = "# note\ndef f(x):\n\n    return (x + 1)\n"
    assert source_fingerprint([source]) == source_fingerprint([same])
    for other in (
        source.replace("+ 1", "+ 2"),
        source.replace("+ 1", "+ 1.0"),
        source.replace("+ 1", "- 1"),
        source.replace("return x + 1", 'return x + "1"'),
        source.replace("return", "yield"),
        source.replace("f(x)", "f(x, y=None)"),
    ):
        assert source_fingerprint([source]) != source_fingerprint([other])


def test_version_depends_on_parameters_and_timeframe_but_not_on_their_spelling():
    strategy = get_strategy("marubozu_breakout")
    version = strategy_version(strategy, strategy.read_params({"risk_reward": 2}), "5m")
    assert version == strategy_version(strategy, strategy.read_params(None), "5m")
    assert version != strategy_version(strategy, strategy.read_params({"risk_reward": 2.5}), "5m")
    assert version != strategy_version(strategy, strategy.read_params(None), "1d")


@pytest.mark.parametrize("name", OURS)
def test_every_module_that_decides_signals_is_part_of_the_version(name):
    strategy = get_strategy(name)
    shared = {"trading.strategies.api", "trading.strategies.contracts"}
    source = Path(sys.modules[type(strategy).__module__].__file__).read_text(encoding="utf-8")
    imported = {
        node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trading.strategies.")
    }
    assert imported - shared == set(strategy.source_modules)
