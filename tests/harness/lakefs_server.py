"""A lakeFS server for tests: lakeFS's REST paths over embedded stores, on a free port of this machine.

In a test, ``with lakefs_server(directory) as server``; as a program of its own, with ``tests`` on the path::

    python -m harness.lakefs_server DIRECTORY [PORT]

prints the endpoint and serves until it is told to end. Repositories stay in the directory. ``lakefs_api`` says how it
differs from a real server.
"""

import argparse
import base64
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from harness import lakefs_commits, lakefs_objects, lakefs_refs
from harness.lakefs_api import NO_OPERATION, Answer, answer
from harness.lakefs_contract import Contract, swagger_file
from harness.lakefs_faults import Fault, Faults, Seen
from harness.lakefs_repository import NotServed, Repositories
from resources.lake import Lake

__all__ = ["ACCESS_KEY", "SECRET_KEY", "Fault", "LakeFSServer", "lakefs_server"]

OPERATIONS = (lakefs_commits, lakefs_objects, lakefs_refs)
"""Modules whose operations are served; to import them registers these."""

ACCESS_KEY: Final = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY: Final = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

_AUTHORIZATION = "Basic " + base64.b64encode(f"{ACCESS_KEY}:{SECRET_KEY}".encode()).decode()
_OPEN = "/api/v1/healthcheck"
_IN_MEMORY = 1 << 20
_BLOCK = 1 << 16
_IDLE_SECONDS = 60.0


class _ConnectionLost(Exception):
    """A fault ended the connection."""


