"""The three locks of live trading, looked at anew before every order: config, environment, and the record of promotions."""

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trading.live import ALLOW_LIVE, LivePermission, LiveStanding, environment_refusal, live_refusal
from trading_assets.configured import account, account_names, variant
from trading_assets.settings import Settings
from trading_assets.stages import stage_at

if TYPE_CHECKING:
    from resources.ledger import Ledger
    from trading.accounts import AccountConfig
    from trading.orders import OrderIntent
    from trading.promotion import Decision
    from trading.promotion.evidence import Approval


def live_permission(settings: Settings, ledger: "Ledger", env: Mapping[str, str] = os.environ) -> LivePermission:
    """What the router asks before it sends an order of a live account. The record is read again whenever it has grown."""
    known: dict[tuple[object, ...], LiveStanding] = {}

    def refusal(config: "AccountConfig", intent: "OrderIntent", at: dt.datetime) -> str | None:
        heads, configured = ledger.heads(), variant(settings, intent.variant)
        record = (heads["promotion_decisions"], heads["approvals"], configured.strategy_version, configured.config_hash)
        key = (intent.variant, intent.session, *record)
        if key not in known:
            known.clear()
            known[key] = live_standing(settings, ledger, intent.variant, intent.session)
        return live_refusal(config, intent, allowed=env.get(ALLOW_LIVE), standing=known[key], at=at)

    return refusal


def live_standing(settings: Settings, ledger: "Ledger", name: str, session: dt.date) -> LiveStanding:
    """Stage of the configured version when ``session`` begins, and who approved it."""
    from trading.promotion import Decision

    standing = stage_at(settings, ledger, name, session)
    if standing.stage != "live":
        return LiveStanding(standing.stage, standing.strategy_version, standing.decision_id)
    version = standing.strategy_version
    recorded = [Decision.from_dict(found.content) for found in ledger.decisions(name, session, version)]
    holding = [decision for decision in recorded if decision.to_stage == "live"]
    symbols = frozenset(holding[-1].live_symbols)
    return LiveStanding("live", version, standing.decision_id, symbols, _approvals(ledger, name, version, holding))


def _approvals(ledger: "Ledger", name: str, version: str, holding: Sequence["Decision"]) -> list["Approval"]:
    """Approvals of the evidence of ``holding``, the decisions that hold the version on stage live.

    One is in the decision that led there; later ones, which renew it, are rows of the ledger's table ``approvals`` whose
    commit_id is the hash of such evidence.
    """
    from trading.promotion.evidence import Approval

    held = {decision.evidence.content_hash: decision.evidence.approval for decision in holding}
    found = [given for digest, given in held.items() if given is not None and given.evidence_hash == digest]
    renewed = [
        Approval(by=row.person, at=row.at, strategy_version=version, evidence_hash=row.commit_id, comment=row.reason)
        for row in ledger.approvals(name, version)
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
