"""Stopping: record first, then cancel at the broker until nothing is open."""

import datetime as dt
from collections.abc import Callable, Mapping

from resources.ledger import Ledger
from trading.errors import OrderError
from trading.ports.broker import Broker

ATTEMPTS = 5


class CancellationFailed(OrderError):
    """Orders stay open at the broker although the kill switch is engaged: a person must act."""


def stop(
    ledger: Ledger,
    brokers: Mapping[str, Broker],
    scope: str,
    reason: str,
    by: str,
    at: dt.datetime,
    breach_id: str | None = None,
) -> int:
    """Engage the kill switch of ``scope`` and cancel every working entry in it; how many. Exits stay at the broker.

    Args:
        brokers: by account name.
        scope: ``global``, ``account:<name>``, ``variant:<name>`` or ``book:<account>/<variant>``.
        breach_id: see :meth:`resources.ledger.LedgerWriter.engage`.

    Raises:
        CancellationFailed: an order is still open after several cancellations; the switch is engaged all the same.
    """
    ledger.engage(scope, reason, by, at, breach_id)
    kind, _, name = scope.partition(":")
    count = 0
    for account, broker in sorted(brokers.items()):
        if kind == "global" or (kind == "account" and name == account):
            count += cancel_until_none(broker, account, None, at)
        elif kind == "variant":
            count += cancel_until_none(broker, account, name, at)
        elif kind == "book" and name.split("/")[0] == account:
            count += cancel_until_none(broker, account, name.split("/")[1], at)
    return count


def cancel_until_none(
    broker: Broker, account: str, variant: str | None, at: dt.datetime, between: Callable[[], None] | None = None
) -> int:
    """Cancel the working entries of an account or book, and look whether they are gone; how many.

    Raises:
        CancellationFailed: some are still there after ``ATTEMPTS`` rounds.
    """
    count, left = 0, []
    for _ in range(ATTEMPTS):
        count += broker.cancel_all(account, at, variant, "kill_switch")
        if between is not None:
            between()
        orders = broker.open_orders(account)
        left = [o.order_ref for o in orders if o.status == "working" and variant in (None, o.variant)]
        if not left:
            return count
    raise CancellationFailed(
        f"account {account}, book {variant or 'any'}: {len(left)} orders are still open after {ATTEMPTS} cancellations, "
        f"the first {left[0]}; cancel them at the broker"
    )
