"""The second line of the losing streak: what the kill-switch sensor finds in the ledger without a router at work."""

import dataclasses
import datetime as dt
from pathlib import Path

import pytest
from harness.accounts import BEFORE, SESSION, Accounts
from harness.ledger_records import a_fill, a_worth, an_intent

from resources.ledger import Ledger
from trading_assets.safety import open_breaches

AT = dt.datetime(2024, 3, 4, 21, tzinfo=dt.UTC)
SCOPE = "book:paper/risk1"


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    # a variant without a file: it is not traded, and keeps nobody from being stopped
    made = Accounts.make(tmp_path, {"paper": {"variants": {"risk1": {"capital": 10_000.0}, "gone": {"capital": 1.0}}}})
    made.promote("risk1")
    return made


def trade(ledger: Ledger, variant: str, pnls: list[float], session: dt.date, begin: int = 0) -> None:
    """Closed trades of a book, entry and exit each, and the worth after them."""
    for number, pnl in enumerate(pnls, begin):
        intent = an_intent(number, variant=variant)
        ledger.record_intents([intent])
        for step, (leg, realised) in enumerate((("entry", 0.0), ("exit", pnl))):
            fill = a_fill(intent, 2 * number + step + (1000 if variant == "gone" else 0), leg, realised)
            ledger.record_fill(dataclasses.replace(fill, session=session))
    ledger.record_worth(dataclasses.replace(a_worth(9_990.0), session=session, variant=variant))


def test_ten_losses_in_a_row_are_found(accounts: Accounts) -> None:
    ledger = accounts.ledger
    trade(ledger, "gone", [-1.0] * 12, SESSION)
    trade(ledger, "risk1", [-1.0] * 9, SESSION)
    assert open_breaches(accounts.settings, ledger) == []  # too few to say
    trade(ledger, "risk1", [-1.0], SESSION, begin=9)
    (breach,) = open_breaches(accounts.settings, ledger)
    assert (breach.breaker, breach.scope, breach.breach_id) == (
        "losing_streak", SCOPE, f"losing_streak:{SCOPE}:{SESSION}",
    )  # fmt: skip
    # 50 of 100 in the backtest: Wilson's lower bound at 95 % is 0.4038, and 0 of 10 has a chance of 0.5962 ** 10
    assert breach.figure == pytest.approx(0.5962**10, rel=0.01)


def test_trades_before_the_decision_or_the_release_do_not_count(accounts: Accounts) -> None:
    ledger = accounts.ledger
    trade(ledger, "risk1", [-1.0] * 20, BEFORE)
    assert open_breaches(accounts.settings, ledger) == []
    trade(ledger, "risk1", [-1.0] * 10, SESSION, begin=20)
    assert len(open_breaches(accounts.settings, ledger)) == 1
    ledger.engage(SCOPE, "why", "breaker", AT)
    ledger.release(SCOPE, "Ada", "looked at", AT + dt.timedelta(hours=1))
    assert open_breaches(accounts.settings, ledger) == []


def test_wins_as_often_as_promised_are_no_streak(accounts: Accounts) -> None:
    trade(accounts.ledger, "risk1", [-1.0, 1.0] * 10, SESSION)
    assert open_breaches(accounts.settings, accounts.ledger) == []
