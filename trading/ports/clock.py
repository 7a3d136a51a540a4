"""What the platform asks of a clock."""

import datetime as dt
from typing import Protocol


class Clock(Protocol):
    """A source of the current time; the domain itself never reads one, it is handed the time."""

    def now(self) -> dt.datetime:
        """The current instant, timezone-aware, in UTC."""
        ...
