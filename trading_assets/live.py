"""The three locks of live trading, looked at anew before every order: config, environment, and the record of promotions."""

import datetime as dt
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from trading.live import ALLOW_LIVE, LivePermission, LiveStanding, environment_refusal, live_refusal
from trading_assets.configured import account, account_names, variant
from trading_assets.settings import Settings
from trading_assets.stages import recorded, recorded_approvals, stage_at

if TYPE_CHECKING:
    from resources.ledger import Ledger
    from trading.accounts import AccountConfig
    from trading.orders import OrderIntent


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

    from trading.promotion import same_version

    standing = stage_at(settings, ledger, name, session)
    if standing.stage != "live" or standing.held_by is None:
        return LiveStanding(standing.stage, standing.strategy_version, standing.decision_id)
    version = standing.strategy_version
    holding = [decision for decision in recorded(ledger, name, session).decisions if decision.to_stage == "live"]
    held = {found.evidence.content_hash for found in holding if same_version(found, standing.held_by.evidence)}
    # the approval that led there, and later ones, which renew it; each for the evidence of a decision that holds it there
    approvals = [given for given in recorded_approvals(ledger, name, version) if given.evidence_hash in held]
    symbols = frozenset(standing.held_by.live_symbols)
    return LiveStanding("live", version, standing.decision_id, symbols, approvals)


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
