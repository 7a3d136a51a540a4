import datetime as dt
from dataclasses import replace

import pytest
from harness.ledger_records import (
    CLOSE,
    DAY,
    OPEN,
    a_decision,
    a_fill,
    a_position,
    a_worth,
    an_intent,
    fill_every_table,
)  # fmt: skip
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from resources.ledger import (
    Approval,
    Ledger,
    LedgerConflict,
    LedgerError,
    LedgerUnavailable,
    RiskEvent,
)
from resources.ledger.schema import METADATA
from trading.errors import ConfigError
from trading.orders import IllegalTransition, OrderState


def test_intents_come_back_as_they_were_and_only_once(ledger: Ledger) -> None:
    pair = [an_intent(side=1), an_intent(side=-1)]
    assert ledger.record_intents(pair) == 2
    assert ledger.record_intents([replace(pair[0], qty=99.0), an_intent(5)]) == 1
    assert ledger.intents(DAY, "paper") == [*pair, an_intent(5)]
    assert ledger.state_of(pair[0].idempotency_key) == OrderState.INTENDED
    assert ledger.state_of("unheard of") is None


def test_an_order_moves_by_its_lifecycle_only(ledger: Ledger) -> None:
    intent = an_intent()
    with pytest.raises(LedgerError, match="no recorded intent"):
        ledger.record_event(intent, OrderState.SUBMITTING, at=OPEN)
    ledger.record_intents([intent])
    with pytest.raises(IllegalTransition, match="is intended and cannot become filled"):
        ledger.record_event(intent, OrderState.FILLED, at=OPEN)
    ledger.record_event(intent, OrderState.SUBMITTING, at=OPEN, payload={"gate": {"risk_pct": 0.1}})
    assert [(i, s) for i, s in ledger.open_intents("paper")] == [(intent, OrderState.SUBMITTING)]
    ledger.record_event(intent, OrderState.REJECTED, at=OPEN, reason="in_position")
    assert ledger.open_intents() == []
    story = ledger.intent(intent.order_ref[:6])
    assert (story.intent, story.state) == (intent, OrderState.REJECTED)
    assert [e.state for e in story.events] == ["intended", "submitting", "rejected"]
    assert story.events[1].payload == {"gate": {"risk_pct": 0.1}}


def test_an_order_is_found_by_a_unique_beginning_of_its_ref(ledger: Ledger) -> None:
    a, b = (replace(an_intent(m), order_ref=ref, idempotency_key=ref) for m, ref in ((0, "ab1"), (5, "ab2")))
    ledger.record_intents([a, b])
    assert ledger.intent("ab2").intent == b
    for prefix, says in (("ab", "ambiguous"), ("zz", "no order"), ("", "no order"), ("%", "no order")):
        with pytest.raises(LedgerError, match=says):
            ledger.intent(prefix)


def test_a_fill_counts_once_and_contradiction_is_refused(ledger: Ledger) -> None:
    intent = an_intent()
    ledger.record_intents([intent])
    assert ledger.record_fill(a_fill(intent))
    assert not ledger.record_fill(a_fill(intent))
    with pytest.raises(LedgerConflict, match="x1"):
        ledger.record_fill(replace(a_fill(intent), price=1.0))
    assert [p.order_ref for p in ledger.open_positions("paper")] == [intent.order_ref]
    ledger.record_fill(a_fill(intent, 2, "exit", 7.25))
    assert ledger.open_positions("paper") == []
    assert ledger.fills("paper", "risk1", DAY) == [a_fill(intent), a_fill(intent, 2, "exit", 7.25)]
    assert ledger.realised("paper", "risk1", 10_000.0) == 10_007.15
    assert ledger.broker_cursor("paper") == 2


def test_a_transaction_is_all_or_nothing(ledger: Ledger) -> None:
    with pytest.raises(RuntimeError), ledger.write() as w:
        w.record_intents([an_intent()])
        raise RuntimeError("power cut")
    assert ledger.intents(None, "paper") == []
    assert ledger.verify() == []


def test_the_switch_holds_for_its_scope_until_a_person_releases_it(ledger: Ledger) -> None:
    assert not ledger.is_engaged("paper", "risk1")
    assert ledger.engage("book:paper/risk1", "-25 %", "breaker", OPEN, breach_id="b1")
    assert not ledger.engage("book:paper/risk1", "-25 %", "breaker", OPEN, breach_id="b1")
    assert ledger.is_engaged("paper", "risk1") and not ledger.is_engaged("paper", "risk2")
    for scope in ("global", "account:paper", "variant:risk2"):
        ledger.engage(scope, "drill", "Ada", OPEN)
        assert ledger.kill_switch("paper", "risk2").scope == scope
        ledger.release(scope, "Ada", "drill is over", OPEN)
        assert not ledger.is_engaged("paper", "risk2")
    with pytest.raises(LedgerError, match="not engaged"):
        ledger.release("global", "Ada", "again", OPEN)
    with pytest.raises(LedgerError, match="name and a reason"):
        ledger.release("book:paper/risk1", "Ada", " ", OPEN)
    with pytest.raises(LedgerError, match="scope"):
        ledger.engage("everything", "x", "Ada", OPEN)
    assert not ledger.engage("book:paper/risk1", "-25 %", "breaker", OPEN, breach_id="b1")
    assert [s.scope for s in ledger.engaged_switches()] == ["book:paper/risk1"]


