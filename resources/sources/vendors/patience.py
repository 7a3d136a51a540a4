"""A request that is tried again until it has a usable answer or our patience is over."""

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from trading.ports.sources import SourceDown

if TYPE_CHECKING:
    from tenacity import RetryCallState

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class Again(Exception):
    """No usable answer this time. ``wait`` is what the vendor asks for, seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Patience:
    """How long a request is tried, in seconds; pauses grow from ``first`` twofold up to ``longest``, with jitter.

    A vendor that says how long to wait (Retry-After) is waited for, unless that is more than what is left.
    """

    attempts: int = 8
    seconds: float = 120.0
    first: float = 1.0
    longest: float = 30.0
    connect: float = 10.0
    read: float = 30.0

    def keep_asking(
        self, ask: Callable[[], _Answer], vendor: str, asked: str, sleep: Callable[[float], None] = time.sleep
    ) -> _Answer:
        """What ``ask`` returns once it does not raise :class:`Again`.

        Args:
            vendor: as messages name it.
            asked: what is asked for, for a person, e.g. ``AAPL 2024-01-02 to 2024-03-01``.
            sleep: seconds; the machine's own unless a test brings another.

        Raises:
            SourceDown: no usable answer within this patience.
        """
        from tenacity import Retrying, retry_if_exception_type

        def is_over(state: "RetryCallState") -> bool:
            spent = max(state.seconds_since_start or 0.0, state.idle_for)
            if state.attempt_number >= self.attempts or spent + state.upcoming_sleep > self.seconds:
                return True
            _log.warning("%s: %s: %s; asked again in %.0f s", vendor, asked, _why(state), state.upcoming_sleep)
            return False

        tries = Retrying(
            stop=is_over, wait=self._pause, sleep=sleep, retry=retry_if_exception_type(Again), reraise=True
        )
        try:
            return tries(ask)
        except Again as error:
            reason = str(error)
            if error.wait is not None:
                reason += f", come back in {error.wait:.0f} s"
        spent = tries.statistics
        raise SourceDown(
            f"{vendor} does not deliver {asked}: {reason}; tried {spent['attempt_number']} times within "
            f"{max(spent['delay_since_first_attempt'], spent['idle_for']):.0f} s. What has arrived stays, and the next "
            f"run goes on from there; see whether {vendor} reports an outage"
        )

    def _pause(self, state: "RetryCallState") -> float:
        why = _why(state)
        if isinstance(why, Again) and why.wait is not None:
            return why.wait
        pause = min(self.first * 2.0 ** (state.attempt_number - 1), self.longest)
        return pause * random.uniform(0.5, 1.0)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the vendor asks us to wait; a date counts from the answer's own date, not from our clock.

    ``headers`` are by lower-case name, or a mapping that does not mind.
    """
    given = headers.get("retry-after", "").strip()
    if given.isdigit():
        return float(given)
    try:
        until, now = parsedate_to_datetime(given), parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError):
        return None


def _why(state: "RetryCallState") -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
