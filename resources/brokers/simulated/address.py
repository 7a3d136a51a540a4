"""Where a broker process listens: a socket file, or a port of this machine. Neither has a login, so nothing else is taken."""

import socket
from dataclasses import dataclass
from pathlib import Path

from trading.errors import ConfigError

_LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class BrokerAddress:
    """``unix:/path/of/socket`` or ``tcp://127.0.0.1:PORT``; one of ``path`` and ``port`` is set."""

    path: Path | None = None
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> "BrokerAddress":
        """ConfigError says what would be right."""
        if text.startswith("unix:/"):
            return cls(path=Path(text.removeprefix("unix:")))
        host, _, port = text.removeprefix("tcp://").rpartition(":")
        if text.startswith("tcp://") and host in _LOOPBACK and port.isdigit() and int(port) < 65536:
            return cls(port=int(port))
        raise ConfigError(
            f"broker address {text!r} must be like unix:/path/of/socket or tcp://127.0.0.1:7500: the simulated broker has no "
            "login, so it listens on this machine alone"
        )

    def __str__(self) -> str:
        return f"tcp://127.0.0.1:{self.port}" if self.path is None else f"unix:{self.path}"

    def connect(self, seconds: float) -> socket.socket:
        """A connected socket that waits at most ``seconds`` for anything. OSError where nobody listens."""
        if self.path is None:
            return socket.create_connection(("127.0.0.1", self.port or 0), timeout=seconds)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(seconds)
            made.connect(str(self.path))
        except BaseException:
            made.close()
            raise
        return made
