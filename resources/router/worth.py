"""What every book is worth at the end of a session, from the ledger's fills."""

import polars as pl

from resources.ledger import Worth
from resources.router.desk import Desk
from resources.session_state import SessionState


def session_worth(desk: Desk, state: SessionState) -> list[Worth]:
    """One record a book; open positions at their last Close, or at the broker's last price where the session has none."""
    account, closes = desk.account, dict[tuple[str, str], float]()
    for name, frame in desk.bars.items():
        last = frame.sort("Timestamp").group_by("Symbol").agg(pl.col("Close").last())
        closes |= {(name, symbol): close for symbol, close in last.iter_rows()}
    marks = {position.order_ref: position.last_price for position in desk.broker.positions(account.name)}
    found = []
    for name in sorted(desk.variants):
        capital = account.variants[name].capital
        realised = desk.ledger.realised(account.name, name, capital)
        unrealised = 0.0
        for entry in state.entries.values():
            if entry.variant == name:
                price = closes.get((name, entry.symbol), marks.get(entry.order_ref, entry.price))
                unrealised += entry.side * entry.qty * (price - entry.price)
        equity = realised + unrealised
        peak = max(state.peaks[name], equity)
        found.append(
            Worth(
                account.name, name, desk.session, capital, realised, unrealised, equity, equity - state.start_equity[name],
                state.exits[name], peak, 1 - equity / peak, desk.close,
            )
        )  # fmt: skip
    return found
