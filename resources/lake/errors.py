"""Errors of the lake, the same for every backend."""

from collections.abc import Iterable

from trading.errors import TradingError


class LakeError(TradingError):
    """Root of the lake's errors."""


class RefNotFound(LakeError):
    """No branch, tag or commit answers to this name."""


class ObjectNotFound(LakeError):
    """The ref exists, the path is not in it."""


class AlreadyExists(LakeError):
    """A branch or tag of this name exists (they share one namespace)."""


class InvalidName(LakeError):
    """A branch, tag, path or URI is not well formed."""


class NoChanges(LakeError):
    """The commit, or the revert, would change nothing."""


class DirtyBranch(LakeError):
    """The branch has uncommitted changes which the operation would mix with its own."""


class MergeConflict(LakeError):
    """Both sides changed the same paths in different ways.

    Attributes:
        paths: the paths in conflict, in byte order.
    """

    def __init__(self, message: str, *, paths: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.paths: tuple[str, ...] = tuple(paths)


class PreconditionFailed(LakeError):
    """A condition of the request does not hold: ``if_absent``, a byte range, the parent of a revert."""


class HookRejected(LakeError):
    """A hook of the server refused the commit or merge."""


class Forbidden(LakeError):
    """The ref is protected, or the account may not do this."""


class Contention(LakeError):
    """Another writer was in the way; the same call may be repeated."""


class Overtaken(Contention):
    """Another run published the partition while this one was making it; nothing of this one went out.

    What was made may rest on data that is not the newest any more: make it again from the head of ``main``.

    Attributes:
        by_run: the other run, "" where its commit does not say.
        commit_id: the commit on ``main`` that brought what is there now.
    """

    def __init__(self, message: str, *, by_run: str, commit_id: str) -> None:
        super().__init__(message)
        self.by_run = by_run
        self.commit_id = commit_id


class Gone(LakeError):
    """The content was there once and is not any more: removed by retention, or missing from the store."""


class CorruptObject(Gone):
    """The stored bytes are not the bytes that were written."""


class Unsupported(LakeError):
    """This backend, or this version of it, cannot do it."""


class AuthError(LakeError):
    """Credentials are missing or refused."""


class LakeUnavailable(LakeError):
    """The store does not answer, so the outcome of the call is unknown."""
