"""What the lakeFS test server answers: lakeFS's REST operations on embedded stores.

Statuses and texts are those of a real server (v1.84), as far as a client may go by them. Known to differ:

==========================================  ==================================================================
a real server                               here
==========================================  ==================================================================
``main`` is protected once a rule says so   ``main`` is protected from the beginning; revert too is refused
tags may be called ``a.b`` or ``é``         tags are named like branches
an upload has an address of its own         equal content has one address
``meta_range_id`` of a commit               empty
a deleted repository answers for some time  it is gone at once
a merge of what was merged, allow_empty     NotServed: the store makes no second merge commit
==========================================  ==================================================================

NotServed is answered with 501 and fails the test, as a breach of the API description does.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from harness.lakefs_repository import NotServed, Refused, Repositories, Repository
from resources.lake import Contention, Forbidden, Gone, InvalidName

PREFIX = "/api/v1"
MAX_AMOUNT = 1000
NO_OPERATION = "invalid API endpoint"
_AMOUNT = 100
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """A request; ``body`` is a file where it is large."""

    repositories: Repositories
    names: Mapping[str, str]
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes | Path

    @property
    def repository(self) -> Repository:
        name = self.names["repository"]
        found = self.repositories.get(name)
        if found is None:
            if not re.fullmatch(r"[a-z0-9][a-z0-9-]{2,62}", name):
                raise Refused(400, "argument repository: repository id: invalid value: validation error")
            raise Refused(404, "repository not found")
        return found

    def __getitem__(self, name: str) -> str:
        """A part of the path."""
        return self.names[name]

    def get(self, name: str, default: str = "") -> str:
        """A parameter of the query."""
        return next((value for key, value in self.query if key == name), default)

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self.query)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean parameter, written as Go reads it."""
        text = self.get(name)
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        if text:
            raise Refused(400, f'parameter "{name}" in query has an error: value {text}: an invalid boolean')
        return default

    def required(self, name: str) -> str:
        if not self.has(name):
            raise Refused(400, f'parameter "{name}" in query has an error: value is required but missing')
        if not self.get(name):
            raise Refused(400, f'parameter "{name}" in query has an error: empty value is not allowed')
        return self.get(name)

    def json(self, *required: str) -> dict[str, Any]:
        try:
            parsed = json.loads(self.body if isinstance(self.body, bytes) else self.body.read_bytes())
        except ValueError as error:
            raise Refused(400, f"request body has an error: failed to decode request body: {error}") from None
        if not isinstance(parsed, dict):
            raise Refused(400, "request body has an error: doesn't match schema: value must be an object")
        for name in required:
            if name not in parsed:
                raise Refused(
                    400, f'request body has an error: doesn\'t match schema: Error at "/{name}": property is missing'
                )
        return parsed


@dataclass(frozen=True)
class Answer:
    """``content`` is JSON unless it is bytes, or a file of which ``part`` (start, stop) is sent."""

    status: int
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    part: tuple[int, int] = (0, 0)

    def encoded(self) -> "Answer":
        if self.content is None:
            return Answer(self.status, b"", self.headers)
        if isinstance(self.content, bytes | Path):
            return self
        headers = {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff", **self.headers}
        body = json.dumps(self.content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"
        return Answer(self.status, body, headers)


Operation = Callable[[Call], Answer]
_OPERATIONS: list[tuple[str, re.Pattern[str], Operation]] = []


def operation(method: str, path: str) -> Callable[[Operation], Operation]:
    """Register the answer to ``method`` on a path of the API description."""
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

    def register(function: Operation) -> Operation:
        _OPERATIONS.append((method, pattern, function))
        return function

    return register


def answer(
    repositories: Repositories, method: str, target: str, headers: Mapping[str, str], body: bytes | Path
) -> Answer:
    """Raises NotServed."""
    parts = urlsplit(target)
    query = parse_qsl(parts.query, keep_blank_values=True)
    path = parts.path.removeprefix(PREFIX)
    for offered, pattern, function in _OPERATIONS:
        match = pattern.fullmatch(path)
        if match and offered == method:
            names = {name: unquote(value) for name, value in match.groupdict().items()}
            return _guarded(function, Call(repositories, names, query, headers, body))
    return Answer(404, {"message": NO_OPERATION})


def _guarded(function: Operation, call: Call) -> Answer:
    try:
        if "repository" not in call.names:
            return function(call)
        with call.repository.lake.unsynced():  # a test server need not outlive a loss of power
            return function(call)
    except Refused as refused:
        return Answer(refused.status, {"message": refused.message})
    except InvalidName as invalid:
        return Answer(400, {"message": f"request body has an error: doesn't match schema: {invalid}"})
    except Forbidden:
        return Answer(403, {"message": "cannot write to protected branch"})
    except Gone:
        return Answer(410, {"message": "No data"})
    except Contention:
        return Answer(429, {"message": "Too many attempts, try again later"})


def amount(call: Call) -> int:
    """Size of a page as it is asked for."""
    text = call.get("amount", str(_AMOUNT))
    try:
        wanted = int(text)
    except ValueError:
        raise Refused(
            400, f'parameter "amount" in query has an error: value {text}: an invalid integer: invalid syntax'
        ) from None
    if wanted > MAX_AMOUNT:
        raise Refused(400, f'parameter "amount" in query has an error: number must be at most {MAX_AMOUNT}')
    if wanted < -1:
        raise Refused(400, 'parameter "amount" in query has an error: number must be at least -1')
    return wanted if wanted > 0 else _AMOUNT


def page(call: Call, items: Iterable[T], name: Callable[[T], str], record: Callable[[T], dict[str, Any]]) -> Answer:
    """The first items with ``pagination``; ``name`` of the last is where the next page goes on."""
    wanted = amount(call)
    taken = list(islice(items, wanted + 1))
    has_more, taken = len(taken) > wanted, taken[:wanted]
    return Answer(
        200,
        {
            "pagination": {
                "has_more": has_more,
                "max_per_page": MAX_AMOUNT,
                "next_offset": name(taken[-1]) if has_more else "",
                "results": len(taken),
            },
            "results": [record(item) for item in taken],
        },
    )


def refuse_unserved(given: Mapping[str, Any], *names: str) -> None:
    """Raises NotServed where a client uses an option that the test server does not have."""
    used = [name for name in names if given.get(name) and given[name] not in _FALSE]
    if used:
        raise NotServed(f"the test server does not have the option {', '.join(used)}")