def test_the_switch_counts_as_engaged_where_it_cannot_be_read(ledger: Ledger) -> None:
    with ledger._engine.begin() as connection:
        connection.execute(text("DROP TABLE kill_switch_events"))
    switch = ledger.kill_switch("paper", "risk1")
    assert switch.engaged and "cannot be read" in switch.reason
    with pytest.raises(LedgerUnavailable):
        ledger.engaged_switches()


def test_decisions_count_for_the_sessions_after_them(ledger: Ledger) -> None:
    first, second = dt.date(2024, 3, 1), dt.date(2024, 3, 4)
    assert ledger.record_decision(a_decision("d1", "lab", first), OPEN)
    assert ledger.record_decision(a_decision("d2", "paper", second), OPEN)
    assert not ledger.record_decision(a_decision("d1", "lab", first), OPEN)
    with pytest.raises(LedgerConflict, match="d1"):
        ledger.record_decision(a_decision("d1", "live", first), OPEN)
    before = {day: [d.to_stage for d in ledger.decisions("risk1", dt.date(2024, 3, day))] for day in (1, 2, 4, 5)}
    assert before == {1: [], 2: ["lab"], 4: ["lab"], 5: ["lab", "paper"]}
    assert ledger.decision("d2").content == a_decision("d2", "paper", second)
    assert [d.decision_id for d in ledger.decisions("risk1", second)] == ["d1"]


def test_no_automation_approves(ledger: Ledger) -> None:
    approval = Approval("risk1", "v1", "c1", "Ada", "read the report", OPEN)
    assert ledger.record_approval(approval) and not ledger.record_approval(approval)
    assert ledger.approvals("risk1", "v1") == [approval] and ledger.approvals("risk1", "v2") == []
    for nobody in ("auto", " "):
        with pytest.raises(LedgerError, match="name of a person"):
            ledger.record_approval(replace(approval, person=nobody))


def test_worth_is_recorded_once_and_corrected_by_a_further_row(ledger: Ledger) -> None:
    assert ledger.record_worth(a_worth())
    assert not ledger.record_worth(replace(a_worth(), at=CLOSE + dt.timedelta(hours=1)))
    assert ledger.record_worth(a_worth(10_050.0))
    assert [w.equity for w in ledger.worth("paper")] == [10_050.0]
    assert ledger.last_worth("paper", "risk1", DAY) is None
    later = ledger.last_worth("paper", "risk1", DAY + dt.timedelta(days=1))
    assert later is not None and later.equity == 10_050.0


def test_a_worth_that_is_corrected_back_counts_again(ledger: Ledger) -> None:
    for equity in (10_100.0, 10_050.0, 10_100.0):
        assert ledger.record_worth(a_worth(equity))
        assert not ledger.record_worth(a_worth(equity))
        assert [w.equity for w in ledger.worth("paper")] == [equity]


def test_positions_of_a_session_are_corrected_by_further_rows(ledger: Ledger) -> None:
    one, two = a_position(an_intent()), a_position(an_intent(5, -1, "BBB"), 99.0)
    ledger.record_worth(a_worth(), [one, two])
    assert ledger.positions("paper", DAY) == [one, two]
    assert (one.unrealised, one.exposure) == pytest.approx((9.0, 1010.0))  # 10 * (101.0 - 100.1), 10 * 101.0
    assert (two.unrealised, two.exposure) == pytest.approx((11.0, 990.0))  # short 10 * (100.1 - 99.0)
    assert not ledger.record_worth(a_worth(), [one, two]) and ledger.heads()["positions"][0] == 2
    ledger.record_worth(a_worth(10_050.0), [replace(one, last_price=102.0)])
    assert ledger.positions("paper", DAY) == [replace(one, last_price=102.0)]
    assert ledger.positions("paper", DAY, "other") == [] and ledger.verify() == []
    with pytest.raises(LedgerError, match="is of paper/risk1"):
        ledger.record_worth(replace(a_worth(), variant="other"), [one])


def test_open_positions_are_entries_less_exits_at_their_average_price(ledger: Ledger) -> None:
    intent = an_intent()
    ledger.record_intents([intent])
    for number, leg, qty, price in (
        (1, "entry", 0.1, 100.0), (2, "entry", 0.2, 103.0), (3, "exit", 0.1, 110.0), (4, "exit", 0.2, 90.0),
    ):  # fmt: skip
        ledger.record_fill(replace(a_fill(intent, number, leg), qty=qty, price=price))
        held = ledger.open_positions("paper", "risk1")
        if number == 3:  # 0.3 at 102 on average, a third of it closed
            assert [(p.qty, p.price, p.at) for p in held] == [(0.2, 102.0, OPEN)]
    assert held == []  # 0.1 + 0.2 - 0.1 - 0.2 is nothing, whatever floats make of it


