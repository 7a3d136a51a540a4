"""Records of every kind, the same each time."""

import datetime as dt

from resources.ledger import Approval, Fill, Ledger, Position, RiskEvent, Worth
from trading.orders import Lineage, OrderIntent, OrderState, idempotency_key

NOW = dt.datetime(2024, 3, 1, 21, 0, tzinfo=dt.UTC)
"""When these are recorded, where a test says so."""

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


def a_position(intent: OrderIntent, last_price: float = 101.0) -> Position:
    return Position(
        "paper", intent.variant, DAY, intent.order_ref, intent.symbol, intent.side, 10.0, 100.1, last_price, CLOSE
    )


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
    ledger.record_worth(a_worth(), [a_position(intent)])
    return intent


def a_decision(decision_id: str, to_stage: str = "lab", session: dt.date = DAY) -> dict[str, object]:
    return {
        "decision_id": decision_id, "variant": "risk1", "strategy_version": "v1", "from_stage": "experiment",
        "to_stage": to_stage, "session": session.isoformat(), "decided_by": "auto", "reason": "green",
        "gates": [{"name": "replay", "value": 0.1}],
    }  # fmt: skip
