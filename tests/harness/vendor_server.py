"""A vendor's server on loopback: what it answers is the caller's, what goes wrong on the way is here."""

import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

JSON = "application/json"


@dataclass(frozen=True)
class Reply:
    """One answer; ``how`` it is sent: whole, half of it and then the end (``half``) or a reset (``reset``), nothing and
    a reset (``nothing``), or one byte after the other (``trickle``) until the client has gone.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON
    how: Literal["whole", "half", "reset", "nothing", "trickle"] = "whole"


@dataclass(frozen=True)
class Asked:
    """One request; ``target`` is path and query as sent."""

    target: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass
class VendorServer:
    """Answers by ``answer``, unless ``faults`` holds something: its first entry strikes the next request and is gone.

    A fault is a reply in place of the answer, or changes the answer. ``asked`` are the requests so far, in order.
    """

    answer: Callable[[Asked], Reply]
    url: str = ""
    faults: "deque[Reply | Callable[[Reply], Reply]]" = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopping: threading.Event = field(default_factory=threading.Event)

    def reply_to(self, asked: Asked) -> Reply:
        with self.lock:
            self.asked.append(asked)
            fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, Reply):
            return fault
        given = self.answer(asked)
        return fault(given) if fault else given


@contextmanager
def vendor_server(answer: Callable[[Asked], Reply]) -> Iterator[VendorServer]:
    """A server until the block ends; then no thread of it is left."""
    owner = VendorServer(answer)
    http = _Server(("127.0.0.1", 0), owner)
    owner.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield owner
    finally:
        owner.stopping.set()
        http.shutdown()
        http.hang_up()
        http.server_close()
        thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close() waits for them

    def __init__(self, address: tuple[str, int], owner: VendorServer) -> None:
        self.owner = owner
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def hang_up(self) -> None:
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that went away, or was killed, is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the base class prints every request."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.path, parts.path, dict(parse_qsl(parts.query)), headers)
        reply = self.server.owner.reply_to(asked)
        if reply.how == "nothing":
            return self._reset()
        self.send_response_only(reply.status)
        if "Date" not in reply.headers:
            self.send_header("Date", self.date_time_string())
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.content_type:
            self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if reply.how == "trickle":
            return self._trickle(reply.body)
        whole = reply.how == "whole"
        self.wfile.write(reply.body if whole else reply.body[: len(reply.body) // 2])
        self.wfile.flush()
        if not whole:
            self.close_connection = True
        if reply.how == "reset":
            self._reset()
        return None

    def _trickle(self, body: bytes) -> None:
        for byte in body:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.server.owner.stopping.wait(0.02):
                return

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
