"""The three locks of live trading, looked at anew before every order: config, environment, and the record of promotions."""

import datetime as dt
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from trading.live import ALLOW_LIVE, LivePermission, LiveStanding, environment_refusal, live_refusal
from trading_assets.configured import account, account_names
from trading_assets.settings import Settings
from trading_assets.stages import stage_at

if TYPE_CHECKING:
    from resources.ledger import Ledger
    from trading.accounts import AccountConfig
    from trading.orders import OrderIntent
    from trading.promotion.evidence import Approval


def live_permission(settings: Settings, ledger: "Ledger", env: Mapping[str, str] = os.environ) -> LivePermission:
    """What the router asks before it sends an order of a live account."""

    def refusal(config: "AccountConfig", intent: "OrderIntent", at: dt.datetime) -> str | None:
        found = live_standing(settings, ledger, intent.variant, intent.session)
        return live_refusal(config, intent, allowed=env.get(ALLOW_LIVE), standing=found, at=at)

    return refusal


def live_standing(settings: Settings, ledger: "Ledger", variant: str, session: dt.date) -> LiveStanding:
    """Stage of the configured version when ``session`` begins, and who approved it."""
    standing = stage_at(settings, ledger, variant, session)
    approvals = _approvals(ledger, variant, standing.strategy_version, session) if standing.stage == "live" else []
    return LiveStanding(standing.stage, standing.strategy_version, standing.decision_id, approvals)


def _approvals(ledger: "Ledger", variant: str, version: str, session: dt.date) -> list["Approval"]:
    """Approvals of evidence on which decisions of earlier sessions hold the version on stage live.

    One is in the decision that led there; later ones, which renew it, are rows of the ledger's table ``approvals`` whose
    commit_id is the hash of such evidence.
    """
    from trading.promotion import Decision
    from trading.promotion.evidence import Approval

    recorded = [Decision.from_dict(found.content) for found in ledger.decisions(variant, session, version)]
    held = {d.evidence.content_hash: d.evidence.approval for d in recorded if d.to_stage == "live"}
    found = [given for digest, given in held.items() if given is not None and given.evidence_hash == digest]
    renewed = [
        Approval(by=row.person, at=row.at, strategy_version=version, evidence_hash=row.commit_id, comment=row.reason)
        for row in ledger.approvals(variant, version)
        if row.commit_id in held
    ]
    return [*found, *renewed]


def registered_accounts(settings: Settings, env: Mapping[str, str] = os.environ) -> list[str]:
    """Names of the accounts that this process may trade: a live one only where the environment allows it.

    An account whose file is wrong stays in the list, so that materialising it says what is wrong.
    """
    from trading.errors import ConfigError

    names = []
    for name in account_names(settings):
        try:
            config = account(settings, name)
        except ConfigError:
            names.append(name)
            continue
        if config.mode != "live" or environment_refusal(config, env.get(ALLOW_LIVE)) is None:
            names.append(name)
    return names
