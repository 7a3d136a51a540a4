"""Closed trades of the books, from their recorded executions."""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from resources.ledger import Fill


@dataclass(frozen=True)
class ClosedTrade:
    """What a position came to, entry and exit in however many executions.

    Attributes:
        session: of the execution that closed it.
        pnl: after fees, currency.
    """

    variant: str
    session: dt.date
    pnl: float


def closed_trades(fills: Iterable[Fill], held: Collection[str]) -> list[ClosedTrade]:
    """In order of their last execution.

    Args:
        fills: all of the books, as recorded.
        held: order_ref of every position that is still open, in part or wholly.
    """
    results: dict[str, float] = {}
    last: dict[str, Fill] = {}
    for fill in fills:
        ref = fill.order_ref
        results[ref] = results.get(ref, 0.0) + fill.realised
        last.pop(ref, None)  # so that the order is that of the last execution
        last[ref] = fill
    return [
        ClosedTrade(fill.variant, fill.session, results[ref])
        for ref, fill in last.items()
        if ref not in held and fill.leg != "entry"
    ]
