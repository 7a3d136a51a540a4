"""The win rates that variants were promoted with, which their trades are held against."""

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING

from trading_assets.settings import Settings
from trading_assets.stages import stage_at

if TYPE_CHECKING:
    from resources.ledger import Ledger
    from trading.risk.win_rate import WinRateReference


def win_rate_reference(
    settings: Settings, ledger: "Ledger", name: str, before: dt.date | None = None
) -> "WinRateReference | None":
    """From the evidence of the decision that ``name`` trades by when session ``before`` begins (None: now)."""
    from trading.promotion import Decision
    from trading.risk.win_rate import reference_of

    standing = stage_at(settings, ledger, name, before)
    if not standing.decision_id:
        return None
    decision = Decision.from_dict(ledger.decision(standing.decision_id).content)
    return reference_of([horizon.metrics or {} for horizon in decision.evidence.horizons], decision.session)


def win_rate_references(
    settings: Settings, ledger: "Ledger", names: Iterable[str], before: dt.date
) -> dict[str, "WinRateReference"]:
    """By variant; none for one that has no win rate to be held against."""
    found = {name: win_rate_reference(settings, ledger, name, before) for name in names}
    return {name: reference for name, reference in found.items() if reference is not None}
