"""Clocks: the machine's, and one that stands still."""

import datetime as dt
from dataclasses import dataclass


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class FixedClock:
    """A clock that always shows ``at``: for tests and for recomputing what was decided at a given instant.

    Raises:
        ValueError: if ``at`` has no time zone.
    """

    at: dt.datetime

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(
                f"FixedClock needs a time with a time zone, got {self.at.isoformat()}; e.g. add tzinfo=UTC"
            )
        object.__setattr__(self, "at", self.at.astimezone(dt.UTC))

    def now(self) -> dt.datetime:
        return self.at
