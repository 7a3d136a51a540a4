"""Trades out of executions, in however many parts they came."""

import datetime as dt

from harness.ledger_records import DAY, a_fill, an_intent

from resources.closed_trades import ClosedTrade, closed_trades
from resources.ledger import Fill


def test_a_trade_is_one_however_many_executions_it_took() -> None:
    first, second, third = (an_intent(minute) for minute in (0, 5, 10))
    fills = [
        a_fill(first, 1, "entry", -0.1),
        a_fill(first, 2, "entry", -0.2),
        a_fill(second, 3, "entry", -0.1),
        a_fill(first, 4, "exit", 2.0),
        a_fill(second, 5, "exit", -5.0),
        a_fill(third, 6, "entry", -0.1),
        a_fill(first, 7, "exit", 3.0),
        a_fill(third, 8, "exit", 1.0),  # a part of it; the rest is held
    ]
    trades = closed_trades(fills, {third.order_ref})
    assert [(t.variant, round(t.pnl, 9)) for t in trades] == [("risk1", -5.1), ("risk1", 4.7)]


def test_the_session_is_that_of_the_exit() -> None:
    intent, later = an_intent(), DAY + dt.timedelta(days=3)
    leaves = Fill(**{**vars(a_fill(intent, 2, "exit", 1.0)), "session": later})
    assert closed_trades([a_fill(intent, 1, "entry", 0.0), leaves], set()) == [ClosedTrade("risk1", later, 1.0)]


def test_what_is_held_is_no_trade() -> None:
    assert closed_trades([a_fill(an_intent())], set()) == []
