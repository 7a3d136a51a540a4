"""Asking a vendor for JSON: paced, tried again with patience, and each refusal turned into what to do about it."""

import json
import time
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, urlencode

from resources.redaction import Redactor
from resources.sources.downloads.vendor import SymbolRefused
from resources.sources.errors import SourceError
from resources.sources.vendors.pace import Pace
from resources.sources.vendors.patience import Again, Patience, retry_after
from trading.errors import ConfigError
from trading.ports.sources import SourceDown

if TYPE_CHECKING:
    from resources.sources.vendors.transport import Answer, Connection

_SHOWN = 200
_TRY_AGAIN = frozenset({408, 425, 429})
_NOTHING: Mapping[str, str] = MappingProxyType({})


class JsonRequests:
    """Requests to one vendor.

    Args:
        vendor: as messages name it.
        base_url: see :class:`resources.sources.vendors.transport.Connection`.
        variable: environment variable of the key.
        key: what stands in it; None where it is not set, which is an error with the first request only.
        parameter: query parameter of the key; None sends it as a bearer header.
        pace: shared by all that ask this vendor.
        sleep: seconds; the machine's own unless a test brings another.
    """

    def __init__(
        self,
        vendor: str,
        base_url: str,
        *,
        variable: str,
        key: str | None,
        parameter: str | None = None,
        pace: Pace,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.vendor = vendor
        self._base_url = base_url
        self._variable = variable
        self._key = (key or "").strip()
        self._parameter = parameter
        self._pace = pace
        self._patience = patience or Patience()
        self._sleep = sleep
        self._redactor = Redactor({}, (self._key, quote(self._key, safe="")))

    def get(
        self,
        path: str,
        params: Mapping[str, str] = _NOTHING,
        *,
        asked: str,
        wrong: Callable[[Any], str | None],
    ) -> tuple[bytes, Any]:
        """The body and what it says.

        Args:
            path: below the base URL; may have a query of its own, then without ``params``.
            asked: what is asked for, for a person, e.g. ``AAPL 2024-01-02 to 2024-03-01``.
            wrong: what makes parsed JSON no usable answer, such as half a page; None where it is one.

        Raises:
            SourceDown: no usable answer within our patience.
            SymbolRefused: status 404.
            SourceError: the key or the plan is not good for it.
            ConfigError: the key is not set.
        """
        return self._patience.keep_asking(
            partial(self._once, path, params, asked, wrong), self.vendor, asked, self._sleep
        )

    def shown(self, path: str, params: Mapping[str, str] = _NOTHING) -> str:
        """The request for the record; it has no key."""
        return f"GET {path}{'?' if params else ''}{urlencode(params)}"

    @cached_property
    def _connection(self) -> "Connection":
        from resources.sources.vendors.transport import ApiKey, Connection

        if not self._key:
            raise ConfigError(f"{self._variable} is not set; it must be the key of your account with {self.vendor}")
        key: ApiKey = ApiKey(self._variable, self._key, self._parameter)
        patience = self._patience
        return Connection(self._base_url, key, connect=patience.connect, read=patience.read, whole=patience.seconds)

    def _once(
        self, path: str, params: Mapping[str, str], asked: str, wrong: Callable[[Any], str | None]
    ) -> tuple[bytes, Any]:
        from resources.sources.vendors.transport import NoAnswer

        connection = self._connection
        self._pace.wait()
        reason = ""
        try:
            answer = connection.get(path, params)
        except NoAnswer as error:
            reason = self._redactor.text(str(error))
        if reason:  # outside of the handler: no chain of errors from below travels on
            raise Again(reason)
        if answer.status != 200:
            self._refused(answer, asked)
        return answer.body, self._read(answer, wrong)

    def _read(self, answer: "Answer", wrong: Callable[[Any], str | None]) -> Any:
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind and "json" not in kind and kind != "text/plain":
            raise Again(f"it answers with {kind} in place of JSON: {self._text(answer.body)}")
        try:
            said = json.loads(answer.body)
        except (ValueError, RecursionError):
            said = Again(f"what came is not whole JSON, {len(answer.body)} bytes: {self._text(answer.body)}")
        if isinstance(said, Again):
            raise said
        complaint = wrong(said)
        if complaint is not None:
            raise Again(self._redactor.text(complaint))
        return said

    def _refused(self, answer: "Answer", asked: str) -> NoReturn:
        shown = f"{self.vendor}: {asked}: status {answer.status} ({self._text(answer.body) or 'no reason given'})"
        match answer.status:
            case status if status in _TRY_AGAIN or status >= 500:
                reason = f"status {status} ({self._text(answer.body) or 'no reason given'})"
                raise Again(reason, retry_after(answer.headers))
            case 401:
                raise SourceError(f"{shown}; set {self._variable} to a key that {self.vendor} knows")
            case 402:
                raise SourceDown(f"{shown}; the requests of this plan are used up, wait until they are counted anew")
            case 403:
                raise SourceError(f"{shown}; the plan of the key in {self._variable} does not have this data")
            case 404:
                raise SymbolRefused(f"{shown}; check the Symbol, and how the vendor writes it (setting tickers)")
            case status if 300 <= status < 400:
                raise SourceError(f"{shown}; it answers from elsewhere, set base_url to where the vendor is now")
        raise SourceError(f"{shown}; the vendor does not take this request")

    def _text(self, body: bytes) -> str:
        """The beginning of an answer, for a message."""
        return " ".join(self._redactor.text(body.decode(errors="replace")).split())[:_SHOWN]
