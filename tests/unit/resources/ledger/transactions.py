"""Program: transactions of one intent, its events and a fill, without end. Arguments: ledger URL, `between` or `within`.

Says a line per transaction: after its commit, or with `within` before it, and then waits inside of it for ever.
"""

import dataclasses
import sys
import time

from harness.ledger_records import OPEN, a_fill, an_intent

from resources.ledger import Ledger
from trading.orders import OrderState

STATES = (OrderState.SUBMITTING, OrderState.ACKNOWLEDGED, OrderState.FILLED)

if __name__ == "__main__":
    url, where = sys.argv[1:]
    ledger = Ledger(url)
    number = len(ledger.intents(None, "paper"))
    while True:
        number += 1
        with ledger.write() as w:
            intent = an_intent(number)
            w.record_intents([intent])
            for state in STATES:
                w.record_event(intent, state, at=OPEN)
            w.record_fill(dataclasses.replace(a_fill(intent), execution_id=f"x{number}"))
            if where == "within":
                print(number, flush=True)
                time.sleep(60)
        print(number, flush=True)
