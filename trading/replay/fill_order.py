"""What came first where a bar touched several levels: the replay's own reading, and two others to compare it with.

Bars do not tell in which order their prices came. The replay reads them for the worse, and so do paper and live; the other
readings say how much of a result hangs on that.

- ``pessimistic``: the replay's rules.
- ``optimistic``: of stop and target the target. On the bar of entry a stop counts only where it must have come after the fill:
  the fill was at the Open, or the Close is at or beyond the stop. Of two entries the one that the Close favours.
- ``nearest_to_open``: levels are met in the order of their distance from the Open, a stop before a target as far away. On the
  bar of entry a stop that was met before the entry counts only where the Close is at or beyond it. Of two entries the nearer
  one, as in the replay's rules.

Everything else is the same in all of them: gaps, costs, sizes, ends of sessions.
"""

from typing import Literal, get_args

from trading.errors import ConfigError
from trading.replay import state

FillOrder = Literal["pessimistic", "optimistic", "nearest_to_open"]

FILL_ORDERS: tuple[FillOrder, ...] = get_args(FillOrder)

_CODES = dict(zip(FILL_ORDERS, (state.PESSIMISTIC, state.OPTIMISTIC, state.NEAREST_TO_OPEN), strict=True))


def fill_order_code(fill_order: str) -> int:
    """As the compiled rules know it. ConfigError where there is no such order."""
    for name, code in _CODES.items():
        if name == fill_order:
            return code
    raise ConfigError(f"fill_order {fill_order!r} is unknown; there are {', '.join(FILL_ORDERS)}")
