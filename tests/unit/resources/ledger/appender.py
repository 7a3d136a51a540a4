"""Program: appends intents of its own and shared ones. Arguments: ledger URL, worker's name, count."""

import datetime as dt
import sys

from resources.ledger import Ledger
from trading.orders import OrderIntent, idempotency_key


def an_intent(symbol: str, minute: int) -> OrderIntent:
    setup = dt.datetime(2024, 3, 1, 14, 30, tzinfo=dt.UTC) + dt.timedelta(minutes=minute)
    key = idempotency_key("paper", "risk1", "v1", symbol, setup, 1)
    return OrderIntent(
        idempotency_key=key, order_ref=key[:16], oco_id=key[:16], account="paper", variant="risk1",
        strategy_version="v1", symbol=symbol, side=1, qty=1.0, entry=10.0, stop=9.0, target=None, setup_time=setup,
        session=setup.date(), valid_sessions=0, valid_from=setup, valid_to=setup,
    )  # fmt: skip


if __name__ == "__main__":
    url, name, count = sys.argv[1:]
    ledger = Ledger(url)
    for i in range(int(count)):
        ledger.record_intents([an_intent(name, i), an_intent("SHARED", i)])
    ledger.close()
