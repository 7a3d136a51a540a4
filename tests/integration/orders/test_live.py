"""Every way around the three locks of live trading: config, environment, a promotion that a person approved."""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harness import order_market as kit
from harness.accounts import BEFORE, CALENDAR, SESSION, Accounts
from harness.evidence import climb

from resources.ledger import Approval as RecordedApproval
from resources.ledger import Ledger
from resources.router import Router
from trading.accounts import AccountConfig
from trading.live import live_refusal
from trading.orders import Lineage, OrderIntent, OrderState, idempotency_key
from trading.promotion import Approval, Decision, decide_by_person
from trading_assets.configured import account as load_account
from trading_assets.configured import promotion_policy
from trading_assets.configured import variant as load_variant
from trading_assets.live import live_permission, live_standing, registered_accounts

VARIANT = "risk1"
AT = CALENDAR.open(SESSION) + dt.timedelta(minutes=5)
APPROVED = dt.datetime(2024, 3, 1, 21, 30, tzinfo=dt.UTC)
BOOKS = {VARIANT: {"capital": 10_000.0}}


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Accounts:
    live = {"variants": BOOKS, "mode": "live", "broker": "ibkr"}
    return Accounts.make(tmp_path_factory.mktemp("live"), {"main": live, "other": live, "paper": {"variants": BOOKS}})


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


def climbed(accounts: Accounts, approval: Approval | None = None, session: dt.date = BEFORE) -> tuple[Decision, ...]:
    return climb(accounts.settings, VARIANT, session=session, symbol="AAA", approval=approval)


def record(ledger: Ledger, decisions: Sequence[Decision]) -> None:
    for decision in decisions:
        ledger.record_decision(decision.to_dict(), APPROVED)


def promoted(accounts: Accounts, ledger: Ledger, session: dt.date = BEFORE, **changes: Any) -> str:
    """Decisions whose evidence Ada approved, or with ``changes`` to that approval; the id of the one that led furthest."""
    evidence = climbed(accounts, session=session)[0].evidence
    given: dict[str, Any] = {
        "by": "Ada", "at": APPROVED, "strategy_version": evidence.strategy_version,
        "evidence_hash": evidence.content_hash,
    }  # fmt: skip
    approval = None if changes == {"approval": None} else Approval(**given | changes)
    if approval is not None:
        ledger.record_approval(
            RecordedApproval(VARIANT, approval.strategy_version, approval.evidence_hash, "Ada", "", approval.at)
        )
    made = climbed(accounts, approval, session)
    record(ledger, made)
    return [decision.decision_id for decision in made if decision.moves][-1]


def intent(accounts: Accounts, decision_id: str, **changes: Any) -> OrderIntent:
    version = load_variant(accounts.settings, VARIANT).strategy_version
    key = idempotency_key("main", VARIANT, version, "AAA", CALENDAR.open(SESSION), 1)
    made = OrderIntent(
        idempotency_key=key, order_ref=key[:16], oco_id="o", account="main", variant=VARIANT, strategy_version=version,
        symbol="AAA", side=1, qty=1.0, entry=10.0, stop=9.0, target=None, setup_time=CALENDAR.open(SESSION),
        session=SESSION, valid_sessions=0, valid_from=AT, valid_to=CALENDAR.close(SESSION),
        lineage=Lineage({}, "1", "c", decision_id),
    )  # fmt: skip
    return replace(made, **changes)


def refusal(
    accounts: Accounts, ledger: Ledger, decision_id: str, allowed: str | None, account: str = "main", **changes: Any
) -> str | None:
    env = {} if allowed is None else {"TRADING_ALLOW_LIVE": allowed}
    at = changes.pop("at", AT)
    permission = live_permission(accounts.settings, ledger, env)
    return permission(load_account(accounts.settings, account), intent(accounts, decision_id, **changes), at)


def test_with_all_three_an_order_may_go(accounts: Accounts, ledger: Ledger) -> None:
    assert refusal(accounts, ledger, promoted(accounts, ledger), "main") is None


