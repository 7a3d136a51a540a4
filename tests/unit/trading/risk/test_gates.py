import datetime as dt
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.accounts import AccountConfig, SpendingWindow
from trading.orders import OrderIntent
from trading.risk.breakers import BookWorth, losing_streak, money_breaches
from trading.risk.gates import (
    GATES,
    BookResults,
    Exposure,
    GateContext,
    SentOrder,
    TokenBucket,
    TradeCounts,
    evaluate,
    refusal,
)
from trading.risk.statistics import binomial_tail

AT = dt.datetime(2024, 3, 1, 15, 0, tzinfo=dt.UTC)  # 10:00 in New York
OPEN, CLOSE = AT.replace(hour=14, minute=30), AT.replace(hour=21)
MORNING = SpendingWindow(start="09:30", end="11:00", max_notional=1500)


def an_intent(**changes: Any) -> OrderIntent:
    base: dict[str, Any] = {
        "idempotency_key": "k",
        "order_ref": "r",
        "oco_id": "o",
        "account": "paper",
        "variant": "v",
        "strategy_version": "1",
        "symbol": "AAA",
        "side": 1,
        "qty": 10.0,
        "entry": 100.0,
        "stop": 99.0,
        "target": 103.0,
        "setup_time": AT - dt.timedelta(minutes=5),
        "session": AT.date(),
        "valid_sessions": 0,
        "valid_from": AT,
        "valid_to": CLOSE,
    }
    return OrderIntent(**(base | changes))


def an_account(**limits: Any) -> AccountConfig:
    return AccountConfig.model_validate({"name": "paper", "variants": {"v": {"capital": 10_000}}, "limits": limits})


def a_context(**changes: Any) -> GateContext:
    base: dict[str, Any] = {
        "at": AT,
        "switch_engaged": False,
        "switch_scope": "",
        "reconciled": True,
        "mode_allowed": True,
        "session_open": OPEN,
        "session_close": CLOSE,
        "timezone": ZoneInfo("America/New_York"),
        "equity": 10_000.0,
        "account_equity": 10_000.0,
        "sent": [],
        "trades": TradeCounts(),
        "buckets": [TokenBucket(2, 1.0, 2.0)],
        "spent": {},
        "held": [],
        "stop_outs": {},
        "last_price": 99.5,
        "last_price_at": AT,
    }
    return GateContext(**(base | changes))


def sent(**changes: Any) -> SentOrder:
    return replace(SentOrder("other", 1, 100.0, AT - dt.timedelta(seconds=10)), **changes)


def test_the_gates_stand_in_their_order() -> None:
    results = evaluate(an_intent(), an_account(), a_context())
    assert [r.name for r in results] == [
        "kill_switch", "account", "session", "duplicate", "cooldown", "rate", "max_trades", "spending", "hard_stop",
        "expectancy", "kelly", "exposure", "price",
    ]  # fmt: skip
    assert refusal(results) is None and {r.code for r in results} == {"passed"} and len(GATES) == 13


