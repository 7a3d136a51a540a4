"""Requests to a lakeFS server without any client of lakeFS."""

import base64
import http.client
import json
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

_SECONDS = 60.0


@dataclass
class Told:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])


class Raw:
    """Requests without any client of lakeFS, one after the other on one connection."""

    def __init__(self, base: str, access_key: str, secret_key: str, repository: str = "") -> None:
        parts = urlsplit(base)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.connection = kind(parts.netloc, timeout=_SECONDS)
        self._token = base64.b64encode(f"{access_key}:{secret_key}".encode()).decode()
        self._below = f"/repositories/{repository}"

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        /,
        *,
        data: Any = None,
        headers: dict[str, str] | None = None,
        chunked: bool = False,
        **query: Any,
    ) -> Told:
        """``body`` is sent as JSON, ``data`` as it is; a path that begins with '//' is none of the repository."""
        target = path[1:] if path.startswith("//") else self._below + path
        sent = {"Authorization": f"Basic {self._token}", "Content-Type": "application/octet-stream", **(headers or {})}
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body), "application/json"
        url = "/api/v1" + quote(target, safe="/@$~^%.") + ("?" + urlencode(query, doseq=True) if query else "")
        self.connection.request(method, url, data, sent, encode_chunked=chunked)
        answer = self.connection.getresponse()
        return Told(answer.status, answer.read(), dict(answer.getheaders()))

    def put(self, branch: str, path: str, data: Any = b"x", **headers: str) -> Told:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", f"/branches/{branch}/objects", data=data, headers=named, path=path)

    def commit(self, branch: str, **body: Any) -> Told:
        return self.ask("POST", f"/branches/{branch}/commits", {"message": "m", **body})

    def branch(self, name: str, source: str = "main") -> Told:
        return self.ask("POST", "/branches", {"name": name, "source": source})

    def merge(self, source: str, dest: str, **body: Any) -> Told:
        return self.ask("POST", f"/refs/{source}/merge/{dest}", body)

    def head(self, branch: str) -> str:
        return str(self.ask("GET", f"/branches/{branch}").json["commit_id"])

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
