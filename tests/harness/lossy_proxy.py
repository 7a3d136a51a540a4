"""An HTTP proxy in front of one server that can lose an answer: the server did it all, the client is not told."""

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
_SECONDS = 60.0


@dataclass
class LossyProxy:
    """``lost`` are the requests whose answer was thrown away, with the server's status."""

    server: str
    port: int = 0
    lost: list[tuple[str, str, int]] = field(default_factory=list)
    _armed: list[tuple[str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def lose(self, method: str, path: str) -> None:
        """Lose the answer to the next request of this method whose path has the regular expression in it."""
        with self._lock:
            self._armed.append((method, path))

    def is_to_lose(self, method: str, target: str) -> bool:
        with self._lock:
            for number, (wanted, pattern) in enumerate(self._armed):
                if wanted == method and re.search(pattern, target):
                    del self._armed[number]
                    return True
        return False


@contextmanager
def lossy_proxy(server: str) -> Iterator[LossyProxy]:
    """A proxy on loopback for ``server``, a base URL."""
    proxy = LossyProxy(server)
    target = urlsplit(server)
    assert target.hostname is not None

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _SECONDS
        disable_nagle_algorithm = True
        wbufsize = -1

        def _forward(self) -> None:
            status, headers, body = self._ask()
            if proxy.is_to_lose(self.command, self.path):
                proxy.lost.append((self.command, self.path, status))
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            if status not in (204, 304):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _forward

        def _ask(self) -> tuple[int, list[tuple[str, str]], bytes]:
            body = self._body()
            kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
            connection = kind(target.hostname or "", target.port, timeout=_SECONDS)
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in _HOP_BY_HOP:
                        connection.putheader(name, value)
                connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body)
                answer = connection.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            finally:
                connection.close()

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            blocks = []
            while size := int(self.rfile.readline(), 16):
                blocks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(blocks)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the base class prints every request."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.port = listener.server_port
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join(10)
