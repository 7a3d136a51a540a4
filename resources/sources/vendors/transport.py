"""One request and its whole answer over HTTP, with the key added where no log, error or record can see it."""

import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from trading.errors import ConfigError

_LARGEST = 512 << 20
_NOTHING: Mapping[str, str] = MappingProxyType({})


class NoAnswer(Exception):
    """There is no whole answer; the text says why, for a person."""


@dataclass(frozen=True)
class ApiKey:
    """A key and how it travels: as the query parameter of this name, or as a bearer header where that is None.

    ``variable`` is the environment variable it comes from: what messages say in place of the key.
    """

    variable: str
    value: str = field(repr=False)
    parameter: str | None = None

    def add_to(self, request: httpx.Request) -> httpx.Request:
        url, headers = request.url, request.headers.copy()
        if self.parameter is not None:
            url = url.copy_merge_params({self.parameter: self.value})
        else:
            headers["Authorization"] = f"Bearer {self.value}"
        return httpx.Request(
            request.method, url, headers=headers, stream=request.stream, extensions=dict(request.extensions)
        )


@dataclass(frozen=True)
class Answer:
    """``headers`` by lower-case name; ``body`` with the transport's compression undone."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """Requests to one server. Redirects are not followed: they could carry the key elsewhere.

    Args:
        base_url: ``https://host/path``; plain HTTP is for loopback only, as the key would be readable on its way.
        key: None sends none.
        connect: seconds to wait for a connection.
        read: seconds to wait for the next part of an answer.
        whole: seconds for the whole answer, however steadily its parts trickle in.

    Raises:
        ConfigError: ``base_url`` is no such URL.
    """

    def __init__(self, base_url: str, key: ApiKey | None, *, connect: float, read: float, whole: float) -> None:
        parts = urlsplit(base_url)
        is_local = parts.hostname in ("127.0.0.1", "localhost", "::1")
        if not parts.hostname or parts.scheme not in ("https", "http") or (parts.scheme == "http" and not is_local):
            raise ConfigError(f"base_url {base_url!r} must be https://HOST[/PATH]; http:// is for 127.0.0.1 only")
        proxy = None if is_local or proxy_bypass(parts.hostname) else getproxies().get(parts.scheme)
        self._whole = whole
        self._client = httpx.Client(
            base_url=base_url,
            # Certificates are read only where there is something to verify: loopback has no TLS.
            transport=_Keyed(httpx.HTTPTransport(verify=parts.scheme == "https", proxy=proxy, trust_env=False), key),
            timeout=httpx.Timeout(read, connect=connect),
            headers={"Accept": "application/json", "Accept-Encoding": "gzip"},
        )

        # Whoever asks has no end of its own: connections are closed when nothing asks any more.
        weakref.finalize(self, self._client.close)

    def get(self, path: str, params: Mapping[str, str] = _NOTHING) -> Answer:
        """The whole answer, whatever its status.

        Raises:
            NoAnswer: no connection, none in time, or it broke before the end.
        """
        stop = time.monotonic() + self._whole
        body = bytearray()
        try:
            with self._client.stream("GET", path, params=dict(params) or None) as response:
                for part in response.iter_bytes():
                    body += part
                    if len(body) > _LARGEST:
                        raise NoAnswer(f"the answer is longer than {_LARGEST >> 20} MB")
                    if time.monotonic() > stop:
                        raise NoAnswer(f"the answer was not whole after {self._whole:g} s, {len(body)} bytes")
                return Answer(response.status_code, dict(response.headers), bytes(body))
        except httpx.TimeoutException as error:
            reason = "no connection in time" if isinstance(error, httpx.ConnectTimeout) else "no answer in time"
        except httpx.ConnectError as error:
            reason = f"no connection: {error}"
        except (httpx.HTTPError, httpx.StreamError) as error:
            reason = (
                f"the answer broke off after {len(body)} bytes: {error}" if body else f"the connection broke: {error}"
            )
        raise NoAnswer(reason)


class _Keyed(httpx.BaseTransport):
    """Below the client, which logs URLs and ties them to its errors: what it sees of a request has no key."""

    def __init__(self, inner: httpx.BaseTransport, key: ApiKey | None) -> None:
        self._inner = inner
        self._key = key

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._inner.handle_request(self._key.add_to(request) if self._key else request)

    def close(self) -> None:
        self._inner.close()
