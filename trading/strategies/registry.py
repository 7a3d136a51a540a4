"""Strategies by name, from the entry point group ``trading.strategies``: a package of a user's own adds to
it.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from trading.errors import ConfigError
from trading.strategies.api import Strategy
from trading.strategies.insidebar import InsideBarBreakout, InsideBarIntraday
from trading.strategies.marubozu import MarubozuBreakout

GROUP = "trading.strategies"

_BUILT_IN: tuple[type[Strategy[Any]], ...] = (InsideBarIntraday, InsideBarBreakout, MarubozuBreakout)


def registered_strategies() -> list[str]:
    """Names of all strategies, ascending; nothing of other packages is imported."""
    return sorted({strategy.name for strategy in _BUILT_IN} | {point.name for point in _points()})


@cache
def get_strategy(name: str) -> Strategy[Any]:
    """The strategy registered as ``name``.

    Raises:
        ConfigError: unknown, registered by two packages, or an entry point that gives no such strategy.
    """
    built_in = {strategy.name: strategy for strategy in _BUILT_IN}
    points = [point for point in _points() if point.name == name]
    own = f"{built_in[name].__module__}:{built_in[name].__name__}" if name in built_in else None
    values = sorted({point.value for point in points} | ({own} if own else set()))
    if not values:
        raise ConfigError(f"strategy {name!r} is unknown; registered: {', '.join(registered_strategies())}")
    if len(values) > 1:
        raise ConfigError(f"strategy {name!r} is registered more than once: {', '.join(values)}")
    return built_in[name]() if name in built_in else _load(points[0])


def _points() -> list[EntryPoint]:
    return list(entry_points(group=GROUP))


def _load(point: EntryPoint) -> Strategy[Any]:
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"strategy {point.name!r} ({point.value}) cannot be imported: {error}") from error
    strategy = found() if isinstance(found, type) else found
    if not isinstance(strategy, Strategy) or strategy.name != point.name:
        raise ConfigError(
            f"entry point {point.name} = {point.value} of {GROUP} must give a "
            f"trading.strategies.Strategy whose name is {point.name!r}"
        )
    return strategy
