"""Engaging the kill switch: recorded first, then every open order in scope cancelled, verified at the broker."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from resources.cancellation import CancellationFailed, left_open, stop_book
from resources.ledger import KillSwitch, Ledger
from trading.accounts import AccountConfig
from trading.errors import ConfigError
from trading.ports.broker import Broker, BrokerError

Accounts = Sequence[tuple[AccountConfig, Broker]]


@dataclass(frozen=True)
class Stopped:
    """What engaging did.

    Attributes:
        newly: False where the same breach had engaged the switch before.
        cancelled: orders cancelled by this call.
        still_open: orders that the broker still works (and positions, where they are to be closed), or why that is not
            known; empty unless it refuses.
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
    accounts: Accounts,
    *,
    scope: str,
    reason: str,
    by: str,
    at: dt.datetime,
    breach_id: str | None = None,
    flatten: bool = False,
    others: bool = False,
) -> Stopped:
    """Stop sending in ``scope`` and cancel what is open there. Positions keep their stops. Safe to repeat.

    The cancellations reach the ledger with the broker's next events, in their order, when the router runs again.

    Args:
        scope: ``global``, ``account:NAME``, ``variant:NAME`` or ``book:ACCOUNT/VARIANT``.
        accounts: every configured account with its broker; those outside the scope are left alone.
        others: there are accounts whose file or broker cannot be read now; the scope is recorded even where it is only theirs.
        flatten: close positions too; those of accounts whose ``on_kill`` says so are closed in any case.

    Raises:
        ConfigError: the scope names an account or variant that is not configured.
        LedgerUnavailable: the switch could not be recorded; nothing was cancelled then.
    """
    if not (_books(accounts, scope) or others or scope == "global"):
        raise ConfigError(f"kill switch scope {scope!r} covers no book; there are {_known(accounts)}")
    newly = ledger.engage(scope, reason, by, at, breach_id, flatten=flatten)
    cancelled, still_open = clear(accounts, scope, at, flatten=flatten)
    return Stopped(scope, newly, cancelled, still_open)


def clear(accounts: Accounts, scope: str, at: dt.datetime, *, flatten: bool) -> tuple[int, tuple[str, ...]]:
    """Cancel (and flatten) in the scope of a switch that is recorded; how many orders, and what is left.

    A broker that does not answer keeps no other from being asked.
    """
    cancelled, still_open = 0, set[str]()
    for config, broker, variant in _books(accounts, scope):
        closing = flatten or config.on_kill == "flatten"
        try:
            cancelled += stop_book(broker, config.name, variant, at, flatten=closing)
        except CancellationFailed as failed:
            still_open |= {f"{config.name}/{variant}: {ref}" for ref in failed.left}
        except BrokerError as error:
            still_open.add(f"{config.name}/{variant}: {error}")
    return cancelled, tuple(sorted(still_open))


def unfinished(ledger: Ledger, accounts: Accounts) -> list[KillSwitch]:
    """Engaged switches in whose scope something is still open: what was cut off after it was recorded.

    Of a broker that does not answer nothing is known; it is looked at again the next time.
    """

    def is_open(switch: KillSwitch, config: AccountConfig, broker: Broker, variant: str) -> bool:
        try:
            return bool(left_open(broker, config.name, variant, flatten=switch.flatten or config.on_kill == "flatten"))
        except BrokerError:
            return False

    return [
        switch
        for switch in ledger.engaged_switches()
        if any(is_open(switch, *book) for book in _books(accounts, switch.scope))
    ]


def _books(accounts: Accounts, scope: str) -> list[tuple[AccountConfig, Broker, str]]:
    return [
        (config, broker, variant)
        for config, broker in accounts
        for variant in sorted(config.variants)
        if scope in ("global", f"account:{config.name}", f"variant:{variant}", f"book:{config.name}/{variant}")
    ]


def _known(accounts: Accounts) -> str:
    scopes = ["global"]
    for config, _ in accounts:
        scopes += [f"account:{config.name}", *(f"book:{config.name}/{name}" for name in sorted(config.variants))]
    return ", ".join(scopes)
