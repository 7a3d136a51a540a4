"""What every book is worth at the end of a session, and what it holds, from the ledger's fills."""

import math

import polars as pl

from resources.ledger import Position, Worth
from resources.router.desk import Desk
from resources.session_state import SessionState


def session_worth(desk: Desk, state: SessionState) -> list[tuple[Worth, list[Position]]]:
    """One record a book, with what it holds; at the last Close, or the broker's last price where the session has none."""
    account, closes = desk.account, dict[tuple[str, str], float]()
    for name, frame in desk.bars.items():
        last = frame.sort("Timestamp").group_by("Symbol").agg(pl.col("Close").last())
        closes |= {(name, symbol): close for symbol, close in last.iter_rows()}
    marks = {position.order_ref: position.last_price for position in desk.broker.positions(account.name)}
    found = []
    for name in sorted(desk.variants):
        capital = account.variants[name].capital
        realised, fees = desk.ledger.money(account.name, name, capital)
        held = [
            Position(
                account.name, name, desk.session, entry.order_ref, entry.symbol, entry.side, entry.qty, entry.price,
                closes.get((name, entry.symbol), marks.get(entry.order_ref, entry.price)), desk.close,
            )
            for entry in state.entries.values()
            if entry.variant == name
        ]  # fmt: skip
        unrealised = math.fsum(position.unrealised for position in held)
        equity = realised + unrealised
        peak = max(state.peaks[name], equity)
        worth = Worth(
            account=account.name,
            variant=name,
            session=desk.session,
            capital=capital,
            realised=realised,
            unrealised=unrealised,
            equity=equity,
            pnl=equity - state.start_equity[name],
            trades=state.exits[name],
            peak=peak,
            drawdown=1 - equity / peak,
            at=desk.close,
            fees=fees,
            long_exposure=math.fsum(position.exposure for position in held if position.side > 0),
            short_exposure=math.fsum(position.exposure for position in held if position.side < 0),
        )
        found.append((worth, held))
    return found
