"""How far a source's requests are, and how long they will take, in the log."""

import time
from typing import TYPE_CHECKING

from trading.ports.sources import FetchProgress

if TYPE_CHECKING:
    from dagster import DagsterLogManager

_SECONDS_BETWEEN = 2.0


def fetch_progress(log: "DagsterLogManager", universe: str) -> FetchProgress:
    """A line at most every two seconds."""
    started = said = time.monotonic()

    def report(done: int, total: int, what: str) -> None:
        nonlocal said
        now = time.monotonic()
        if 0 < done < total and now - said > _SECONDS_BETWEEN:
            said = now
            left = (now - started) / done * (total - done)
            log.info(f"{universe}: {done} of {total} fetched, {what}, about {left:.0f} s left")

    return report