def test_a_risk_event_with_a_key_is_recorded_once(ledger: Ledger) -> None:
    event = RiskEvent(OPEN, "paper", "risk1", "orphan_position", "error", "AAA", {"qty": 5.0}, DAY, "k1")
    assert ledger.record_risk_event(event) and not ledger.record_risk_event(event)
    assert ledger.risk_events("paper", "orphan_position", DAY) == [event]


def test_the_database_itself_refuses_a_second_intent_of_the_same_key(ledger: Ledger) -> None:
    ledger.record_intents([an_intent()])
    with ledger._engine.begin() as c:
        row = dict(c.execute(METADATA.tables["order_intents"].select()).mappings().one())
    with pytest.raises(IntegrityError, match=r"idempotency_key|append only"), ledger._engine.begin() as c:
        c.execute(METADATA.tables["order_intents"].insert(), [row | {"id": 2, "order_ref": "another"}])
    assert len(ledger.intents(None, "paper")) == 1


def test_no_row_of_any_table_can_be_changed_or_removed(ledger: Ledger) -> None:
    fill_every_table(ledger)
    for table in METADATA.tables:
        statements = [f"UPDATE {table} SET recorded_at = recorded_at", f"DELETE FROM {table}"]
        statements += [f"TRUNCATE {table}"] if ledger._engine.dialect.name == "postgresql" else []
        for statement in statements:
            with pytest.raises(DBAPIError, match="append only"), ledger._engine.begin() as connection:
                connection.execute(text(statement))
    assert ledger.verify() == []


def test_hashes_do_not_depend_on_the_database(ledger: Ledger) -> None:
    fill_every_table(ledger)
    ids_and_hashes = ledger.heads()
    assert ids_and_hashes["portfolio_worth"] == (
        1, "c92179a9b7694bc126443ec3898bd06492a67ea743a53266abcf4f66bbea2b3f"
    )  # fmt: skip
    assert ids_and_hashes["order_events"] == (4, "580e7487ea88cc27023537b3092e513c24618ce7ed48c5a7302be221bf1de3da")


def test_a_password_never_shows() -> None:
    with pytest.raises(LedgerUnavailable) as caught:
        Ledger("postgresql+psycopg2://user:s3cret@127.0.0.1:1/none")
    assert "s3cret" not in str(caught.value) and "***" in str(caught.value)
    assert "s3cret" not in repr(caught.value.__cause__)


def test_a_url_of_something_else_is_refused() -> None:
    for url, says in (("mysql://h/d", "sqlite or postgresql"), ("nonsense", "cannot be read")):
        with pytest.raises(ConfigError, match=says):
            Ledger(url)


def test_intents_of_all_accounts_since_a_session_with_their_state(ledger: Ledger) -> None:
    before, on_the_day = an_intent(0), an_intent(5)
    later = replace(an_intent(10), account="other", session=DAY + dt.timedelta(days=1))
    ledger.record_intents([replace(before, session=DAY - dt.timedelta(days=1)), on_the_day, later])
    ledger.record_event(later, OrderState.SUBMITTING, at=OPEN)
    assert ledger.states_since(DAY) == [(on_the_day, OrderState.INTENDED), (later, OrderState.SUBMITTING)]
    assert ledger.states_since(DAY + dt.timedelta(days=2)) == []


def test_open_orders_are_the_same_however_often_they_were_looked_at(ledger: Ledger, ledger_url: str) -> None:
    """One ledger is asked after every step and leaves out what it knows to have ended; another is opened for each look."""
    intents = [an_intent(minute) for minute in range(6)]
    steps: list[tuple[int, OrderState | None]] = [
        (0, None), (1, None), (0, OrderState.SUBMITTING), (1, OrderState.SUBMITTING), (1, OrderState.FILLED),
        (2, None), (2, OrderState.SUBMITTING), (0, OrderState.UNKNOWN), (3, None), (3, OrderState.REJECTED),
        (0, OrderState.CANCELLED), (4, None), (2, OrderState.PARTIALLY_FILLED), (2, OrderState.FILLED),
        (4, OrderState.SUBMITTING), (4, OrderState.EXPIRED), (5, None), (5, OrderState.SUBMITTING),
    ]  # fmt: skip
    seen = []
    for number, state in steps:
        if state is None:
            ledger.record_intents([intents[number]])
        else:
            ledger.record_event(intents[number], state, at=OPEN)
        fresh = Ledger(ledger_url)
        seen.append([intents.index(intent) for intent, _ in ledger.open_intents()])
        assert ledger.open_intents() == fresh.open_intents()
        assert ledger.open_intents("nobody") == []
        fresh.close()
    assert seen[3:5] == [[0, 1], [0]] and seen[7] == [0, 2] and seen[11] == [2] and seen[-1] == [5]
