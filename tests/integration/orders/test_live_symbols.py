"""Which Symbols a live batch may contain: decided per Symbol, session by session."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from harness.accounts import SESSION, Accounts
from harness.evidence import climb

from resources.configurable import BrokerResource
from resources.lake import open_lake
from resources.lake.publish import Publisher
from resources.ledger import Approval as RecordedApproval
from trading.orders import intents_from_batch
from trading.promotion import Approval, Evidence, SymbolEvidence, decide
from trading_assets.configured import promotion_policy
from trading_assets.stages import stage_at
from trading_assets.trading_desk import TradingDesk

VARIANT = "risk1"
DAYS = (dt.date(2024, 2, 28), dt.date(2024, 2, 29), dt.date(2024, 3, 1))
AT = dt.datetime(2024, 3, 1, 21, 30, tzinfo=dt.UTC)


class _NoAlerts:
    def send(self, alert: Any) -> None:
        raise AssertionError(alert)


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accounts:
    books = {VARIANT: {"capital": 10_000.0}}
    made = Accounts.make(
        tmp_path, {"main": {"variants": books, "mode": "live", "broker": "ibkr"}, "paper": {"variants": books}}
    )
    monkeypatch.setenv("TRADING_ALLOW_LIVE", "main")
    bare = climb(made.settings, VARIANT, session=DAYS[0], symbol="AAA")[0].evidence
    given = Approval(by="Ada", at=AT, strategy_version=bare.strategy_version, evidence_hash=bare.content_hash)
    made.ledger.record_approval(
        RecordedApproval(VARIANT, given.strategy_version, given.evidence_hash, given.by, given.comment, given.at)
    )
    for decision in climb(made.settings, VARIANT, session=DAYS[0], symbol="AAA", approval=given):
        made.ledger.record_decision(decision.to_dict(), AT)
    return made


def batch(accounts: Accounts, account: str) -> set[str]:
    """Symbols in the batch of the session."""
    publisher = Publisher(open_lake(accounts.settings.lake_uri), run_id="r", code_version="1", clock=lambda: AT)
    brokers = BrokerResource(state_dir=str(accounts.settings.home / "broker"))
    desk = TradingDesk(accounts.settings, publisher, accounts.ledger, brokers, _NoAlerts(), "")
    desk.build(account, SESSION)
    key = {"session": SESSION.isoformat(), "account": account}
    intents = intents_from_batch(publisher.read_frame(publisher.pin(), "order_batch", key))
    return {intent.symbol for intent in intents}


def decided(accounts: Accounts, day: dt.date, **expectancy: float) -> None:
    """The decision of a session in which these Symbols earned that much a trade."""
    held = stage_at(accounts.settings, accounts.ledger, VARIANT).held_by
    assert held is not None
    symbols = [SymbolEvidence(symbol=s, horizon="1y", num_trades=40, expectancy=e) for s, e in expectancy.items()]
    evidence = Evidence.model_validate(
        {**held.evidence.model_dump(), "session": day, "symbols": symbols, "approval": None}
    )
    made = decide(evidence, promotion_policy(accounts.settings), "live")
    assert made.to_stage == "live"
    accounts.ledger.record_decision(made.to_dict(), AT)


def test_a_symbol_enters_and_leaves(accounts: Accounts) -> None:
    assert batch(accounts, "main") == {"AAA"}
    assert batch(accounts, "paper") == {"AAA", "BBB", "CCC"}, "on paper every Symbol is tried"
    decided(accounts, DAYS[1], AAA=5.0, BBB=2.0, CCC=-1.0)
    assert batch(accounts, "main") == {"AAA", "BBB"}
    decided(accounts, DAYS[2], AAA=-0.5, BBB=2.0, CCC=-1.0)
    assert batch(accounts, "main") == {"BBB"}


def test_a_changed_version_stops_the_running_one_and_says_so(accounts: Accounts) -> None:
    file = accounts.settings.configs / "runs" / f"{VARIANT}.yml"
    before = stage_at(accounts.settings, accounts.ledger, VARIANT)
    assert before.stage == "live" and before.replaced is None
    # one setting of the replay: the signals' version is the same, what is traded is not
    file.write_text(file.read_text().replace("max_pos_pct: 20.0", "max_pos_pct: 20.1"))
    standing = stage_at(accounts.settings, accounts.ledger, VARIANT)
    assert (standing.stage, standing.strategy_version) == ("experiment", before.strategy_version)
    assert "stood on live until risk1 was changed" in standing.says_replaced
    assert batch(accounts, "main") == set() == batch(accounts, "paper")
