import datetime as dt
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from resources.ledger import (
    Approval,
    Fill,
    Ledger,
    LedgerConflict,
    LedgerError,
    LedgerUnavailable,
    RiskEvent,
    Worth,
)
from resources.ledger.schema import METADATA
from trading.errors import ConfigError
from trading.orders import IllegalTransition, Lineage, OrderIntent, OrderState, idempotency_key

DAY = dt.date(2024, 3, 1)
OPEN = dt.datetime(2024, 3, 1, 14, 30, tzinfo=dt.UTC)
CLOSE = dt.datetime(2024, 3, 1, 21, 0, tzinfo=dt.UTC)


def an_intent(minute: int = 0, side: int = 1, symbol: str = "AAA", variant: str = "risk1") -> OrderIntent:
    setup = OPEN + dt.timedelta(minutes=minute)
    key = idempotency_key("paper", variant, "v1", symbol, setup, side)
    return OrderIntent(
        idempotency_key=key, order_ref=key[:16], oco_id=f"oco-{symbol}-{minute}-{variant}", account="paper",
        variant=variant, strategy_version="v1", symbol=symbol, side=side, qty=10.0, entry=100.1, stop=100.1 - side,
        target=None, setup_time=setup, session=DAY, valid_sessions=0, valid_from=setup + dt.timedelta(minutes=5),
        valid_to=CLOSE, lineage=Lineage({"signals": "abc"}, "1.0", "cfg", "d1"),
    )  # fmt: skip


def a_fill(intent: OrderIntent, number: int = 1, leg: str = "entry", realised: float = -0.1) -> Fill:
    return Fill(
        execution_id=f"x{number}", account="paper", variant=intent.variant, session=DAY,
        idempotency_key=intent.idempotency_key, order_ref=intent.order_ref, symbol=intent.symbol, leg=leg,
        side=intent.side, qty=10.0, price=100.1 + number, fee=0.1, realised=realised, reason=leg, at=OPEN,
        broker_seq=number,
    )  # fmt: skip


def a_worth(equity: float = 10_100.0) -> Worth:
    return Worth("paper", "risk1", DAY, 10_000.0, equity, 0.0, equity, equity - 10_000, 3, equity, 0.0, CLOSE)


def fill_every_table(ledger: Ledger) -> OrderIntent:
    intent = an_intent()
    ledger.record_intents([intent])
    for state in (OrderState.SUBMITTING, OrderState.ACKNOWLEDGED, OrderState.FILLED):
        ledger.record_event(intent, state, at=OPEN, payload={"figure": 0.1})
    ledger.record_fill(a_fill(intent))
    ledger.record_fill(a_fill(intent, 2, "exit", 5.0))
    for kind in ("one", "two", "three"):
        ledger.record_risk_event(RiskEvent(OPEN, "paper", "risk1", kind, "error", "detail", {"x": 1.5}, DAY))
        ledger.engage(f"account:{kind}", "why", "breaker", OPEN, breach_id=kind)
        ledger.record_decision(a_decision(kind), OPEN)
        ledger.record_approval(Approval("risk1", "v1", kind, "Ada", "looks right", OPEN))
        ledger.record_backtest("risk1", "v1", DAY, "1m", kind, {"sharpe": 1.25})
    ledger.record_worth(a_worth())
    return intent


def a_decision(decision_id: str, to_stage: str = "lab", session: dt.date = DAY) -> dict[str, object]:
    return {
        "decision_id": decision_id, "variant": "risk1", "strategy_version": "v1", "from_stage": "experiment",
        "to_stage": to_stage, "session": session.isoformat(), "decided_by": "auto", "reason": "green",
        "gates": [{"name": "replay", "value": 0.1}],
    }  # fmt: skip


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


def test_a_risk_event_with_a_key_is_recorded_once(ledger: Ledger) -> None:
    event = RiskEvent(OPEN, "paper", "risk1", "orphan_position", "error", "AAA", {"qty": 5.0}, DAY, "k1")
    assert ledger.record_risk_event(event) and not ledger.record_risk_event(event)
    assert ledger.risk_events("paper", "orphan_position", DAY) == [event]


def test_no_row_of_any_table_can_be_changed_or_removed(ledger: Ledger) -> None:
    fill_every_table(ledger)
    for table in METADATA.tables:
        for statement in (f"UPDATE {table} SET recorded_at = recorded_at", f"DELETE FROM {table}"):
            with pytest.raises(DBAPIError, match="append only"), ledger._engine.begin() as connection:
                connection.execute(text(statement))
    assert ledger.verify() == []


@pytest.mark.parametrize("table", ["order_events", "kill_switch_events", "checkpoints"])
@pytest.mark.parametrize("harm", ["changed", "missing", "tail", "reordered"])
def test_verify_names_the_row_that_was_tampered_with(ledger_url: str, table: str, harm: str) -> None:
    ledger = Ledger(ledger_url)
    fill_every_table(ledger)
    tail = ledger.heads()[table][0]
    ledger.close()
    assert tail >= 2
    admin = create_engine(ledger_url)
    with admin.begin() as c:
        if c.dialect.name == "postgresql":
            c.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        else:
            for trigger in c.execute(
                text(f"SELECT name FROM sqlite_master WHERE type='trigger' AND tbl_name='{table}'")
            ):
                c.execute(text(f"DROP TRIGGER {trigger[0]}"))
        if harm == "changed":
            c.execute(text(f"UPDATE {table} SET recorded_at = '2020-01-01 00:00:00.000000' WHERE id = 1"))
        elif harm == "missing":
            c.execute(text(f"DELETE FROM {table} WHERE id = 1"))
        elif harm == "tail":
            c.execute(text(f"DELETE FROM {table} WHERE id = {tail}"))
        else:
            for old, new in ((1, -1), (2, 1), (-1, 2)):
                c.execute(text(f"UPDATE {table} SET id = {new} WHERE id = {old}"))
    admin.dispose()
    problems = Ledger(ledger_url).verify()
    if table == "checkpoints" and harm == "tail":
        assert problems == []  # what no row tells of only a head kept elsewhere can: Ledger.heads()
        return
    named = {(p.table, p.row, p.kind) for p in problems}
    expected = {"changed": (table, 1, "changed"), "missing": (table, 1, "missing"), "tail": (table, tail, "missing"),
                "reordered": (table, 1, "changed")}  # fmt: skip
    assert expected[harm] in named
    assert {p.table for p in problems} <= {table}


def test_hashes_do_not_depend_on_the_database(ledger: Ledger) -> None:
    fill_every_table(ledger)
    ids_and_hashes = ledger.heads()
    assert ids_and_hashes["portfolio_worth"] == (
        1, "c92179a9b7694bc126443ec3898bd06492a67ea743a53266abcf4f66bbea2b3f"
    )  # fmt: skip
    assert ids_and_hashes["order_events"] == (4, "580e7487ea88cc27023537b3092e513c24618ce7ed48c5a7302be221bf1de3da")


def test_processes_that_write_at_once_make_one_unbroken_chain(ledger: Ledger, ledger_url: str) -> None:
    program = Path(__file__).with_name("appender.py")
    workers = [subprocess.Popen([sys.executable, program, ledger_url, f"S{n}", "15"]) for n in range(3)]
    try:
        assert [worker.wait(120) for worker in workers] == [0, 0, 0]
    finally:
        for worker in workers:
            worker.kill()
    assert ledger.verify() == []
    assert len(ledger.intents(None, "paper")) == 3 * 15 + 15


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
