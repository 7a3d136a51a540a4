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
    Overtaken,
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
    "Overtaken",
    "PreconditionFailed",
    "Prefix",
    "RefNotFound",
    "Unsupported",
    "open_lake",
]


def _now() -> datetime:
    return datetime.now(UTC)


def open_lake(uri: str, *, clock: Callable[[], datetime] = _now) -> Lake:
    """Open the lake at ``uri``, without a call to any server.

    Args:
        uri: ``file:///directory`` (created where absent), percent-encoded as URIs are, see ``pathlib.Path.as_uri``;
            or ``lakefs://host[:port]/repository``, with options as in ``?timeout=60&cache=/data/cache&cache_gb=50``
            (see :class:`resources.lake.lakefs.address.Address`) and the account from the environment.
        clock: gives the time of commits and objects, timezone-aware; a server uses its own.

    Raises:
        InvalidName: the URI is not well formed.
        Unsupported: no backend for its scheme.
        AuthError: half of an account is in the environment.
    """
    scheme = uri.partition(":")[0].lower()
    if scheme == "file":
        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/") or parts.path == "/":
            raise InvalidName(f"lake URI {uri!r}: must be file:///absolute/directory")
        from resources.lake.embedded import EmbeddedLake

        return EmbeddedLake(Path(unquote(parts.path)), clock=clock)
    if scheme == "lakefs":
        from resources.lake.lakefs import Account, Address, LakeFSLake

        return LakeFSLake(Address.parse(uri), Account.from_environment())
    # not repeated: a URI of another kind may hold a password
    raise Unsupported("lake URI: must be file:///directory or lakefs://host:port/repository")
