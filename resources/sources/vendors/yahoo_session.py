"""HTTP as Yahoo wants it: a browser's handshake, a cookie and a crumb, all by yfinance."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from curl_cffi import requests
from curl_cffi.requests.exceptions import RequestException

NO_ANSWER = RequestException
"""There is no whole answer: no connection, none in time, or it broke before the end."""


class YahooSession(requests.Session[requests.Response]):
    """Looks like a browser; ``last_headers`` are of the last answer, by lower-case name.

    Args:
        base_url: takes the place of Yahoo's hosts; None leaves them.
    """

    def __init__(self, base_url: str | None = None) -> None:
        super().__init__(impersonate="chrome")
        self.last_headers: Mapping[str, str] = {}
        self._base = None if base_url is None else urlsplit(base_url)

    def request(self, method: Any, url: str, *args: Any, **settings: Any) -> requests.Response:
        """As of curl_cffi."""
        self.last_headers = {}
        if self._base is not None:
            parts = urlsplit(url)
            path = self._base.path.rstrip("/") + parts.path
            url = urlunsplit((self._base.scheme, self._base.netloc, path, parts.query, ""))
        answer = super().request(method, url, *args, **settings)
        self.last_headers = {name.lower(): value or "" for name, value in answer.headers.items()}
        return answer


def yahoo_client(session: YahooSession) -> Any:
    """yfinance's ``YfData``, which gets URLs with cookie and crumb; one of its own for this session.

    Its cookie lives as long as it does: yfinance otherwise keeps it in the home of the machine's user, and shares one
    client and one session among all that use it in the process.
    """
    client = type.__call__(import_module("yfinance.data").YfData, session)
    client._load_cookie_curlCffi = client._save_cookie_curlCffi = lambda: False
    return client


def refusals() -> type[Exception]:
    """What yfinance raises by itself, such as for too many requests."""
    error: type[Exception] = import_module("yfinance.exceptions").YFException
    return error
