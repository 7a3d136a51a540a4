"""A server on loopback that answers as Slack's chat.postMessage does, for processes that a test starts."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class SlackServer:
    """What arrived: one decoded body a message, in order, and the tokens that came with them."""

    url: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def texts(self) -> list[str]:
        return [str(message["text"]) for message in self.messages]


@contextmanager
def slack_server() -> Iterator[SlackServer]:
    """Takes every message, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            slack.tokens.add(self.headers.get("Authorization", "").removeprefix("Bearer "))
            slack.messages.append(body)
            answer = json.dumps({"ok": True, "ts": str(len(slack.messages))}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the base class prints every request."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    slack = SlackServer(f"http://127.0.0.1:{server.server_port}/api/")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield slack
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
