"""What the pre-trade gates are given, and what they answer."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from zoneinfo import ZoneInfo

from trading.accounts import SpendingWindow

Figure: TypeAlias = float | int | str | bool | None


@dataclass(frozen=True)
class GateResult:
    """A gate's answer: ``code`` is ``passed`` or the reason, ``figures`` what it compared."""

    name: str
    passed: bool
    code: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Exposure:
    """Money at stake in one order or position of the account: ``notional`` = quantity times price, unsigned.

    Attributes:
        oco_id: of an order; of the orders that share one, a single one can fill.
    """

    variant: str
    symbol: str
    side: int
    notional: float
    oco_id: str = ""


@dataclass(frozen=True)
class SentOrder:
    """An entry order that was sent, whatever became of it."""

    idempotency_key: str
    side: int
    entry: float
    at: dt.datetime


@dataclass(frozen=True)
class TradeCounts:
    """Entries of the session, filled or working: of the account, of the book, of the book in the intent's Symbol."""

    account: int = 0
    variant: int = 0
    symbol: int = 0


@dataclass(frozen=True)
class TokenBucket:
    """A bucket of ``size`` tokens that refills evenly in ``seconds``; ``left`` as of ``at``."""

    size: int
    seconds: float
    left: float
    at: dt.datetime | None = None

    def left_at(self, at: dt.datetime) -> float:
        if self.at is None:
            return self.left
        return min(float(self.size), self.left + (at - self.at).total_seconds() * self.size / self.seconds)

    def take(self, at: dt.datetime) -> "TokenBucket":
        """One token less, never under 0."""
        return TokenBucket(self.size, self.seconds, max(0.0, self.left_at(at) - 1), at)


@dataclass(frozen=True)
class BookResults:
    """Closed trades of a book: counts, and means as multiples of currency (``mean_loss`` positive), after costs."""

    trades: int = 0
    wins: int = 0
    mean_win: float = 0.0
    mean_loss: float = 0.0

    @classmethod
    def of(cls, pnls: Sequence[float]) -> "BookResults":
        """Of the pnl of closed trades, currency; one that is not above 0 is a loss."""
        wins = [pnl for pnl in pnls if pnl > 0]
        losses = [-pnl for pnl in pnls if not pnl > 0]
        return cls(len(pnls), len(wins), _mean(wins), _mean(losses))


@dataclass(frozen=True)
class GateContext:
    """What the gates see at one instant.

    Attributes:
        at: now, UTC.
        switch_engaged, switch_scope: kill switch for the book; unreadable counts as engaged.
        reconciled: whether the last comparison of broker and ledger was clean.
        mode_allowed: whether the account may send in its mode.
        session_open, session_close: of the session now, UTC.
        timezone: of the exchange.
        equity, account_equity: of the book and of all books, currency, open positions marked.
        sent: entries of the book in the intent's Symbol, of the session.
        trades: entries of the session.
        buckets: the account's orders per second and per minute.
        spent: new notional sent so far in each spending window of today, by window.
        held: open positions of the account.
        stop_outs: last stop-out per (variant, Symbol).
        last_price, last_price_at: of the intent's Symbol; None = no price.
        results: closed trades of the book.
        costs_pct: round-trip costs, percent of notional.
        pending: entries of the account that may still fill.
        pauses: names of what pauses new entries now (:mod:`trading.risk.pauses`); empty = nothing does.
    """

    at: dt.datetime
    switch_engaged: bool
    switch_scope: str
    reconciled: bool
    mode_allowed: bool
    session_open: dt.datetime
    session_close: dt.datetime
    timezone: ZoneInfo
    equity: float
    account_equity: float
    sent: Sequence[SentOrder]
    trades: TradeCounts
    buckets: Sequence[TokenBucket]
    spent: Mapping[SpendingWindow, float]
    held: Sequence[Exposure]
    stop_outs: Mapping[tuple[str, str], dt.datetime]
    last_price: float | None
    last_price_at: dt.datetime | None
    results: BookResults = BookResults()
    costs_pct: float = 0.0
    pending: Sequence[Exposure] = ()
    pauses: Sequence[str] = ()


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
