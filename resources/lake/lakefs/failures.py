"""What an answer of the server, or the lack of one, means: the one place where it becomes an error of the lake."""

import json
import ssl
from dataclasses import dataclass
from typing import Final, Literal

import urllib3.exceptions

from resources.lake.errors import (
    AlreadyExists,
    AuthError,
    Contention,
    DirtyBranch,
    Forbidden,
    Gone,
    HookRejected,
    InvalidName,
    LakeError,
    LakeUnavailable,
    MergeConflict,
    NoChanges,
    ObjectNotFound,
    PreconditionFailed,
    RefNotFound,
    Unsupported,
)
from resources.lake.lakefs.address import VARIABLES

Action = Literal[
    "put", "get", "stat", "list", "delete", "uncommitted", "discard",
    "commit", "merge", "revert", "rollback", "log", "diff", "merge base", "resolve",
    "create branch", "delete branch", "list branches", "create tag", "delete tag", "list tags",
]  # fmt: skip

_SHOWN = 300
_OF_OBJECTS: Final = frozenset({"get", "stat"})
_CREATING: Final = frozenset({"create branch", "create tag"})
_MERGING: Final = frozenset({"merge", "revert"})
_EXPLAINED: Final = frozenset({400, 404, 405})
_BUSY: Final = frozenset({420, 423, 429})
_NO_REF: Final = "ref: invalid value"
_LOST_RACES: Final = ("predicate failed", "currently locked", "too many tries")


@dataclass(frozen=True, slots=True)
class Operation:
    """What was asked of the server; ``place`` is the server and repository."""

    action: Action
    subject: str
    place: str

    def __str__(self) -> str:
        return f"lakeFS {self.place}: {self.action} {self.subject}".rstrip()


class NotSent(LakeUnavailable):
    """The request did not leave this machine, so nothing happened; it may be repeated."""


class Unanswered(LakeUnavailable):
    """The request may or may not have been carried out."""


def of_status(operation: Operation, status: int, body: str) -> LakeError:
    """The error that an answer with an HTTP status other than 2xx means."""
    said = _message(body)
    shown = f"{operation}: {said[:_SHOWN] or 'no reason given'} (status {status})"
    if not said and status in _EXPLAINED:
        return LakeUnavailable(f"{shown}; the answer is none of lakeFS, check host, port and ?tls=on|off")
    match status:
        case 400:
            return _bad_request(said.lower(), shown)
        case 401 if "insufficient permissions" not in said.lower():
            return AuthError(f"{shown}; set {' and '.join(VARIABLES[0])} to keys which the server knows")
        case 401 | 403:
            return Forbidden(shown)
        case 404:
            return _not_found(operation, said, shown)
        case 409:
            return _conflict(operation, said.lower(), shown)
        case 410:
            return Gone(shown)
        case 412:
            return PreconditionFailed(shown) if operation.action == "put" else HookRejected(shown)
        case 416:
            return PreconditionFailed(shown)
        case 431:
            return InvalidName(f"{shown}; the metadata is longer than the server takes")
        case 501 | 405:
            return Unsupported(shown)
    if status in _BUSY:
        return Contention(shown)
    return _server_error(said.lower(), shown) if status >= 500 or status == 408 else LakeUnavailable(shown)


def of_transport(operation: Operation, error: Exception, waited: float) -> LakeError:
    """The error that a failure below HTTP, or an answer that is none of lakeFS, means."""
    if isinstance(error, urllib3.exceptions.SSLError | ssl.SSLError):
        return tls_failed(operation, str(error))
    if isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError):
        return NotSent(f"{operation}: no connection: {_reason(error)}")
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return Unanswered(f"{operation}: no answer within {waited:g} s; a longer wait is set by ?timeout=SECONDS")
    if isinstance(error, urllib3.exceptions.HTTPError | OSError):
        return Unanswered(f"{operation}: the connection broke: {_reason(error)}")
    return Unanswered(f"{operation}: the answer is none of lakeFS ({type(error).__name__}); check host and port")


def tls_failed(operation: Operation, reason: str) -> LakeError:
    return LakeUnavailable(
        f"{operation}: no encrypted connection: {' '.join(reason.split())[:_SHOWN]}; "
        "for a server without TLS, on a network that you trust, add ?tls=off to the lake's URI"
    )


def _message(body: str) -> str:
    """What the server said, "" where the answer is not JSON as lakeFS gives it."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return ""
    said = parsed.get("message") if isinstance(parsed, dict) else None
    return said if isinstance(said, str) else ""


def _bad_request(said: str, shown: str) -> LakeError:
    if "no changes" in said:
        return NoChanges(shown)
    if "dirty" in said or "uncommitted" in said:
        return DirtyBranch(shown)
    if "parent" in said:
        return PreconditionFailed(shown)
    return RefNotFound(shown) if _NO_REF in said else InvalidName(shown)


def _not_found(operation: Operation, said: str, shown: str) -> LakeError:
    if "repository" in said:
        return RefNotFound(f"{shown}; create the repository on the server, or name another one in the lake's URI")
    if operation.action in _OF_OBJECTS:
        return ObjectNotFound(shown)
    return RefNotFound(shown)


def _conflict(operation: Operation, said: str, shown: str) -> LakeError:
    if operation.action in _CREATING:
        return AlreadyExists(shown)
    if operation.action in _MERGING:
        return PreconditionFailed(shown) if "parent number" in said else MergeConflict(shown)
    return Contention(shown)


def _server_error(said: str, shown: str) -> LakeError:
    if any(text in said for text in _LOST_RACES):
        return Contention(shown)
    if "required permissions" in said:
        return Forbidden(shown)
    if "hook aborted" in said:  # a hook that the server cannot even read
        return HookRejected(shown)
    if "no merge base" in said or _NO_REF in said:
        return RefNotFound(shown)
    return Unanswered(shown)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_SHOWN]
