"""No more requests for historical data than Interactive Brokers allows.

The limits are those of https://interactivebrokers.github.io/tws-api/historical_limitations.html.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from functools import cache

_log = logging.getLogger(__name__)

_MARGIN = 0.5  # on the way to TWS two requests may come closer together, seconds
_IDENTICAL = 15.0 + _MARGIN
_SERIES_WINDOW = 2.0 + _MARGIN
_PER_SERIES = 5  # the sixth within the window is one too many
_WINDOW = 600.0 + _MARGIN
_SHOWN_FROM = 2.0


class HistoricalPace:
    """Turns within the limits, in the order in which they were asked for, for any number of threads.

    Args:
        per_ten_minutes: requests of weight 1.
        sleep, monotonic: seconds; the machine's own unless a test brings others.
    """

    def __init__(
        self,
        per_ten_minutes: int = 60,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = per_ten_minutes
        self._sleep = sleep
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._turns: deque[tuple[float, int]] = deque()
        self._identical: dict[Hashable, float] = {}
        self._series: dict[Hashable, deque[float]] = {}

    def wait(self, series: Hashable, request: Hashable, weight: int = 1) -> None:
        """Return when it is the caller's turn.

        Args:
            series: contract, exchange and kind of data.
            request: all that makes a request identical to another one.
            weight: as how many requests it counts; at most ``per_ten_minutes``.
        """
        with self._lock:
            now = self._monotonic()
            turn = self._turn(now, series, request, weight)
            self._turns.append((turn, weight))
            self._identical[request] = turn
            self._series.setdefault(series, deque(maxlen=_PER_SERIES)).append(turn)
        if turn > now:
            if turn - now >= _SHOWN_FROM:
                _log.info("ibkr: the next request waits %.0f s for the limits of historical data", turn - now)
            self._sleep(turn - now)

    def _turn(self, now: float, series: Hashable, request: Hashable, weight: int) -> float:
        turn = max(now, self._turns[-1][0]) if self._turns else now
        turn = max(turn, self._identical.get(request, float("-inf")) + _IDENTICAL)
        before = self._series.get(series)
        if before is not None and len(before) == _PER_SERIES:
            turn = max(turn, before[0] + _SERIES_WINDOW)
        while self._turns and self._turns[0][0] + _WINDOW <= now:
            self._turns.popleft()
        self._identical = {key: at for key, at in self._identical.items() if at + _IDENTICAL > now}
        self._series = {key: times for key, times in self._series.items() if times[-1] + _SERIES_WINDOW > now}
        limiting = [(at + _WINDOW, each) for at, each in self._turns if at + _WINDOW > turn]
        counted = sum(each for _, each in limiting)
        for freed_at, freed in limiting:
            if counted + weight <= self._most:
                break
            turn, counted = freed_at, counted - freed
        return turn


@cache
def historical_pace(login: str, per_ten_minutes: int) -> HistoricalPace:  # noqa: ARG001 - the cache goes by it
    """The process's one pace for ``login``: where its TWS or IB Gateway listens."""
    return HistoricalPace(per_ten_minutes)
