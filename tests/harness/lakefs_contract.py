"""Holds requests and answers to lakeFS's own API description, by openapi-core.

An exchange costs some 5 ms, a listing of 1,000 objects 80 ms. So of each kind of exchange (method, path without its
names, status) the first ten are checked, then every twentieth; a test begins to count anew. A request that was
refused with 400, 401, or as no operation at all need not be one of the description's.

Where the description and a real server (v1.84) differ, the test server answers like the real one:

=========================================  ====================================================================
the description                            a real server
=========================================  ====================================================================
createBranch: 201 is ``text/html``         ``text/plain; charset=utf-8``, the bare commit id
updateObjectUserMetadata: 201 with a body  204 without one
getObject: 206 with a Content-Range that   ``bytes 0-1/5``
matches the pattern of a Range
getObject: ``application/octet-stream``    the content type that it was uploaded with
=========================================  ====================================================================
"""

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

ROOT = Path(__file__).resolve().parents[2]
SWAGGER_VARIABLE: Final = "TRADING_TEST_LAKEFS_SWAGGER"

_FIRST, _THEN_EVERY = 10, 20
_REFUSED = {400, 401}
_MAY_BE_EMPTY = {"prefix", "after", "delimiter", "search"}
_NAMES = re.compile(r"/(repositories|branches|tags|refs|commits|merge|diff)/[^/]+")


def swagger_file() -> Path | None:
    """lakeFS's API description, where this machine has it."""
    given = os.environ.get(SWAGGER_VARIABLE)
    file = Path(given) if given else ROOT.parent / "shared" / "lakefs" / "swagger.yml"
    return file if file.is_file() else None


@cache
def _description(file: Path) -> Any:
    import yaml
    from openapi_core import Config, OpenAPI

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    # through JSON, whose keys are text: YAML reads a status as a number
    parsed = yaml.load(file.read_text(), Loader=loader)
    described = json.loads(json.dumps(parsed), object_hook=_without_empty_values)
    return OpenAPI.from_dict(described, config=Config(spec_validator_cls=None))


def _without_empty_values(described: dict[str, Any]) -> dict[str, Any]:
    """openapi-core warns of this property; requests are shown to it without their empty parameters."""
    described.pop("allowEmptyValue", None)
    return described


class _Request:
    host_url = "http://127.0.0.1"

    def __init__(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> None:
        from openapi_core.datatypes import RequestParameters
        from werkzeug.datastructures import Headers, ImmutableMultiDict

        parts = urlsplit(target)
        query = [
            pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[1] or pair[0] not in _MAY_BE_EMPTY
        ]
        self.path = parts.path
        self.method = method.lower()
        self.body = body
        self.content_type = headers.get("Content-Type") or ""
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(query),
            header=Headers(list(headers.items())),
            cookie=ImmutableMultiDict(),
        )


class _Response:
    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        from werkzeug.datastructures import Headers

        self.status_code = status
        self.headers = Headers(list(headers.items()))
        self.data = data
        self.content_type = headers.get("Content-Type", "")


class Contract:
    """``breaches`` are the exchanges that were not as described, in words."""

    def __init__(self, swagger: Path | None) -> None:
        self.breaches: list[str] = []
        self.checked = 0
        self._swagger = swagger
        self._seen: Counter[tuple[str, str, int]] = Counter()

    def begin(self) -> None:
        self.breaches.clear()
        self._seen.clear()

    def check(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        status: int,
        answer_headers: Mapping[str, str],
        answer: bytes,
    ) -> None:
        """Bodies of objects are passed as None and b"": any bytes will do there."""
        if self._swagger is None or not self._is_due(method, target, status):
            return
        from openapi_core.exceptions import OpenAPIError

        description = _description(self._swagger)
        request = _Request(method, target, headers, body)
        self.checked += 1
        try:
            if status not in _REFUSED:
                description.validate_request(request)
            if not _is_contradicted(method, target, status, answer_headers.get("Content-Type", "")):
                description.validate_response(request, _Response(status, answer_headers, answer))
        except OpenAPIError as error:
            self.breaches.append(f"{method} {target} -> {status}: {_explained(error)}")

    def _is_due(self, method: str, target: str, status: int) -> bool:
        path = _NAMES.sub(r"/\1/*", urlsplit(target).path)
        key = (method, path, status)
        self._seen[key] += 1
        return self._seen[key] <= _FIRST or self._seen[key] % _THEN_EVERY == 0


def _is_contradicted(method: str, target: str, status: int, content_type: str) -> bool:
    path = urlsplit(target).path
    return (
        ((method, status) == ("POST", 201) and path.endswith("/branches"))
        or path.endswith("/stat/user_metadata")
        or status == 206
        or (status == 200 and path.endswith("/objects") and content_type != "application/octet-stream")
    )


def _explained(error: BaseException) -> str:
    texts: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        texts.append(f"{type(cause).__name__}: {cause}"[:600])
        cause = cause.__cause__
    return "; ".join(texts)
