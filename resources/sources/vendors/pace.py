"""No more requests a minute than a vendor allows, over all that this process asks it."""

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import cache

_MINUTE = 60.0


class Pace:
    """At most ``per_minute`` turns within any 60 seconds, for any number of threads.

    ``sleep`` and ``monotonic`` (seconds) are the machine's own unless a test brings others.
    """

    def __init__(
        self,
        per_minute: int,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._turns: deque[float] = deque(maxlen=per_minute)
        self._sleep = sleep
        self._monotonic = monotonic
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when it is the caller's turn."""
        with self._lock:
            now = self._monotonic()
            is_full = len(self._turns) == self._turns.maxlen
            turn = max(now, self._turns[0] + _MINUTE) if is_full else now
            self._turns.append(turn)
        if turn > now:
            self._sleep(turn - now)


@cache
def pace_of(account: str, per_minute: int) -> Pace:  # noqa: ARG001 - the cache goes by it
    """The process's one pace for ``account``, a vendor and where it is reached; never a key."""
    return Pace(per_minute)
