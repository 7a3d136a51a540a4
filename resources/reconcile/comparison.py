"""What the broker holds against what the ledger says it should."""

import datetime as dt
from collections.abc import Sequence

from resources.ledger import Ledger, RiskEvent
from trading.orders.differences import Difference, compare
from trading.ports.broker import Broker


def reconcile(account: str, ledger: Ledger, broker: Broker) -> list[Difference]:
    """Every difference, in a fixed order; reads only. The ledger must have taken in the broker's executions before."""
    positions = broker.positions(account)
    return compare(
        positions,
        broker.open_orders(account),
        ledger.open_positions(account),
        ledger.open_intents(account),
        ledger.intents_by_ref([position.order_ref for position in positions]),
    )


def risk_events(account: str, session: dt.date, at: dt.datetime, differences: Sequence[Difference]) -> list[RiskEvent]:
    """The differences as risk events of severity error, each recorded once a session."""
    return [
        RiskEvent(
            at=at,
            account=account,
            variant=d.variant,
            kind=d.kind,
            severity="error",
            detail=d.says,
            figures={**d.figures, "order_ref": d.order_ref, "symbol": d.symbol},
            session=session,
            dedupe_key=f"reconcile:{account}:{session}:{d.kind}:{d.order_ref}",
        )
        for d in differences
    ]