# one row: what is different, and the code of the only gate that refuses
CASES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    ({"switch_engaged": True, "switch_scope": "global"}, {}, {}, "kill_switch"),
    ({"reconciled": False}, {}, {}, "not_reconciled"),
    ({"mode_allowed": False}, {}, {}, "mode_not_allowed"),
    ({}, {}, {"valid_from": AT + dt.timedelta(seconds=1)}, "not_yet_valid"),
    ({}, {}, {"valid_to": AT - dt.timedelta(seconds=1)}, "validity_over"),
    ({"session_close": AT - dt.timedelta(hours=1)}, {}, {}, "session_closed"),
    ({"session_open": AT + dt.timedelta(hours=1)}, {}, {}, "session_closed"),
    ({"sent": [sent(idempotency_key="k", at=OPEN)]}, {}, {}, "duplicate_key"),
    ({"sent": [sent()]}, {"dedupe_seconds": 10.5}, {}, "duplicate_order"),
    ({"sent": [sent()]}, {"dedupe_seconds": 10.0}, {}, ""),
    ({"sent": [sent(entry=100.01)]}, {}, {}, ""),
    ({"sent": [sent(side=-1)]}, {}, {}, ""),
    ({"stop_outs": {("v", "AAA"): AT - dt.timedelta(minutes=4, seconds=59)}}, {}, {}, "cooldown"),
    ({"stop_outs": {("v", "AAA"): AT - dt.timedelta(minutes=5)}}, {}, {}, ""),
    ({"stop_outs": {("v", "BBB"): AT, ("w", "AAA"): AT}}, {}, {}, ""),
    ({"buckets": [TokenBucket(2, 1.0, 0.9)]}, {}, {}, "rate_limit"),
    ({"trades": TradeCounts(5, 2, 1)}, {"max_trades_account": 5}, {}, "max_trades_account"),
    ({"trades": TradeCounts(5, 2, 1)}, {"max_trades_variant": 2}, {}, "max_trades_variant"),
    ({"trades": TradeCounts(5, 2, 1)}, {"max_trades_symbol": 1}, {}, "max_trades_symbol"),
    ({"trades": TradeCounts(5, 2, 1)}, {"max_trades_account": 6, "max_trades_symbol": 2}, {}, ""),
    ({"spent": {MORNING: 500.01}}, {"spending_windows": [MORNING]}, {}, "spending"),
    ({"spent": {MORNING: 500.0}}, {"spending_windows": [MORNING]}, {}, ""),
    ({"at": AT.replace(hour=16), "last_price_at": AT.replace(hour=16), "spent": {MORNING: 9e9}},
     {"spending_windows": [MORNING]}, {}, ""),
    ({}, {}, {"qty": 200.0, "stop": 98.99}, "hard_stop"),
    ({}, {"max_symbol_pct": 200}, {"qty": 200.0}, ""),
    ({"equity": 0.0}, {"max_leverage": 1e9}, {}, "hard_stop"),
    ({"results": BookResults(100, 20)}, {"expectancy_min_trades": 30}, {}, "expectancy"),
    ({"results": BookResults(100, 60)}, {"expectancy_min_trades": 30}, {}, ""),
    ({"results": BookResults(100, 60), "costs_pct": 3.0}, {"expectancy_min_trades": 30}, {}, "expectancy"),
    ({"results": BookResults(29, 0)}, {"expectancy_min_trades": 30}, {}, ""),
    ({"results": BookResults(10, 5, 10.0, 11.0)}, {"kelly": {}}, {}, "kelly"),
    ({"results": BookResults(10, 5, 20.0, 10.0), "last_price": 10.0}, {"kelly": {}},
     {"qty": 500.0, "entry": 10.0, "stop": 9.0}, ""),
    ({"held": [Exposure("w", "AAA", 1, 9000.01)]}, {}, {}, "exposure_symbol_pct"),
    ({"held": [Exposure("w", "AAA", -1, 9000.01)]}, {}, {}, ""),
    ({"held": [Exposure("w", "BBB", -1, 5000.0)]}, {"max_gross_pct": 59.9}, {}, "exposure_gross_pct"),
    ({"held": [Exposure("w", "BBB", 1, 5000.0)]}, {"max_net_pct": 59.9}, {}, "exposure_net_pct"),
    ({"held": [Exposure("v", "BBB", 1, 5000.0)]}, {"max_leverage": 0.59}, {}, "exposure_leverage"),
    ({"last_price": None}, {}, {}, "no_price"),
    ({"last_price": 90.0}, {}, {}, "price_deviation"),
    ({"last_price_at": AT - dt.timedelta(seconds=301)}, {}, {}, "stale_price"),
    ({"last_price_at": AT + dt.timedelta(seconds=1)}, {}, {}, "stale_price"),
]  # fmt: skip


@pytest.mark.parametrize(("context", "limits", "intent", "code"), CASES)
def test_each_limit_bites_at_its_edge(
    context: dict[str, Any], limits: dict[str, Any], intent: dict[str, Any], code: str
) -> None:
    if limits.get("kelly") is not None:
        limits = {"hard_stop_pct": 5.0} | limits
    refused = refusal(evaluate(an_intent(**intent), an_account(**limits), a_context(**context)))
    assert ("" if refused is None else refused.code) == code


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
