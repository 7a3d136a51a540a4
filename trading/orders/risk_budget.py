"""What the orders of a batch may lose together."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from trading.orders.intents import OrderIntent
from trading.ticks import exact


@dataclass(frozen=True)
class Budgeted:
    """Intents within the budget and those that it left out, each in the order given.

    Attributes:
        at_risk: loss if every kept setup is stopped out at its level, currency, before costs.
    """

    kept: tuple[OrderIntent, ...]
    left_out: tuple[OrderIntent, ...]
    at_risk: float


def within_budget(intents: Sequence[OrderIntent], *, equity: float, max_batch_risk_pct: float | None) -> Budgeted:
    """The setups that together lose at most ``max_batch_risk_pct`` percent of ``equity`` at their stops.

    Setups are taken in order of ``valid_from``, then variant and Symbol; one that does not fit is left out whole, later
    ones that fit are taken. Of the two sides of a setup, which cancel each other, the one that loses more counts.

    Args:
        equity: of the account, currency.
        max_batch_risk_pct: None = no limit.
    """
    setups: dict[str, list[OrderIntent]] = {}
    for intent in intents:
        setups.setdefault(intent.oco_id, []).append(intent)
    room = None if max_batch_risk_pct is None else exact(max_batch_risk_pct) * exact(equity) / 100
    used = Fraction(0)
    kept: set[str] = set()
    for oco_id, sides in sorted(setups.items(), key=lambda item: _turn(item[1][0])):
        risk = max(exact(side.qty) * abs(exact(side.entry) - exact(side.stop)) for side in sides)
        if room is None or used + risk <= room:
            used += risk
            kept.add(oco_id)
    return Budgeted(
        tuple(intent for intent in intents if intent.oco_id in kept),
        tuple(intent for intent in intents if intent.oco_id not in kept),
        float(used),
    )


def _turn(intent: OrderIntent) -> tuple[object, ...]:
    return intent.valid_from, intent.variant, intent.symbol, intent.oco_id
