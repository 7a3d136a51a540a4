"""What a source is opened with."""

import datetime as dt
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class SourceContext:
    """Surroundings of one universe's source.

    Attributes:
        home: relative paths of a configuration are below it.
        downloads: folder for what this universe's source downloads; made where missing.
        calendar: exchange_calendars name, or a window on one, see :func:`trading.sessions.get_calendar`.
        symbols: that the universe asks for; None takes all that the source has.
        clock: the time, UTC.
        env: where keys are looked up, by the names that the configuration gives.
    """

    home: Path
    downloads: Path
    calendar: str
    symbols: tuple[str, ...] | None
    clock: Callable[[], dt.datetime]
    env: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def path(self, given: Path) -> Path:
        """``given`` as it is where absolute, else below the home."""
        return given if given.is_absolute() else self.home / given
