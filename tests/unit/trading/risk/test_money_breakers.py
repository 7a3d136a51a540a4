import datetime as dt

import pytest
from harness.gates import AT, an_account
from hypothesis import given
from hypothesis import strategies as st

from trading.accounts import AccountConfig
from trading.risk.breakers import BookWorth, losing_streak, money_breaches
from trading.risk.gates import TokenBucket
from trading.risk.statistics import binomial_tail


def test_a_bucket_refills_evenly_and_never_overflows() -> None:
    bucket = TokenBucket(2, 1.0, 2.0)
    for _ in range(2):
        assert bucket.left_at(AT) >= 1
        bucket = bucket.take(AT)
    assert bucket.left_at(AT) == 0.0
    assert bucket.left_at(AT + dt.timedelta(milliseconds=500)) == 1.0
    assert bucket.left_at(AT + dt.timedelta(hours=1)) == 2.0


def test_binomial_by_hand() -> None:
    assert binomial_tail(1, 10, 0.5) == pytest.approx(11 / 1024)
    assert binomial_tail(10, 10, 0.3) == 1.0 and binomial_tail(0, 10, 1.0) == 0.0


@given(st.integers(1, 400), st.floats(0.01, 0.99))
def test_a_tail_grows_with_the_wins(trades: int, chance: float) -> None:
    tails = [binomial_tail(k, trades, chance) for k in range(trades + 1)]
    assert tails == sorted(tails) and tails[-1] == 1.0


DAY = dt.date(2024, 3, 1)


@pytest.mark.parametrize(
    ("equity", "expected"),
    [
        (9_500.01, []),
        (9_500.0, [("daily_loss", "global")]),
        (7_500.0, [("daily_loss", "global"), ("drawdown", "book:paper/v"), ("drawdown", "account:paper")]),
    ],
)
def test_money_breakers_trip_at_their_limit(equity: float, expected: list[tuple[str, str]]) -> None:
    books = {"v": BookWorth(10_000.0, 10_000.0, equity)}
    assert [(b.breaker, b.scope) for b in money_breaches(an_account(), DAY, books)] == expected


def test_a_book_is_suspended_alone_while_the_account_stands() -> None:
    account = AccountConfig.model_validate(
        {"name": "paper", "variants": {"a": {"capital": 1_000}, "b": {"capital": 99_000}}}
    )
    books = {"a": BookWorth(1_000.0, 760.0, 750.0), "b": BookWorth(99_000.0, 99_000.0, 99_000.0)}
    (breach,) = money_breaches(account, DAY, books)
    assert (breach.scope, breach.figure, breach.limit) == ("book:paper/a", 25.0, 25.0)


@pytest.mark.parametrize(("trades", "wins", "trips"), [(9, 0, False), (10, 0, True), (10, 1, False), (20, 3, True)])
def test_a_losing_streak_is_told_from_bad_luck(trades: int, wins: int, trips: bool) -> None:
    # p0 = 0.5: P(X <= 0 | 10) = 0.00098, P(X <= 1 | 10) = 0.0107, P(X <= 3 | 20) = 0.0013; alpha 0.01
    found = losing_streak(an_account(), "v", DAY, trades=trades, wins=wins, reference_rate=0.5)
    assert (found is not None) == trips
