"""From an intent that the ledger has to its order's bytes at TWS: over TCP on loopback, the server in this process."""

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from resources.ledger import Ledger
from trading.orders import OrderIntent

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

API_MESSAGES_PER_SECOND = 45
LEGS = 3


def send_each(folder: Path, brackets: int, pace: float) -> list[float]:
    """Milliseconds from each commit to the entry's bytes read at the server.

    Args:
        brackets: each of three legs.
        pace: seconds from one commit to the next; 0 = all are committed at once, and then sent.
    """
    from harness.ibkr_gateway import DAY, gateway, intent

    folder.mkdir(parents=True)
    ledger = Ledger(f"sqlite:///{folder}/ledger.db")
    took: list[float] = []
    with gateway(folder) as tws:
        broker = tws.broker()
        broker.place_bracket([intent(1, 10_000)])  # the contract is found out before the day begins
        time.sleep(1.1)
        wished = [intent(1, number, session=DAY) for number in range(brackets)]
        committed = _commit(ledger, wished) if not pace else 0.0
        for one in wished:
            begun = time.perf_counter()
            at = _commit(ledger, [one]) if pace else committed
            first = len(tws.desk.placed_at)
            broker.place_bracket([one])
            took.append((tws.desk.placed_at[first] - at) * 1000)
            time.sleep(max(0.0, begun + pace - time.perf_counter()))
    ledger.close()
    return took


def p99(values: Sequence[float]) -> float:
    """The value that 99 % do not exceed."""
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]


def _commit(ledger: Ledger, intents: Sequence[OrderIntent]) -> float:
    ledger.record_intents(list(intents))
    return time.perf_counter()


def as_markdown(paced: Sequence[float], at_once: Sequence[float]) -> str:
    """Both ways against the limit."""
    floor = max(0.0, len(at_once) * LEGS / API_MESSAGES_PER_SECOND - 1)
    rows = [
        f"| {len(paced)} brackets of three orders to Interactive Brokers, from commit to the entry's bytes "
        "| median | p99 | worst |",
        "|---|---|---|---|",
    ]
    for says, values in (
        (
            "each committed when the API's rate lets it go, limit 50 ms: "
            + ("met" if p99(paced) < 50 else "**not met**"),
            paced,
        ),
        (f"all committed at once; the API's rate alone makes the last one wait {floor:.1f} s or more", at_once),
    ):
        ordered = sorted(values)
        rows.append(f"| {says} | {ordered[len(ordered) // 2]:.1f} ms | {p99(values):.1f} ms | {ordered[-1]:.1f} ms |")
    return "\n".join(rows)


def measure(folder: Path, brackets: int) -> str:
    """The table."""
    pace = LEGS / (API_MESSAGES_PER_SECOND - 5)
    return as_markdown(send_each(folder / "paced", brackets, pace), send_each(folder / "at_once", brackets, 0.0))
