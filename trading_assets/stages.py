"""Where a variant stands: the stage that its decisions have led to, for the version that is configured now."""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trading_assets.configured import variant as load_variant
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.ledger import Ledger

_ALWAYS = dt.date(9999, 12, 31)


@dataclass(frozen=True)
class Standing:
    """The stage of a variant before a session; ``decision_id`` is of the decision that led there, empty for none."""

    variant: str
    strategy_version: str
    stage: str
    decision_id: str
    since: dt.date | None


def stage_at(settings: Settings, ledger: "Ledger", name: str, before: dt.date | None = None) -> Standing:
    """Stage of the configured version of ``name`` when session ``before`` begins (None: after all decisions).

    Only decisions as of earlier sessions count, so that what a session showed never lets its own orders through.
    """
    from trading.promotion import Decision, Evidence, stage_before

    variant = load_variant(settings, name)
    session = before or _ALWAYS
    recorded = [Decision.from_dict(found.content) for found in ledger.decisions(name, session)]
    version = Evidence(
        variant=name,
        strategy_version=variant.strategy_version,
        config_hash=variant.config_hash,
        session=session,
        commits={},
        code_version="none",
        calendar_version="none",
    )
    stage = stage_before(recorded, version)
    led = [decision for decision in recorded if decision.moves and decision.to_stage == stage]
    return Standing(
        variant=name,
        strategy_version=variant.strategy_version,
        stage=stage,
        decision_id=led[-1].decision_id if led else "",
        since=led[-1].session if led else None,
    )
