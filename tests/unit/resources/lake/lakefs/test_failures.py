"""What a server's answers mean, by the texts that a real one gives."""

import json

import pytest
import urllib3.exceptions as below

from resources.lake import errors
from resources.lake.lakefs.failures import NotSent, Operation, Unanswered, of_status, of_transport

PLACE = "lakefs.lan:8000/trading"


def said(action: str, status: int, message: str | None) -> errors.LakeError:
    body = "<html>" if message is None else json.dumps({"message": message})
    return of_status(Operation(action, "the subject", PLACE), status, body)


@pytest.mark.parametrize(
    ("action", "status", "message", "kind"),
    [
        ("stat", 401, "error authenticating request", errors.AuthError),
        ("stat", 401, "insufficient permissions: fs:ReadObject", errors.Forbidden),
        ("put", 403, "cannot write to protected branch", errors.Forbidden),
        ("list", 404, "repository not found", errors.RefNotFound),
        ("stat", 404, "repository not found", errors.RefNotFound),
        ("stat", 404, "not found", errors.ObjectNotFound),
        ("get", 404, "not found", errors.ObjectNotFound),
        ("list", 404, "not found", errors.RefNotFound),
        ("put", 404, "branch 'nope' not found", errors.RefNotFound),
        ("commit", 404, "prepare-commit hook aborted, run id 'x': list actions: not found", errors.RefNotFound),
        ("resolve", 500, "ref: invalid value: validation error", errors.RefNotFound),
        ("log", 400, "ref: ref: invalid value: validation error", errors.RefNotFound),
        ("create branch", 409, "branch already exists: not unique", errors.AlreadyExists),
        ("create tag", 409, "branch name dev: conflict found", errors.AlreadyExists),
        ("merge", 409, "", errors.MergeConflict),
        ("revert", 409, "update branch: conflict found", errors.MergeConflict),
        (
            "revert",
            409,
            "must specify 1-based parent number for reverting merge commit",
            errors.PreconditionFailed,
        ),
        ("revert", 400, "given commit does not have the given parent number: parent 2", errors.PreconditionFailed),
        ("get", 410, "No data", errors.Gone),
        ("put", 412, "path already exists", errors.PreconditionFailed),
        ("commit", 412, "pre-commit hook aborted, run id '1': no", errors.HookRejected),
        ("get", 416, "Requested Range Not Satisfiable", errors.PreconditionFailed),
        ("commit", 400, "commit: no changes", errors.NoChanges),
        ("merge", 400, "update branch main: no changes", errors.NoChanges),
        ("merge", 400, "uncommitted changes (dirty branch)", errors.DirtyBranch),
        ("put", 400, "argument path: invalid value: validation error: 1025", errors.InvalidName),
        ("put", 431, None, errors.InvalidName),
        ("merge", 429, "Too many attempts, try again later", errors.Contention),
        ("commit", 423, "locked", errors.Contention),
        ("commit", 500, "predicate failed", errors.Contention),
        ("revert", 500, "update branch: predicate failed", errors.Contention),
        ("delete", 500, "safe branch write: too many tries (last failure nil)", errors.Contention),
        ("merge base", 500, "no merge base", errors.RefNotFound),
        (
            "commit",
            500,
            "prepare-commit hook aborted, run id '1': 'name' is invalid: invalid action",
            errors.HookRejected,
        ),
        ("commit", 404, "prepare-commit hook aborted, run id '1': listing actions: not found", errors.RefNotFound),
        ("commit", 500, "disk on fire", Unanswered),
        ("commit", 503, None, Unanswered),
        ("put", 501, "Not Implemented", errors.Unsupported),
        ("stat", 404, None, errors.LakeUnavailable),
        ("stat", 302, None, errors.LakeUnavailable),
        ("stat", 400, None, errors.LakeUnavailable),
    ],
)
def test_answers(action: str, status: int, message: str | None, kind: type[errors.LakeError]) -> None:
    error = said(action, status, message)
    assert type(error) is kind
    assert str(error).startswith(f"lakeFS {PLACE}: {action} the subject: ")
    assert message is None or message in str(error)


def test_only_requests_that_did_not_leave_are_told_so() -> None:
    operation = Operation("commit", "dev", PLACE)
    pool = object()
    refused = of_transport(operation, below.NewConnectionError(pool, "refused"), 30)
    too_slow = of_transport(operation, below.ConnectTimeoutError(pool, "slow"), 30)
    assert type(refused) is type(too_slow) is NotSent
    silent = of_transport(operation, below.ReadTimeoutError(pool, "/", "silent"), 30)
    broken = of_transport(operation, below.ProtocolError("Connection aborted."), 30)
    odd = of_transport(operation, ValueError("no json"), 30)
    assert type(silent) is type(broken) is type(odd) is Unanswered
    assert "no answer within 30 s" in str(silent) and "timeout=" in str(silent)


def test_a_failed_handshake_tells_of_tls_off() -> None:
    error = of_transport(Operation("stat", "a", PLACE), below.SSLError("wrong version number"), 30)
    assert type(error) is errors.LakeUnavailable and "?tls=off" in str(error)


def test_a_long_answer_is_cut() -> None:
    assert len(str(said("commit", 500, "x" * 10_000))) < 500
