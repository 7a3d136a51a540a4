"""How often and how long a call is tried again."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0


@dataclass(frozen=True, slots=True)
class Patience:
    """At most ``attempts``, none begun later than ``seconds`` after the first."""

    attempts: int
    seconds: float

    def tries(self) -> Iterator[int]:
        """Numbers from 0, one for each attempt; sleeps ever longer between two, by chance so that writers part."""
        stop = time.monotonic() + self.seconds
        for number in range(self.attempts):
            if number:
                pause = min(_FIRST_PAUSE * 2.0 ** (number - 1), _LONGEST_PAUSE) * random.uniform(0.5, 1.0)
                if time.monotonic() + pause > stop:
                    return
                time.sleep(pause)
            yield number
