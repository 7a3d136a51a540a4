"""The table of the kill switch, in Markdown."""

from collections.abc import Sequence
from statistics import median

from benchmarks.orders.kill import Stopped

LIMIT_MS = 250.0
_PARTS = (
    ("the bar is played and its fill durable at the broker (before the clock runs)", "fill_ms"),
    ("fill booked, breach found, switch engaged: one commit of the ledger", "record_ms"),
    ("the last cancellation acknowledged, durable at the broker", "cancel_ms"),
    ("the broker shows that none is open (after the clock has stopped)", "verify_ms"),
)


def as_markdown(about: str, orders: int, found: Sequence[Stopped], middle: float) -> str:
    """Median and worst of each part, and of the whole against its limit."""
    lines = [about, "", "| part | median | worst |", "|---|---|---|"]
    for says, name in _PARTS:
        values = [getattr(one, name) for one in found]
        lines.append(f"| {says} | {median(values):.1f} ms | {max(values):.1f} ms |")
    worst = max(one.total_ms for one in found)
    met = "met" if worst < LIMIT_MS else "**not met**"
    lines.append(
        f"| from the breaching fill to the last of {orders} cancellations, limit {LIMIT_MS:g} ms: {met}, n={len(found)} | "
        f"{middle:.1f} ms | {worst:.1f} ms |"
    )
    return "\n".join(lines)
