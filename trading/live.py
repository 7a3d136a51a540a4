"""Whether an account may trade live: only with its config, the environment and a promotion that a person approved."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from trading.accounts import AccountConfig
from trading.orders.intents import OrderIntent
from trading.promotion.evidence import Approval

ALLOW_LIVE = "TRADING_ALLOW_LIVE"
"""Environment variable that holds the name of the one account that may trade live."""

LivePermission: TypeAlias = Callable[[AccountConfig, OrderIntent, dt.datetime], str | None]
"""What stands against sending an intent of a live account at that time, UTC; None = nothing."""


@dataclass(frozen=True)
class LiveStanding:
    """What the record says of a variant when an order of it is to be sent.

    Attributes:
        stage: of the version that is configured now.
        strategy_version: that version.
        decision_id: of the decision that led to the stage.
        symbols: that may trade live, by the newest decision that holds the version there.
        approvals: by persons, for the evidence of decisions that hold this version on stage live.
    """

    stage: str
    strategy_version: str
    decision_id: str
    symbols: frozenset[str] = frozenset()
    approvals: Sequence[Approval] = ()


def environment_refusal(account: AccountConfig, allowed: str | None) -> str | None:
    """What the config and the environment have against live trading of ``account``; None = nothing.

    Args:
        allowed: value of :data:`ALLOW_LIVE`. It counts if it is the account's name, letter for letter: no list, no pattern, no
            surrounding space.
    """
    if account.mode != "live":
        return f"account {account.name}: mode is {account.mode}, not live"
    if allowed != account.name:
        given = "is not set" if allowed is None else f"is {allowed!r}"
        return f"account {account.name}: {ALLOW_LIVE} {given}; it must be exactly {account.name}"
    return None


def live_refusal(
    account: AccountConfig, intent: OrderIntent, *, allowed: str | None, standing: LiveStanding, at: dt.datetime
) -> str | None:
    """What stands against sending ``intent`` live at ``at``; None = nothing.

    Args:
        allowed: see :func:`environment_refusal`.
        standing: of the intent's variant now.
    """
    refused = environment_refusal(account, allowed)
    if refused is not None:
        return refused
    where = f"account {account.name}, variant {intent.variant}"
    version = intent.strategy_version
    if standing.stage != "live":
        return f"{where}: it stands on {standing.stage}, not on live"
    if standing.strategy_version != version:
        return f"{where}: version {standing.strategy_version} is promoted, the order is of {version}"
    if intent.lineage.decision_id != standing.decision_id or not standing.decision_id:
        return (
            f"{where}: the order was built under decision {intent.lineage.decision_id!r}, not {standing.decision_id!r}"
        )
    if intent.symbol not in standing.symbols:
        return f"{where}: {intent.symbol} is not among the Symbols that may trade live (live_symbols of its decision)"
    given = [
        approval.at for approval in standing.approvals if approval.strategy_version == version and approval.at <= at
    ]
    if not given:
        return f"{where}: no person has approved version {version}"
    if at - max(given) > dt.timedelta(days=account.approval_days):
        return (
            f"{where}: the approval of {max(given):%Y-%m-%d} has expired after {account.approval_days} days (approval_days); "
            "a person must approve again"
        )
    return None


def nothing_live(account: AccountConfig, intent: OrderIntent, at: dt.datetime) -> str | None:  # noqa: ARG001
    """The permission where none was given: no order of a live account is sent."""
    return f"account {account.name}: this process has no permission to trade live"
