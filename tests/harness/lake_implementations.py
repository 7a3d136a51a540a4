"""The lakes that one and the same test runs on: embedded, over HTTP on the test server, on a real lakeFS server.

A real server is used where ``LAKEFS_TEST_ENDPOINT`` names one: ``http://host:port``, or with the account in it
``http://KEY:SECRET@host:port``; else the account comes from ``LAKECTL_CREDENTIALS_*`` or ``LAKEFS_*_KEY*``. Every test
makes a repository of its own below ``LAKEFS_TEST_NAMESPACE``, or below what the server says is its default, and
removes it.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

from harness.lakefs_raw import Raw
from harness.lakefs_server import LakeFSServer

Implementation = Literal["embedded", "lakefs-http", "lakefs-real"]

ENDPOINT_VARIABLE: Final = "LAKEFS_TEST_ENDPOINT"
NAMESPACE_VARIABLE: Final = "LAKEFS_TEST_NAMESPACE"
KEYS: Final = ("LAKECTL_CREDENTIALS_ACCESS_KEY_ID", "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY")
_OTHER_KEYS = ("LAKEFS_ACCESS_KEY_ID", "LAKEFS_SECRET_ACCESS_KEY")

IMPLEMENTATIONS: Final[tuple[Implementation, ...]] = (
    "embedded",
    "lakefs-http",
    *(("lakefs-real",) if os.environ.get(ENDPOINT_VARIABLE) else ()),
)


@dataclass(frozen=True)
class Provided:
    """A fresh, empty lake.

    Attributes:
        endpoint: base URL of its server, "" for the embedded one.
        environment: variables that hold the account.
        options: what its URI has behind the repository.
    """

    kind: Implementation
    uri: str
    endpoint: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    repository: str = ""
    options: str = ""

    def raw(self) -> Raw:
        """A client of its server that knows nothing of lakes."""
        return Raw(self.endpoint, *(self.environment[key] for key in KEYS), self.repository)

    def through(self, port: int) -> str:
        """The URI of the same lake through a proxy on this port of loopback."""
        return f"lakefs://127.0.0.1:{port}/{self.repository}{self.options}"


@contextmanager
def provided(kind: Implementation, directory: Path, server: LakeFSServer | None) -> Iterator[Provided]:
    """``server`` is used for ``lakefs-http``."""
    options = f"?cache={quote(str(directory / 'cache'))}"
    if kind == "embedded":
        yield Provided(kind, (directory / "lake").as_uri())
    elif kind == "lakefs-http":
        assert server is not None
        name = _name()
        uri = server.create_repository(name) + options
        try:
            yield Provided(kind, uri, server.endpoint, server.environment, name, options)
        finally:
            server.repositories.delete(name)
    else:
        real = RealServer.from_environment()
        name = _name()
        real.create(name)
        try:
            yield Provided(kind, real.uri(name) + options, real.base, real.environment, name, options)
        finally:
            real.call("DELETE", f"/repositories/{name}", expected=204)


@dataclass(frozen=True)
class RealServer:
    """A lakeFS server that somebody else runs."""

    base: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    @classmethod
    def from_environment(cls) -> "RealServer":
        parts = urlsplit(os.environ[ENDPOINT_VARIABLE])
        base = f"{parts.scheme}://{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
        if parts.username:
            return cls(base, unquote(parts.username), unquote(parts.password or ""))
        for access, secret in (KEYS, _OTHER_KEYS):
            if access in os.environ:
                return cls(base, os.environ[access], os.environ[secret])
        raise AssertionError(f"{ENDPOINT_VARIABLE} is set, but no account: set {' and '.join(KEYS)}")

    @property
    def environment(self) -> dict[str, str]:
        return dict(zip(KEYS, (self.access_key, self.secret_key), strict=True))

    def uri(self, repository: str) -> str:
        parts = urlsplit(self.base)
        return f"lakefs://{parts.netloc}/{repository}"

    def create(self, name: str) -> None:
        below = os.environ.get(NAMESPACE_VARIABLE)
        if below is None:
            storage = self.call("GET", "/config/storage", expected=200)
            below = storage["default_namespace_prefix"] or storage["blockstore_namespace_example"]
        body = {
            "name": name,
            "storage_namespace": f"{below.removesuffix('/')}/{name}" if below[-3:] != "://" else below + name,
        }
        self.call("POST", "/repositories", body, expected=201)

    def call(self, method: str, path: str, body: Any = None, *, expected: int) -> Any:
        with Raw(self.base, self.access_key, self.secret_key) as client:
            told = client.ask(method, "/" + path, body)
        assert told.status == expected, f"{method} {path}: {told.status} {told.body[:500]!r}"
        return told.json if told.body else None


def _name() -> str:
    return f"test-{uuid4().hex[:20]}"
