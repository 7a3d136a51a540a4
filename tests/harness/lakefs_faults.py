"""Faults that the lakeFS test server makes on purpose, and its log of requests."""

import re
import threading
from dataclasses import dataclass, field
from typing import Literal

Action = Literal["drop", "drop answer", "answer", "delay", "delay answer", "truncate", "reset"]


@dataclass(frozen=True)
class Fault:
    """What happens to some requests.

    Attributes:
        action: ``drop`` closes the connection before anything is done, ``drop answer`` after all was done;
            ``answer`` gives ``status`` and ``body`` instead of doing anything; ``delay`` and ``delay answer`` wait
            ``seconds`` before and after; ``truncate`` ends the answer after half of its body, ``reset`` breaks the
            connection there.
        method: "" for any.
        path: regular expression, searched in path and query as they came (percent-encoded).
        first: the first matching request that it strikes, from 1.
        times: how many it strikes from there on.
    """

    action: Action
    method: str = ""
    path: str = ""
    first: int = 1
    times: int = 1
    status: int = 503
    body: bytes = b'{"message":"out of order"}\n'
    seconds: float = 0.0

    def matches(self, method: str, target: str) -> bool:
        return self.method in ("", method) and re.search(self.path, target) is not None


@dataclass(frozen=True)
class Seen:
    """A request that arrived. ``status`` is what it was answered with, 0 for nothing; ``fault`` what struck it."""

    method: str
    target: str
    status: int
    fault: str = ""


@dataclass
class Faults:
    """Rules in order: of those that match a request the first one that is due strikes."""

    rules: list[Fault] = field(default_factory=list)
    requests: list[Seen] = field(default_factory=list)
    _matched: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> None:
        with self._lock:
            self.rules.append(fault)

    def clear(self) -> None:
        """Forget rules and requests."""
        with self._lock:
            self.rules.clear()
            self.requests.clear()
            self._matched.clear()

    def striking(self, method: str, target: str) -> Fault | None:
        struck: Fault | None = None
        with self._lock:
            for number, fault in enumerate(self.rules):
                if not fault.matches(method, target):
                    continue
                count = self._matched[number] = self._matched.get(number, 0) + 1
                if struck is None and fault.first <= count < fault.first + fault.times:
                    struck = fault
        return struck

    def record(self, seen: Seen) -> None:
        with self._lock:
            self.requests.append(seen)

    def count(self, method: str = "", path: str = "") -> int:
        """How many requests arrived, of a method and with a path that the regular expression is found in."""
        with self._lock:
            seen = list(self.requests)
        return sum(
            request.method in ("", method or request.method) and bool(re.search(path, request.target))
            for request in seen
        )
