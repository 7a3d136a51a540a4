"""The lake: every dataset an immutable, versioned object behind one protocol."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from resources.lake.errors import (
    AlreadyExists,
    AuthError,
    Contention,
    CorruptObject,
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
from resources.lake.protocol import MAIN, Change, Commit, Lake, MergeResult, ObjectInfo, Prefix

__all__ = [
    "MAIN",
    "AlreadyExists",
    "AuthError",
    "Change",
    "Commit",
    "Contention",
    "CorruptObject",
    "DirtyBranch",
    "Forbidden",
    "Gone",
    "HookRejected",
    "InvalidName",
    "Lake",
    "LakeError",
    "LakeUnavailable",
    "MergeConflict",
    "MergeResult",
    "NoChanges",
    "ObjectInfo",
    "ObjectNotFound",
    "PreconditionFailed",
    "Prefix",
    "RefNotFound",
    "Unsupported",
    "open_lake",
]


def _now() -> datetime:
    return datetime.now(UTC)


def open_lake(uri: str, *, clock: Callable[[], datetime] = _now) -> Lake:
    """Open the lake at ``uri``: ``file:///directory`` (created where absent).

    Args:
        uri: percent-encoded as URIs are, see ``pathlib.Path.as_uri``.
        clock: gives the time of commits and objects, timezone-aware.

    Raises:
        InvalidName: the URI is not well formed.
        Unsupported: no backend for its scheme.
    """
    parts = urlsplit(uri)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/") or parts.path == "/":
            raise InvalidName(f"lake URI {uri!r}: must be file:///absolute/directory")
        from resources.lake.embedded import EmbeddedLake

        return EmbeddedLake(Path(unquote(parts.path)), clock=clock)
    if parts.scheme == "lakefs":
        raise Unsupported(f"lake URI {uri!r}: no lakeFS backend in this version; use file:///directory")
    raise Unsupported(f"lake URI {uri!r}: scheme must be file, as in file:///directory")
