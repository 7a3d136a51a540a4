"""Engaging the kill switch: recorded first, then every open order in scope cancelled, verified at the broker."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from resources.ledger import Ledger
from trading.accounts import AccountConfig
from trading.errors import ConfigError
from trading.ports.broker import Broker

_ATTEMPTS = 5


@dataclass(frozen=True)
class Stopped:
    """What engaging did.

    Attributes:
        newly: False where the same breach had engaged the switch before.
        cancelled: orders cancelled by this call.
        still_open: order_refs that the broker still works; empty unless it refuses to cancel.
    """

    scope: str
    newly: bool
    cancelled: int
    still_open: tuple[str, ...]

    def __str__(self) -> str:
        left = f"{len(self.still_open)} still open" if self.still_open else "none is open any more"
        return f"{self.cancelled} orders in scope {self.scope} cancelled, {left}"


def engage(
    ledger: Ledger,
    accounts: Sequence[tuple[AccountConfig, Broker]],
    *,
    scope: str,
    reason: str,
    by: str,
    at: dt.datetime,
    breach_id: str | None = None,
) -> Stopped:
    """Stop sending in ``scope`` and cancel what is open there. Positions keep their stops. Safe to repeat.

    The cancellations reach the ledger with the broker's next events, in their order, when the router runs again.

    Args:
        scope: ``global``, ``account:NAME``, ``variant:NAME`` or ``book:ACCOUNT/VARIANT``.
        accounts: every configured account with its broker; those outside the scope are left alone.

    Raises:
        ConfigError: the scope names an account or variant that is not configured.
        LedgerUnavailable: the switch could not be recorded; nothing was cancelled then.
    """
    books = [
        (config, broker, variant)
        for config, broker in accounts
        for variant in sorted(config.variants)
        if _covers(scope, config.name, variant)
    ]
    if not books:
        raise ConfigError(f"kill switch scope {scope!r} covers no book; there are {_known(accounts)}")
    newly = ledger.engage(scope, reason, by, at, breach_id)
    cancelled, still_open = 0, set[str]()
    for config, broker, variant in books:
        for _ in range(_ATTEMPTS):
            cancelled += broker.cancel_all(config.name, at, variant, "kill_switch")
            left = {
                order.order_ref
                for order in broker.open_orders(config.name)
                if order.variant == variant and order.status == "working"
            }
            if not left:
                break
        still_open |= left
    return Stopped(scope, newly, cancelled, tuple(sorted(still_open)))


def _covers(scope: str, account: str, variant: str) -> bool:
    return scope in ("global", f"account:{account}", f"variant:{variant}", f"book:{account}/{variant}")


def _known(accounts: Sequence[tuple[AccountConfig, Broker]]) -> str:
    scopes = ["global"]
    for config, _ in accounts:
        scopes += [f"account:{config.name}", *(f"book:{config.name}/{name}" for name in sorted(config.variants))]
    return ", ".join(scopes)
