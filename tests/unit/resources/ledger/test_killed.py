"""kill -9 while a process writes: every transaction is there whole or not at all."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resources.ledger import Ledger
from trading.orders import OrderState

PROGRAM = Path(__file__).with_name("transactions.py")
HARNESS = Path(__file__).parents[3]


def killed(url: str, where: str, lines: int, after: float = 0.0) -> int:
    """Let the program say so many lines and run a little on, then kill it; the last number that it said."""
    program = subprocess.Popen(
        [sys.executable, PROGRAM, url, where],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HARNESS)},
    )
    assert program.stdout is not None
    try:
        said = [program.stdout.readline() for _ in range(lines)]
        time.sleep(after)
    finally:
        program.send_signal(signal.SIGKILL)
        program.wait(20)
    said += program.stdout.readlines()
    program.stdout.close()
    return int(said[-1])


@pytest.mark.timeout(120)
def test_a_killed_writer_leaves_whole_transactions_only(ledger_url: str) -> None:
    committed = killed(ledger_url, "between", 20, 0.013)
    ledger = Ledger(ledger_url)
    written = ledger.intents(None, "paper")
    assert len(written) in (committed, committed + 1)  # the last one may be in before it could be said
    begun = killed(ledger_url, "within", 1)
    assert begun == len(written) + 1
    assert ledger.intents(None, "paper") == written
    assert len(ledger.fills("paper")) == len(written)
    for intent in written:
        assert [event.state for event in ledger.events(intent.idempotency_key)] == [
            OrderState.INTENDED, OrderState.SUBMITTING, OrderState.ACKNOWLEDGED, OrderState.FILLED,
        ]  # fmt: skip
    assert ledger.verify() == []
    assert ledger.engage("global", "the lock of the dead is free", "Ada", written[0].setup_time)
    ledger.close()