@pytest.mark.parametrize(
    "allowed",
    [
        None, "", " ", "other", "paper", "Main", "MAIN", " main", "main ", "main\n", "\tmain", "main,other", "other,main",
        "main other", "main;", "*", "m*", "all", "true", "1", "ma", "mainx", "m.in", "[main]", "'main'", "ｍain", "main\x00",
    ],
)  # fmt: skip
def test_only_the_account_s_own_name_letter_for_letter_opens_the_environment(
    accounts: Accounts, ledger: Ledger, allowed: str | None
) -> None:
    found = refusal(accounts, ledger, promoted(accounts, ledger), allowed)
    assert found is not None and "TRADING_ALLOW_LIVE" in found and "must be exactly main" in found


def test_the_environment_opens_no_account_of_mode_paper_and_no_other_account(
    accounts: Accounts, ledger: Ledger
) -> None:
    key = promoted(accounts, ledger)
    assert "mode is paper, not live" in str(refusal(accounts, ledger, key, "paper", account="paper"))
    assert "must be exactly other" in str(refusal(accounts, ledger, key, "main", account="other"))
    for wrong in ("LIVE", "Live", "live ", True, None):
        with pytest.raises(ValueError, match="mode"):
            AccountConfig.model_validate({"name": "main", "variants": BOOKS, "mode": wrong, "broker": "ibkr"})
    for number in ("U1234567", "DU7654321", "12345678", "f1234567"):
        with pytest.raises(ValueError, match="account number must not stand in a config"):
            AccountConfig.model_validate({"name": number, "variants": BOOKS})


def test_without_a_live_promotion_nothing_goes(accounts: Accounts, ledger: Ledger) -> None:
    assert "stands on experiment" in str(refusal(accounts, ledger, "", "main"))
    made = climbed(accounts)[-1]
    record(ledger, climbed(accounts))
    version = load_variant(accounts.settings, VARIANT).strategy_version
    ledger.record_approval(
        RecordedApproval(VARIANT, version, made.evidence.content_hash, "Ada", "I would like it live", APPROVED)
    )
    assert "stands on paper" in str(refusal(accounts, ledger, made.decision_id, "main"))


def test_a_promotion_of_this_session_or_later_does_not_count_yet(accounts: Accounts, ledger: Ledger) -> None:
    key = promoted(accounts, ledger, session=SESSION)
    assert "stands on experiment" in str(refusal(accounts, ledger, key, "main"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"approval": None}, "it stands on paper, not on live"),
        ({"strategy_version": "another"}, "it stands on paper, not on live"),
        ({"evidence_hash": "0" * 64}, "it stands on paper, not on live"),
        ({"at": AT + dt.timedelta(seconds=1)}, "no person has approved version"),
        ({"at": AT - dt.timedelta(days=90, seconds=1)}, r"approval of 2023-12-05 has expired after 90 days"),
    ],
    ids=["none", "another version", "another evidence", "in the future", "expired"],
)
def test_an_approval_that_does_not_hold_opens_nothing(
    accounts: Accounts, ledger: Ledger, changes: dict[str, Any], says: str
) -> None:
    found = refusal(accounts, ledger, promoted(accounts, ledger, **changes), "main")
    assert found is not None and re.search(says, found), found


def test_an_approval_to_the_second_of_its_days_holds_and_is_renewed_for_the_evidence_of_the_live_version_alone(
    accounts: Accounts, ledger: Ledger
) -> None:
    key = promoted(accounts, ledger, at=AT - dt.timedelta(days=90))
    assert refusal(accounts, ledger, key, "main") is None
    assert "expired" in str(refusal(accounts, ledger, key, "main", at=AT + dt.timedelta(seconds=1)))
    standing = live_standing(accounts.settings, ledger, VARIANT, SESSION)
    renewal = RecordedApproval(VARIANT, standing.strategy_version, "0" * 64, "Bob", "again", AT)
    ledger.record_approval(renewal)  # for evidence of no decision
    ledger.record_approval(replace(renewal, strategy_version="another", commit_id=standing.approvals[0].evidence_hash))
    later = AT + dt.timedelta(days=1)
    assert "expired" in str(refusal(accounts, ledger, key, "main", at=later))
    ledger.record_approval(replace(renewal, commit_id=standing.approvals[0].evidence_hash))
    assert refusal(accounts, ledger, key, "main", at=later) is None


