"""Calls to a server: one connection pool per process, time limits, repeats, and errors of the lake."""

import os
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import quote

import urllib3

from resources.lake.errors import Contention, LakeError, LakeUnavailable
from resources.lake.lakefs.address import CONNECT_SECONDS, Account, Address
from resources.lake.lakefs.failures import (
    Action,
    NotSent,
    Operation,
    Unanswered,
    of_status,
    of_transport,
    tls_failed,
)
from resources.lake.lakefs.patience import Patience

T = TypeVar("T")

PAGE: Final = 1000
"""Entries per page, the most that a server gives."""

_ATTEMPTS = 10
_ATTEMPTS_WITHOUT_ANSWER = 5
_SETTLING_ATTEMPTS = 3
_LOOKS = 6
_LOOKING_SECONDS = 2.0
_CONNECTIONS = 32
_MOST_OF_AN_ERROR = 65_536
_BROKEN = (ConnectionError, TimeoutError, ssl.SSLError)
"""What breaks below urllib3. Other errors of the system are of local files, and not the server's."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The SDK's interfaces over one pool. ``sdk`` is the module, for its models."""

    sdk: Any
    api: Any
    branches: Any
    commits: Any
    experimental: Any
    objects: Any
    refs: Any
    tags: Any


class Client:
    """One repository of one server; for many threads, and for processes that fork."""

    def __init__(self, address: Address, account: Account | None) -> None:
        self.address = address
        self.patience = Patience(_ATTEMPTS, 2 * address.timeout)
        self._account = account
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._process = 0

    @property
    def repository(self) -> str:
        return self.address.repository

    def operation(self, action: Action, subject: str = "") -> Operation:
        return Operation(action, subject, str(self.address))

    def call(self, operation: Operation, send: Callable[[Connection], T], *, repeatable: bool = True) -> T:
        """The answer of ``send``.

        Where another writer was in the way, or the request did not leave this machine, it is sent again, within the
        bounds of the client's patience; where an answer is missing, only if it is ``repeatable``.

        Raises:
            Unanswered: no answer; not ``repeatable``, or every time.
            LakeError: as the server says, see :func:`resources.lake.lakefs.failures.of_status`.
        """
        failure: LakeError | None = None
        for number in self.patience.tries():
            try:
                return self._once(operation, send)
            except Contention as met:
                failure = met
            except NotSent as met:
                failure = met
                if number + 1 >= _ATTEMPTS_WITHOUT_ANSWER:
                    break
            except Unanswered as met:
                failure = met
                if not repeatable or number + 1 >= _ATTEMPTS_WITHOUT_ANSWER:
                    break
        assert failure is not None
        raise failure

    def settle(
        self,
        operation: Operation,
        send: Callable[[Connection], T | None],
        look: Callable[[], T | None],
        *,
        hint: str,
        again: bool = True,
    ) -> T:
        """The outcome of a call that must not happen twice unseen.

        ``send`` may give None where the server says too little; then, and after a lost answer, ``look`` finds what
        became of it: None where nothing is to be seen, and then it is sent ``again``, or not.

        Raises:
            LakeUnavailable: the outcome is unknown; the text says by ``hint`` how to see it.
            LakeError: as :meth:`call`, and what ``look`` raises.
        """
        doubt: LakeUnavailable | None = None
        attempts = _SETTLING_ATTEMPTS if again else 1
        for number in range(attempts):
            try:
                outcome = self.call(operation, send, repeatable=False)
                if outcome is not None:
                    return outcome
                doubt, again = LakeUnavailable(f"{operation}: done, and then not to be seen"), False
            except Unanswered as lost:
                doubt = lost
            except LakeError:
                # refused now, perhaps because the first request, whose answer was lost, has done it
                outcome = None if doubt is None else _seen(look)
                if outcome is None:
                    raise
                return outcome
            try:
                outcome = look() if again and number + 1 < attempts else _seen(look)
            except LakeUnavailable as blind:
                doubt = blind
                break
            if outcome is not None:
                return outcome
            if not again:
                break
        raise LakeUnavailable(f"{doubt}. Whether it was carried out is not known: {hint}")

    def _once(self, operation: Operation, send: Callable[[Connection], T]) -> T:
        import lakefs_sdk

        try:
            return send(self._connected())
        except LakeError:
            raise
        except lakefs_sdk.ApiException as error:
            failure = self._of_answer(operation, error)
        except (urllib3.exceptions.HTTPError, *_BROKEN, ValueError, TypeError, AttributeError) as error:
            failure = of_transport(operation, error, self.address.timeout)
        # raised here, not above: a chained error could show what was sent
        raise failure

    def _of_answer(self, operation: Operation, error: Any) -> LakeError:
        body = error.body or ""
        if not error.status:
            return tls_failed(operation, str(error.reason))
        return of_status(operation, error.status, self._readable(body))

    def _readable(self, body: bytes | str) -> str:
        text = body if isinstance(body, str) else body.decode(errors="replace")
        return text if self._account is None else self._account.scrubbed(text)

    def pages(self, operation: Operation, first: str, fetch: Callable[[Connection, str], Any]) -> Iterator[list[Any]]:
        """Results page by page; the first is fetched at once, so that errors come at the call."""
        page = self.call(operation, lambda server: fetch(server, first))
        return self._following(operation, page, fetch)

    def _following(
        self, operation: Operation, page: Any, fetch: Callable[[Connection, str], Any]
    ) -> Iterator[list[Any]]:
        while True:
            yield page.results
            if not page.pagination.has_more:
                return
            after = page.pagination.next_offset
            page = self.call(operation, partial(_fetched, fetch, after))

    @contextmanager
    def raw(
        self,
        operation: Operation,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """One request below the repository, for content that must not go through memory as a whole.

        To be used within :meth:`call`. The answer, of a 2xx status, is not read yet.
        """
        server = self._connected()
        url = f"{self.address.url}/repositories/{self.repository}/{path}?" + "&".join(
            f"{name}={quote(value, safe='')}" for name, value in query.items()
        )
        response: urllib3.BaseHTTPResponse = server.api.rest_client.pool_manager.request(
            method,
            url,
            body=body,
            headers={**self._authorization(), **(headers or {})},
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=self.address.timeout),
            preload_content=False,
        )
        try:
            if not 200 <= response.status <= 299:
                text = self._readable(response.read(_MOST_OF_AN_ERROR))
                raise of_status(operation, response.status, text)
            yield response
            response.drain_conn()
            response.release_conn()
        finally:
            response.close()

    def _authorization(self) -> dict[str, str]:
        if self._account is None:
            return {}
        return dict(urllib3.make_headers(basic_auth=f"{self._account.access_key}:{self._account.secret_key}"))

    def _connected(self) -> Connection:
        with self._lock:
            if self._connection is None or self._process != os.getpid():  # sockets are not shared with a parent
                self._connection, self._process = self._connect(), os.getpid()
            return self._connection

    def _connect(self) -> Connection:
        import lakefs_sdk

        settings = lakefs_sdk.Configuration(host=self.address.url)
        if self._account is not None:
            settings.username, settings.password = self._account.access_key, self._account.secret_key
        settings.retries = False  # repeats are decided here, call by call
        settings.connection_pool_maxsize = _CONNECTIONS
        api = lakefs_sdk.ApiClient(settings)
        api.rest_client.request = _limited(api.rest_client.request, (CONNECT_SECONDS, self.address.timeout))
        return Connection(
            sdk=lakefs_sdk,
            api=api,
            branches=lakefs_sdk.BranchesApi(api),
            commits=lakefs_sdk.CommitsApi(api),
            experimental=lakefs_sdk.ExperimentalApi(api),
            objects=lakefs_sdk.ObjectsApi(api),
            refs=lakefs_sdk.RefsApi(api),
            tags=lakefs_sdk.TagsApi(api),
        )

    def close(self) -> None:
        """Close the connections of this process; a later call opens new ones."""
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.api.rest_client.pool_manager.clear()
            self._connection = None


def _seen(look: Callable[[], T | None]) -> T | None:
    """What ``look`` finds within about a second: a server may end a request after its client has gone."""
    for _ in Patience(_LOOKS, _LOOKING_SECONDS).tries():
        outcome = look()
        if outcome is not None:
            return outcome
    return None


def _fetched(fetch: Callable[[Connection, str], Any], after: str, server: Connection) -> Any:
    return fetch(server, after)


def _limited(request: Callable[..., Any], seconds: tuple[float, float]) -> Callable[..., Any]:
    """The SDK's request with a limit on connecting and on waiting: by itself it would wait for ever."""

    def limited(*arguments: Any, **options: Any) -> Any:
        return request(*arguments, **{**options, "_request_timeout": seconds})

    return limited
