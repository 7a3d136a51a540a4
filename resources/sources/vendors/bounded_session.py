"""A session of requests that keeps the last answer, and lets none go on for ever."""

import time
from io import BytesIO
from typing import Any

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

_PART = 1 << 16
_LARGEST = 512 << 20


class BoundedSession(requests.Session):
    """Takes proxies from the environment, like any session of requests.

    ``answer`` is the last one, whatever its status; None before it has come whole.

    Args:
        connect: seconds to wait for a connection.
        read: seconds to wait for the next part of an answer.
        whole: seconds for the whole answer, however steadily its parts trickle in.
    """

    def __init__(self, *, connect: float, read: float, whole: float) -> None:
        super().__init__()
        self.answer: requests.Response | None = None
        self._timeout = (connect, read)
        self._whole = whole

    def request(self, *args: Any, **settings: Any) -> requests.Response:
        """As of requests, which raises its ConnectionError and Timeout; the caller's ``timeout`` is not looked at."""
        self.answer = None
        stop = time.monotonic() + self._whole
        answer = super().request(*args, **{**settings, "stream": True, "timeout": self._timeout})
        body = bytearray()
        try:
            with answer:
                while part := answer.raw.read1(_PART, decode_content=True):
                    body += part
                    if len(body) > _LARGEST:
                        raise requests.ConnectionError(f"the answer is longer than {_LARGEST >> 20} MB")
                    if time.monotonic() > stop:
                        raise requests.Timeout(f"the answer was not whole after {self._whole:g} s")
        except ReadTimeoutError as error:
            raise requests.ReadTimeout(f"the answer stopped after {len(body)} bytes") from error
        except (HTTPError, OSError) as error:
            if isinstance(error, requests.RequestException):
                raise
            raise requests.ConnectionError(f"the answer broke off after {len(body)} bytes: {error}") from error
        answer.raw = BytesIO(body)
        self.answer = answer
        return answer
