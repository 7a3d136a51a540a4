"""The circuit breakers: pure functions from figures to breaches."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from trading.accounts import AccountConfig
from trading.risk.statistics import binomial_tail


@dataclass(frozen=True)
class Breach:
    """A limit that was broken.

    Attributes:
        breach_id: the same occurrence has the same id, so that it engages the switch once.
        breaker: ``daily_loss``, ``drawdown`` or ``losing_streak``.
        scope: of the kill switch to engage.
        figure, limit: what was seen and what it was held against; percent, for ``losing_streak`` probabilities.
    """

    breach_id: str
    breaker: str
    scope: str
    figure: float
    limit: float
    says: str


@dataclass(frozen=True)
class BookWorth:
    """A book's money now and at the session's start, currency, open positions marked; ``capital`` its seed."""

    capital: float
    start_equity: float
    equity: float


def money_breaches(account: AccountConfig, session: dt.date, books: Mapping[str, BookWorth]) -> list[Breach]:
    """Daily loss of the account, and drawdown of each book and of the account, from their worth now.

    Args:
        books: by variant, all of the account's.
    """
    limits, found = account.breakers, []
    start = sum(book.start_equity for book in books.values())
    equity = sum(book.equity for book in books.values())
    seed = sum(book.capital for book in books.values())
    if start > 0 and (start - equity) * 100 >= limits.daily_loss_pct * start:
        lost = 100 * (start - equity) / start
        found.append(
            Breach(
                f"daily_loss:{account.name}:{session}",
                "daily_loss",
                "global",
                lost,
                limits.daily_loss_pct,
                f"account {account.name} lost {lost:.2f} % of its equity in the session {session}, limit "
                f"{limits.daily_loss_pct:g} %",
            )
        )
    parts = [(f"book:{account.name}/{name}", book.capital, book.equity) for name, book in sorted(books.items())]
    for scope, capital, value in [*parts, (f"account:{account.name}", seed, equity)]:
        if (capital - value) * 100 >= limits.drawdown_pct * capital:
            lost = 100 * (capital - value) / capital
            found.append(
                Breach(
                    f"drawdown:{scope}:{session}",
                    "drawdown",
                    scope,
                    lost,
                    limits.drawdown_pct,
                    f"{scope} is {lost:.2f} % under its seed capital, limit {limits.drawdown_pct:g} %",
                )
            )
    return found


def streak_start(decided: dt.date, released: dt.datetime | None) -> dt.date:
    """Trades closed in sessions after it count for a losing streak.

    Args:
        decided: session of the decision that the variant trades by.
        released: when a person last released the suspended book, having looked at the trades until then.
    """
    return decided if released is None else max(decided, released.date())


def losing_streak(
    account: AccountConfig, variant: str, session: dt.date, *, trades: int, wins: int, reference_rate: float
) -> Breach | None:
    """Suspension of a book whose wins are too few to be chance.

    Args:
        trades, wins: since the reference.
        reference_rate: lower bound of the variant's win rate in its backtest.
    """
    limits = account.breakers
    if trades < limits.losing_streak_min_trades:
        return None
    chance = binomial_tail(wins, trades, reference_rate)
    if chance >= limits.losing_streak_alpha:
        return None
    scope = f"book:{account.name}/{variant}"
    return Breach(
        f"losing_streak:{scope}:{session}", "losing_streak", scope, chance, limits.losing_streak_alpha,
        f"{scope}: {wins} wins in {trades} trades have a chance of {chance:.4f} at a win rate of {reference_rate:.3f}, "
        f"limit {limits.losing_streak_alpha:g}",
    )  # fmt: skip
