"""What trading rests on, measured now: does the broker answer, do ledger and lake take a write, is the clock right."""

import time
from collections.abc import Callable
from uuid import uuid4

from resources.lake import Lake
from resources.ledger import Ledger
from resources.ledger.errors import LedgerError
from trading.errors import TradingError
from trading.ports.broker import Broker, BrokerError
from trading.risk.pauses import Health

_FRESH_SECONDS = 5.0


class HealthProbe:
    """Measures at most once in five seconds; between, the last answer holds.

    Args:
        monotonic: a clock that never goes back, seconds.
    """

    def __init__(
        self, ledger: Ledger, lake: Lake, broker: Broker, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._ledger, self._lake, self._broker, self._monotonic = ledger, lake, broker, monotonic
        self._answered = monotonic()
        self._measured: tuple[float, Health] | None = None

    def __call__(self) -> Health:
        now = self._monotonic()
        if self._measured is None or now - self._measured[0] >= _FRESH_SECONDS:
            self._measured = now, self._measure(now)
        return self._measured[1]

    def _measure(self, now: float) -> Health:
        try:
            self._broker.connect()
            self._answered = now
        except BrokerError:
            pass
        writable, skew = True, 0.0
        try:
            skew = self._ledger.clock_skew_seconds()
        except LedgerError:
            writable = False
        return Health(
            broker_silent_seconds=now - self._answered,
            ledger_writable=writable,
            lake_writable=self._lake_takes_a_write(),
            clock_skew_seconds=skew,
        )

    def _lake_takes_a_write(self) -> bool:
        """A branch of its own, made and removed: nothing is left of it."""
        name = f"health-{uuid4().hex[:12]}"
        try:
            self._lake.create_branch(name, "main")
            self._lake.delete_branch(name)
        except (TradingError, OSError):
            return False
        return True
