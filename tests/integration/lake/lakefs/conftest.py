"""A lake on the test server, with short waits, and the store behind it for a look past HTTP."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
import urllib3
from harness.lakefs_faults import Fault, Faults
from harness.lakefs_server import ACCESS_KEY, SECRET_KEY, LakeFSServer
from urllib3 import make_headers

from resources.lake import Lake, open_lake

TIMEOUT_SECONDS = 1


@dataclass(frozen=True)
class Remote:
    """One repository: ``lake`` goes through HTTP, ``behind`` is the store that the server serves."""

    lake: Lake
    behind: Lake
    server: LakeFSServer
    uri: str

    @property
    def faults(self) -> Faults:
        return self.server.faults

    def strike(self, action: str, method: str, path: str, **options: object) -> None:
        """Make a fault of the next requests of this method whose path has the regular expression in it."""
        self.count()
        self.faults.clear()
        self.faults.add(Fault(action, method, path, **options))  # type: ignore[arg-type]

    def request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """One request below the repository without the backend, as another client makes it; the answer."""
        repository = self.uri.partition("?")[0].rpartition("/")[2]
        headers = {"Content-Type": "application/octet-stream", **make_headers(basic_auth=f"{ACCESS_KEY}:{SECRET_KEY}")}
        url = f"{self.server.endpoint}/api/v1/repositories/{repository}{path}"
        answer = urllib3.request(method, url, body=body, headers=headers, timeout=20)
        assert 200 <= answer.status <= 299, answer.data
        return answer.data

    def count(self, method: str = "", path: str = "") -> int:
        """How many requests the server has answered; it notes each a moment after the answer."""
        before, found = -1, self.faults.count(method, path)
        while found != before:
            time.sleep(0.05)
            before, found = found, self.faults.count(method, path)
        return found


@pytest.fixture
def remote(lakefs: LakeFSServer, tmp_path: Path) -> Iterator[Remote]:
    name = f"remote-{uuid4().hex[:16]}"
    uri = f"{lakefs.create_repository(name)}?timeout={TIMEOUT_SECONDS}&cache={tmp_path / 'cache'}"
    lakefs.behind(name).create_branch("dev", "main")
    with open_lake(uri) as lake:
        yield Remote(lake, lakefs.behind(name), lakefs, uri)
    lakefs.faults.clear()
    lakefs.repositories.delete(name)


@pytest.fixture
def patient(remote: Remote) -> Iterator[Lake]:
    """The same lake for work that takes its time on a busy machine: no time-out of it is short."""
    with open_lake(remote.uri.replace(f"timeout={TIMEOUT_SECONDS}&", "timeout=60&")) as lake:
        yield lake