class LakeFSServer:
    """``faults`` and ``contract`` are for tests; ``contract.breaches`` must be empty after each."""

    def __init__(self, directory: Path, clock: Callable[[], datetime], port: int = 0) -> None:
        self.faults = Faults()
        self.contract = Contract(swagger_file())
        self.stopping = threading.Event()
        self.repositories = Repositories(directory / "repositories", clock)
        self.uploads = directory / "uploads"
        self.uploads.mkdir(exist_ok=True)
        self.connections: set[socket.socket] = set()
        self._http = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def port(self) -> int:
        return self._http.server_port

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables from which a client takes its account."""
        return {
            "LAKECTL_CREDENTIALS_ACCESS_KEY_ID": ACCESS_KEY,
            "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def create_repository(self, name: str) -> str:
        """A new repository; its lake URI."""
        self.repositories.create(name, f"local://{name}")
        return self.uri(name)

    def uri(self, repository: str) -> str:
        return f"lakefs://127.0.0.1:{self.port}/{repository}"

    def behind(self, repository: str) -> Lake:
        """The store behind a repository, for a look past HTTP."""
        found = self.repositories.get(repository)
        assert found is not None, repository
        return found.lake

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.stopping.set()
        self._http.shutdown()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._http.server_close()
        self._thread.join(10)
        self.repositories.close()
        shutil.rmtree(self.uploads, ignore_errors=True)


@contextmanager
def lakefs_server(
    directory: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC), port: int = 0
) -> Iterator[LakeFSServer]:
    """A server on ``directory`` until the block ends; then no thread or connection of it is left.

    Raises AssertionError at the end for requests and answers that were not as lakeFS describes its API.
    """
    server = LakeFSServer(directory, clock, port)
    server.start()
    try:
        yield server
    finally:
        server.close()
    assert not server.contract.breaches, "\n".join(server.contract.breaches)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close() waits for them
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], owner: LakeFSServer) -> None:
        self.owner = owner
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # a client that went away is nothing
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of a short answer in one packet
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.owner.connections.add(self.connection)

    def finish(self) -> None:
        self.owner.connections.discard(self.connection)
        super().finish()

    @property
    def owner(self) -> LakeFSServer:
        return self.server.owner

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the base class prints every request."""

    def _exchange(self) -> None:
        fault = self.owner.faults.striking(self.command, self.path)
        given = None
        try:
            try:
                given = self._carried_out(fault)
            finally:  # before the client may ask for it
                status, name = given.status if given else 0, fault.action if fault else ""
                self.owner.faults.record(Seen(self.command, self.path, status, name))
            if fault is not None and fault.action == "delay answer":
                self.owner.stopping.wait(fault.seconds)
            if fault is not None and fault.action == "drop answer":
                raise _ConnectionLost
            self._send(given, fault)
        except _ConnectionLost:
            self.close_connection = True

    def _carried_out(self, fault: Fault | None) -> Answer:
        body = self._body()
        try:
            if fault is not None:
                self._before(fault)
            return self._answer(fault, body)
        finally:
            if isinstance(body, Path):
                body.unlink(missing_ok=True)

    do_GET = do_PUT = do_POST = do_DELETE = _exchange

    # receiving

    def _body(self) -> bytes | Path:
        """What was sent along; in a file where it is large."""
        spooled = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed below, or kept as a named file
        with spooled:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                while size := int(self.rfile.readline().partition(b";")[0], 16):
                    self._take(size, spooled)
                    self.rfile.readline()
                while self.rfile.readline() not in (b"\r\n", b"\n", b""):
                    """A trailer: nobody needs it."""
            else:
                self._take(int(self.headers.get("Content-Length") or 0), spooled)
            size = spooled.tell()
            spooled.seek(0)
            if size <= _IN_MEMORY:
                return spooled.read()
            with tempfile.NamedTemporaryFile(dir=self.owner.uploads, delete=False) as file:
                shutil.copyfileobj(spooled, file, _BLOCK)
            return Path(file.name)

    def _take(self, size: int, into: Any) -> None:
        while size:
            block = self.rfile.read(min(size, _BLOCK))
            if not block:
                raise _ConnectionLost
            into.write(block)
            size -= len(block)

    # answering

    def _before(self, fault: Fault) -> None:
        if fault.action == "delay":
            self.owner.stopping.wait(fault.seconds)
        if fault.action == "drop":
            raise _ConnectionLost

    def _answer(self, fault: Fault | None, body: bytes | Path) -> Answer:
        if fault is not None and fault.action == "answer":
            return Answer(fault.status, fault.body, {"Content-Type": "application/json"})
        if not self.path.startswith(_OPEN) and self.headers.get("Authorization") != _AUTHORIZATION:
            given = Answer(401, {"message": "error authenticating request"}).encoded()
        else:
            try:
                given = answer(self.owner.repositories, self.command, self.path, self.headers, body).encoded()
            except NotServed as missing:
                self.owner.contract.breaches.append(f"{self.command} {self.path}: {missing}")
                return Answer(501, {"message": str(missing)}).encoded()
            except Exception:
                self.owner.contract.breaches.append(f"{self.command} {self.path}: {traceback.format_exc()}")
                return Answer(500, {"message": "the test server failed"}).encoded()
        self._check(given, body)
        return given

    def _check(self, given: Answer, body: bytes | Path) -> None:
        if given.status == 404 and NO_OPERATION.encode() in given.content:
            return
        headers: Mapping[str, str] = self.headers
        is_json = headers.get("Content-Type", "").startswith("application/json")
        self.owner.contract.check(
            self.command,
            self.path,
            headers,
            body if is_json and isinstance(body, bytes) else None,
            given.status,
            given.headers,
            given.content if isinstance(given.content, bytes) else b"any bytes",
        )

    def _send(self, given: Answer, fault: Fault | None) -> None:
        content = given.content
        start, stop = given.part if isinstance(content, Path) else (0, len(content))
        self.send_response(given.status)
        for name, value in given.headers.items():
            self.send_header(name, value)
        if given.status not in (204, 304):
            self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        is_cut = fault is not None and fault.action in ("truncate", "reset")
        end = start + (stop - start) // 2 if is_cut else stop
        self._send_content(content, start, end)
        self.wfile.flush()
        if fault is not None and is_cut:
            if fault.action == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            raise _ConnectionLost

    def _send_content(self, content: bytes | Path, start: int, stop: int) -> None:
        if isinstance(content, bytes):
            self.wfile.write(content[start:stop])
            return
        with content.open("rb") as file:
            file.seek(start)
            while start < stop and (block := file.read(min(_BLOCK, stop - start))):
                self.wfile.write(block)
                start += len(block)


def main() -> None:
    parser = argparse.ArgumentParser(prog="harness.lakefs_server")
    parser.add_argument("directory", type=Path)
    parser.add_argument("port", type=int, nargs="?", default=0)
    arguments = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    arguments.directory.mkdir(parents=True, exist_ok=True)
    with lakefs_server(arguments.directory, port=arguments.port) as server:
        print(server.endpoint, flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