def test_no_automation_approves(accounts: Accounts) -> None:
    for nobody in ("auto", "Dagster", "system", " "):
        with pytest.raises(ValueError, match="names no person"):
            Approval(by=nobody, at=APPROVED, strategy_version="v", evidence_hash="h")


def test_an_order_of_another_version_or_decision_does_not_go(accounts: Accounts, ledger: Ledger) -> None:
    key = promoted(accounts, ledger)
    assert "the order is of old" in str(refusal(accounts, ledger, key, "main", strategy_version="old"))
    assert "BBB is not among the Symbols" in str(refusal(accounts, ledger, key, "main", symbol="BBB"))
    assert "was built under decision 'forged'" in str(refusal(accounts, ledger, "forged", "main"))
    assert "was built under decision ''" in str(refusal(accounts, ledger, "", "main"))


def test_demoted_or_suspended_it_stops_at_once(accounts: Accounts, ledger: Ledger) -> None:
    key = promoted(accounts, ledger)
    permission = live_permission(accounts.settings, ledger, {"TRADING_ALLOW_LIVE": "main"})
    order, config = intent(accounts, key), load_account(accounts.settings, "main")
    assert permission(config, order, AT) is None
    evidence, policy = climbed(accounts)[0].evidence, promotion_policy(accounts.settings)
    record(ledger, [decide_by_person(evidence, policy, "live", "suspended", by="Ada", reason="for a test")])
    assert "stands on suspended" in str(permission(config, order, AT))


def test_only_a_live_account_that_the_environment_allows_is_registered(accounts: Accounts) -> None:
    assert registered_accounts(accounts.settings, {}) == ["paper"]
    assert registered_accounts(accounts.settings, {"TRADING_ALLOW_LIVE": "main"}) == ["main", "paper"]
    assert registered_accounts(accounts.settings, {"TRADING_ALLOW_LIVE": "main,other"}) == ["paper"]


def test_a_standing_without_decision_opens_nothing(accounts: Accounts, ledger: Ledger) -> None:
    standing = replace(live_standing(accounts.settings, ledger, VARIANT, SESSION), stage="live")
    config = load_account(accounts.settings, "main")
    found = live_refusal(config, intent(accounts, ""), allowed="main", standing=standing, at=AT)
    assert "was built under decision ''" in str(found)


def live_desk(folder: Path, permission: Any) -> Any:
    """A live account whose venue is the simulated broker, which its config could not name."""
    folder.mkdir()
    desk = kit.make_desk(folder, [kit.TestVariant("v", kit.replay_config())], sessions=kit.SESSIONS[:1])
    desk.account = kit.make_account(["v"], mode="live", broker="ibkr")
    given = {} if permission is None else {"live": permission}
    desk.router = Router(desk.ledger, desk.broker, kit.CALENDAR, **given)
    return desk


def test_a_router_without_permission_sends_nothing_of_a_live_account(tmp_path: Path) -> None:
    for number, permission in enumerate((None, lambda account, intent, at: "no")):
        report = live_desk(tmp_path / str(number), permission).route(kit.SESSIONS[0])
        assert report.intents > 20 and report.sent == 0
        assert report.refused == {"mode_not_allowed": report.intents}


def test_the_router_asks_before_every_order_and_again_before_what_a_crash_left(tmp_path: Path) -> None:
    asked: list[str] = []

    def once(_account: AccountConfig, asked_for: OrderIntent, at: dt.datetime) -> str | None:
        assert at.tzinfo is not None
        asked.append(asked_for.order_ref)
        return None

    desk = live_desk(tmp_path / "free", once)
    report = desk.route(kit.SESSIONS[0])
    assert report.sent > 20 and len(set(asked)) == report.intents and len(asked) == report.intents + report.sent

    begun = live_desk(tmp_path / "crashed", once)
    first = min(begun.intents(kit.SESSIONS[0]), key=lambda i: i.valid_from)
    begun.ledger.record_intents([first])
    begun.ledger.record_event(first, OrderState.SUBMITTING, at=first.valid_from)
    begun.router = Router(begun.ledger, begun.broker, kit.CALENDAR, live=lambda account, intent, at: "withdrawn")
    assert begun.route(kit.SESSIONS[0], [first]).sent == 0
    assert begun.ledger.state_of(first.idempotency_key) == OrderState.REJECTED
