"""Cancelling until nothing is open."""

import datetime as dt
from collections.abc import Callable

from trading.errors import OrderError
from trading.ports.broker import Broker

ATTEMPTS = 5


class CancellationFailed(OrderError):
    """Orders stay open at the broker although the kill switch is engaged: a person must act."""


def cancel_until_none(
    broker: Broker, account: str, variant: str, at: dt.datetime, between: Callable[[], None] | None = None
) -> int:
    """Cancel the working entries of a book, and look whether they are gone; how many. Exits stay.

    Raises:
        CancellationFailed: some are still there after ``ATTEMPTS`` rounds.
    """
    count, left = 0, [""]
    for _ in range(ATTEMPTS):
        count += broker.cancel_all(account, at, variant, "kill_switch")
        if between is not None:
            between()
        orders = broker.open_orders(account)
        left = [order.order_ref for order in orders if order.status == "working" and order.variant == variant]
        if not left:
            return count
    raise CancellationFailed(
        f"book {account}/{variant}: {len(left)} orders are still open after {ATTEMPTS} cancellations, the first "
        f"{left[0]}; cancel them at the broker"
    )
