"""Whether bars can be played in one go, or have to be looked at one by one because a breaker could trip on the way."""

import datetime as dt
from collections.abc import Mapping

import polars as pl

from resources.router.desk import Desk
from resources.session_bars import widest_move
from resources.session_state import SessionState


class BreakerWatch:
    """Breakers hold for every fill. Between two sendings nothing has to be looked at as long as the worst that the bars
    could do to fully invested books leaves the limits untouched.
    """

    def __init__(self, desk: Desk, state: SessionState) -> None:
        self._desk, self._state = desk, state
        self._last_close: dict[str, dict[str, float]] = {}
        for position in desk.broker.positions(desk.account.name):
            self._last_close.setdefault(position.variant, {})[position.symbol] = position.last_price

    def pieces(
        self, due: Mapping[str, pl.DataFrame], at: dt.datetime, stopped: set[str]
    ) -> list[tuple[dt.datetime, dict[str, pl.DataFrame]]]:
        """Bars until ``at`` by variant, in pieces after each of which the breakers have to be looked at, with its time.

        Args:
            due: by variant, with the column ``_end``; see :func:`resources.session_bars.spans_between`.
            stopped: variants whose switch is engaged.
        """
        if not due or not (self._desk.account.trailing_stop or self._could_breach(due, stopped)):
            return [(at, dict(due))] if due else []
        pieces: dict[dt.datetime, dict[str, pl.DataFrame]] = {}
        for name, span in due.items():
            for key, part in span.partition_by("_end", as_dict=True, maintain_order=True).items():
                pieces.setdefault(key[0], {})[name] = part
        return sorted(pieces.items(), key=lambda piece: piece[0])

    def _could_breach(self, due: Mapping[str, pl.DataFrame], stopped: set[str]) -> bool:
        desk = self._desk
        if stopped >= set(desk.variants):
            return False
        limits, total, worst_total = desk.account.breakers, 0.0, 0.0
        books = self._state.books(desk.broker.account_values(desk.account.name))
        for name, book in books.items():
            worst = 0.0
            if name in due:
                replay = desk.variants[name].replay
                costs = 2 * (replay.costs.fees_bps + replay.costs.slippage_bps) / 10_000
                move = widest_move(due[name], self._last_close.setdefault(name, {})) + costs
                worst = max(book.equity, 0.0) * replay.max_leverage * move
            floor = book.capital * (1 - limits.drawdown_pct / 100)
            if name not in stopped and book.equity - worst <= floor:
                return True
            total, worst_total = total + book.equity, worst_total + worst
        start = sum(book.start_equity for book in books.values())
        seed = sum(book.capital for book in books.values())
        floor = max(start * (1 - limits.daily_loss_pct / 100), seed * (1 - limits.drawdown_pct / 100))
        return total - worst_total <= floor
