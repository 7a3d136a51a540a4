"""The bot's trailing stop over the positions of a session: the first of three layers, before the stop at the broker."""

import datetime as dt

import polars as pl

from resources.ledger import LedgerWriter, RiskEvent
from resources.router.desk import Desk
from trading.ports.broker import BrokerPosition
from trading.risk.trailing_stop import TrailingStop

TRAILING_STOP = "trailing_stop"
"""Kind of the risk event that keeps the best Close of the positions that stay open over night."""


class TrailingStops:
    """Follows every open position from Close to Close, and leaves it at the market where its level is hit.

    A restart finds the same levels: those of the session before are in the ledger, the session's own Closes in its bars.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._best: dict[str, float] = {}
        self._stops: dict[str, TrailingStop] = {}
        if desk.account.trailing_stop is None:
            return
        earlier = [e for e in desk.ledger.risk_events(desk.account.name, TRAILING_STOP) if e.session != desk.session]
        if earlier:
            self._best = dict(earlier[-1].figures)

    def act(self, at: dt.datetime) -> int:
        """Look at every position as of its last Close; how many were closed."""
        desk, limits = self._desk, self._desk.account.trailing_stop
        if limits is None:
            return 0
        closed = 0
        held = desk.broker.positions(desk.account.name)
        for position in held:
            ref = position.order_ref
            stop = (self._stops.get(ref) or self._from_the_start(position)).seen(position.last_price)
            self._stops[ref] = stop
            if stop.hit(position.last_price, limits):
                closed += desk.broker.flatten(desk.account.name, at, position.variant, "trailing", ref)
                desk.fault("trailed")
        return closed

    def record(self, w: LedgerWriter) -> None:
        """The best Close of what stays open, for the next session."""
        desk = self._desk
        held = {position.order_ref for position in desk.broker.positions(desk.account.name)}
        best = {ref: stop.best for ref, stop in sorted(self._stops.items()) if ref in held}
        if best:
            w.record_risk_event(
                RiskEvent(
                    desk.close, desk.account.name, "", TRAILING_STOP, "info", f"{len(best)} positions are trailed on",
                    best, desk.session, f"{TRAILING_STOP}:{desk.account.name}:{desk.session}",
                )
            )  # fmt: skip

    def _from_the_start(self, position: BrokerPosition) -> TrailingStop:
        """As if it had been followed since its entry."""
        desk = self._desk
        best = self._best.get(position.order_ref, position.entry_price)
        stop = TrailingStop(position.side, position.entry_price, best)
        clock = desk.clock(position.variant)
        entered = {e.order_ref: e.at for e in desk.ledger.open_positions(desk.account.name)}.get(position.order_ref)
        if clock is None or entered is None:
            return stop
        bars = desk.bars[position.variant].filter(
            (pl.col("Symbol") == position.symbol) & pl.col("Timestamp").is_between(entered, clock)
        )
        for close in bars.sort("Timestamp")["Close"]:
            stop = stop.seen(close)
        return stop
