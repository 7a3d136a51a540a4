"""Cancelling until nothing is open, and flattening until nothing is held."""

import datetime as dt
from collections.abc import Callable, Sequence

from trading.errors import OrderError
from trading.ports.broker import Broker

ATTEMPTS = 5


class CancellationFailed(OrderError):
    """Orders or positions stay open at the broker although the kill switch is engaged: a person must act.

    Attributes:
        left: their order_refs, as the broker said last.
    """

    def __init__(self, says: str, left: Sequence[str]) -> None:
        super().__init__(says)
        self.left = tuple(left)


def stop_book(
    broker: Broker,
    account: str,
    variant: str,
    at: dt.datetime,
    *,
    flatten: bool = False,
    between: Callable[[], None] | None = None,
) -> int:
    """Cancel the working entries of a book until the broker shows none; how many. Exits stay.

    Args:
        flatten: then close its positions too, until the broker shows none; their exits go with them.
        between: called after each request and before looking what became of it.

    Raises:
        CancellationFailed: some are still there after ``ATTEMPTS`` rounds.
    """
    count, left = 0, list[str]()
    for _ in range(ATTEMPTS):
        count += broker.cancel_all(account, at, variant, "kill_switch")
        if between is not None:
            between()
        if flatten and not left_open(broker, account, variant, flatten=False):
            broker.flatten(account, at, variant, "kill_switch")
        left = left_open(broker, account, variant, flatten=flatten)
        if not left:
            return count
    raise CancellationFailed(
        f"book {account}/{variant}: {len(left)} orders or positions are still open after {ATTEMPTS} rounds, the first "
        f"{left[0]}; cancel or close them at the broker",
        left,
    )


def left_open(broker: Broker, account: str, variant: str, *, flatten: bool) -> list[str]:
    """order_refs of the entries of a book that may still fill; with ``flatten`` of its positions too."""
    orders = broker.open_orders(account)
    left = [order.order_ref for order in orders if order.status == "working" and order.variant == variant]
    if flatten:
        left += [position.order_ref for position in broker.positions(account) if position.variant == variant]
    return left
