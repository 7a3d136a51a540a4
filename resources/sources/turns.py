"""One at a time, the earliest session first."""

import datetime as dt
import threading
from bisect import insort
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock whose waiting threads go on in the order of their sessions.

    Sessions that are asked for ahead, by several threads, then reach the files in ascending order, and a block of sessions is
    not left for the next one and come back to.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[dt.date] = []
        self._taken = False

    @contextmanager
    def take(self, session: dt.date = dt.date.min) -> Iterator[None]:
        """Hold the turn; not again from inside. Without a session it comes before all that have one."""
        with self._changed:
            insort(self._waiting, session)
            try:
                self._changed.wait_for(lambda: not self._taken and self._waiting[0] == session)
                self._taken = True
            finally:
                self._waiting.remove(session)
                self._changed.notify_all()  # one that gave up must not keep the next from its turn
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()
