"""Routers killed hundreds of times against a broker process with a bad connection: no order twice, no fill lost, no position
without its stop for longer than one reconcile interval.
"""

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resources.brokers.simulated import SimulatedBroker
from resources.ledger import Ledger
from trading.orders import OrderState

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).with_name("crash_program.py")
INTERVAL = 900.0
# seed, most side effects between two kills, kills, does the broker lose stops
TRIALS = [(11, 80, 130, False), (12, 80, 130, False), (21, 80, 130, True), (23, 80, 130, True)]


@contextmanager
def crash_program() -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{PROGRAM.parent}"}
    with subprocess.Popen(
        [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        cwd=ROOT, env=environment,
    ) as program:  # fmt: skip
        yield program
        assert program.stdin is not None
        program.stdin.close()
        assert program.wait(60) == 0


def run(program: subprocess.Popen[str], folder: Path, seed: int, most: int, kills: int, lossy: bool) -> Counter[str]:
    """One trial and everything that must be true after it; what happened, counted."""
    assert program.stdin is not None and program.stdout is not None
    order = {"folder": str(folder), "seed": seed, "most": most, "kills": kills, "lossy": lossy}
    program.stdin.write(json.dumps(order) + "\n")
    program.stdin.flush()
    counts = Counter(json.loads(program.stdout.readline()))
    seen = Counter[str]()
    longest = 0.0
    for line in (folder / "journal.jsonl").read_text().splitlines():
        what, value = json.loads(line)
        seen[what] += value if what == "placed" else 1
        if what == "without_stop":
            longest = max(longest, value)
    points = Counter((folder / "kills").read_text().splitlines())
    assert points.total() == counts["router"]

    ledger, broker = Ledger(f"sqlite:///{folder / 'ledger.db'}"), SimulatedBroker(folder / "broker.db")
    # no order twice: the broker was never asked to place one that it had taken
    assert seen["placed_again"] == 0
    intents = ledger.intents(None, "paper")
    placed = [i for i in intents if broker.find(i.order_ref) is not None]
    assert seen["placed"] == len(placed) > 10
    # no fill lost, none invented: the ledger has the broker's executions, each once, and no exit before its entry
    executions, fills = broker.executions("paper"), ledger.fills("paper")
    assert len(fills) == len(executions) > 20
    assert {(f.execution_id, f.order_ref, f.leg, f.qty, f.price, f.fee) for f in fills} == {
        (e.execution_id, e.order_ref, e.leg, e.qty, e.price, e.fee) for e in executions
    }
    for ref in {fill.order_ref for fill in fills}:
        held = [(1 if fill.leg == "entry" else -1) * fill.qty for fill in fills if fill.order_ref == ref]
        assert all(sum(held[: n + 1]) >= 0 for n in range(len(held)))
    # no position without its stop for longer than one interval, in the market's time
    assert longest <= INTERVAL and bool(seen["exits_lost"]) == lossy
    assert all(order.protected for order in broker.open_orders("paper") if order.filled_qty)
    # every order has one fate, the broker's; only those of after the second session are open
    for intent in intents:
        state, order = ledger.state_of(intent.idempotency_key), broker.find(intent.order_ref)
        expected = {None: "rejected", "working": "acknowledged"}.get(order and order.status, order and order.status)
        assert state == expected, (intent.order_ref, state, order)
        assert state is not OrderState.UNKNOWN
    kinds = Counter(event.kind for event in ledger.risk_events("paper") if event.severity == "error")
    assert kinds.keys() <= ({"missing_exit"} if lossy else set())
    assert ledger.verify() == []
    ledger.close()
    broker.close()
    return counts + seen + points


def trades(folder: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(folder / "broker.db") as db:
        return db.execute(
            "SELECT order_ref, leg, at, price, qty FROM events WHERE kind = 'fill' ORDER BY seq"
        ).fetchall()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_kill_doubles_an_order_loses_a_fill_or_leaves_a_position_bare(tmp_path: Path) -> None:
    total = Counter[str]()
    with crash_program() as program:
        for seed, most, kills, lossy in TRIALS:
            folder = tmp_path / str(seed)
            folder.mkdir()
            total += run(program, folder, seed, most, kills, lossy)
    print(dict(total))
    assert total["router"] >= 500 and total["broker"] >= 5
    for point in ("place_bracket", "advance", "events", "executions", "open_orders", "commit", "protect"):
        assert total[f"before {point}"] + total[f"after {point}"] > 0, point
    assert min(total[name] for name in ("dropped_before", "dropped_after", "delayed", "exits_lost")) >= 3
    # kills or not, the market gave the same trades wherever no stop was lost
    assert trades(tmp_path / "11") == trades(tmp_path / "12") != []
