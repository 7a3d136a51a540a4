"""Metadata of objects and commits on the way to a server and back, exact in both directions.

An object's pairs travel as HTTP headers, whose names have no case and whose values are ASCII. What a header cannot
carry unchanged travels in one encoded pair. The SHA-256 of the content goes along, so that an object has the same
checksum in every lake; and a mark of the path, because a server takes two neighbours of equal content and metadata
for one object when it merges, and loses one.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Final

from resources.lake.errors import InvalidName

SHA256_KEY: Final = "trading-sha256"
PATH_KEY: Final = "trading-path"
ENCODED_KEY: Final = "trading-metadata"
REQUEST_KEY: Final = "trading-request"
"""Key in a commit's metadata under which the request that made it is found again."""

_MARK_DIGITS = 16
_HEADER: Final = "x-lakefs-meta-"
_SERVERS_OWN: Final = ".lakefs."
_PLAIN_KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PLAIN_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def to_headers(pairs: Mapping[str, str], path: str, sha256: str) -> dict[str, str]:
    """Headers of an upload to ``path`` for checked metadata. Raises InvalidName for a reserved key."""
    for key in (SHA256_KEY, PATH_KEY, ENCODED_KEY):
        if key in pairs:
            raise InvalidName(f"metadata {key!r}: the lake uses this key itself; choose another one")
    plain = {key: value for key, value in pairs.items() if _is_plain(key, value)}
    mark = hashlib.sha256(path.encode()).hexdigest()[:_MARK_DIGITS]
    stored = {**plain, SHA256_KEY: sha256, PATH_KEY: mark}
    if odd := {key: value for key, value in pairs.items() if key not in plain}:
        stored[ENCODED_KEY] = base64.urlsafe_b64encode(json.dumps(odd, sort_keys=True).encode()).decode()
    return {_HEADER + key: value for key, value in stored.items()}


def from_server(stored: Mapping[str, str] | None) -> tuple[dict[str, str], str | None]:
    """The user's pairs, sorted, and the SHA-256 where the object was put by a lake."""
    pairs = dict(stored or {})
    sha256 = pairs.get(SHA256_KEY, "")
    if not _SHA256.fullmatch(sha256):
        return dict(sorted(pairs.items())), None
    del pairs[SHA256_KEY]
    pairs.pop(PATH_KEY, None)
    encoded = pairs.pop(ENCODED_KEY, "")
    return dict(sorted({**pairs, **_decoded(encoded)}.items())), sha256


def stamped(pairs: Mapping[str, str], request: str) -> dict[str, str]:
    """Metadata of a commit to be made by ``request``. Raises InvalidName for a reserved key."""
    for key in pairs:
        if key == REQUEST_KEY or key.startswith(_SERVERS_OWN):
            raise InvalidName(f"metadata {key!r}: lake and server use this key themselves; choose another one")
    return {**pairs, REQUEST_KEY: request}


def unstamped(stored: Mapping[str, str] | None) -> dict[str, str]:
    """The user's pairs of a commit, sorted."""
    return {
        key: value
        for key, value in sorted((stored or {}).items())
        if key != REQUEST_KEY and not key.startswith(_SERVERS_OWN)
    }


def _is_plain(key: str, value: str) -> bool:
    return bool(_PLAIN_KEY.fullmatch(key) and _PLAIN_VALUE.fullmatch(value))


def _decoded(encoded: str) -> dict[str, str]:
    if not encoded:
        return {}
    try:
        pairs = json.loads(base64.urlsafe_b64decode(encoded.encode()))
    except (ValueError, binascii.Error):
        pairs = None
    if not isinstance(pairs, dict) or not all(isinstance(value, str) for value in pairs.values()):
        return {ENCODED_KEY: encoded}  # not of a lake's making: shown as it is
    return pairs
