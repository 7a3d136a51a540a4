"""The simulated broker as a process of its own: it keeps its state while those who trade with it come, go and die."""

import socketserver
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resources.brokers.simulated.address import BrokerAddress
from resources.brokers.simulated.broker import SimulatedBroker
from resources.brokers.simulated.wire import answer, error_answer, read_request
from trading.errors import TradingError

Exchange = Callable[[SimulatedBroker, bytes], bytes | None]
"""From a request's line to its answer's; None hangs up without an answer."""


def exchange(broker: SimulatedBroker, line: bytes) -> bytes:
    """Do what the request says."""
    try:
        call, arguments = read_request(line)
        return answer(call, getattr(broker, call)(**arguments))
    except TradingError as error:
        return error_answer(error)


def broker_server(
    state_path: Path,
    address: BrokerAddress,
    *,
    executions_per_fill: int = 1,
    exchange: Exchange = exchange,
) -> socketserver.TCPServer:
    """A server that listens; ``serve_forever`` serves, a thread and a :class:`SimulatedBroker` to each connection.

    Args:
        state_path: see :class:`SimulatedBroker`; all connections see the same broker.
        address: a socket file that is left over is replaced; port 0 takes a free one, see :func:`listening_at`.
        exchange: tests put a bad connection in its place.
    """

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            broker = SimulatedBroker(state_path, executions_per_fill=executions_per_fill)
            try:
                for line in self.rfile:
                    reply = exchange(broker, line)
                    if reply is None:
                        return
                    self.wfile.write(reply)
            except ConnectionError:
                return  # whoever it was is gone; what was done stays done
            finally:
                broker.close()

    if address.path is None:
        return _TcpServer(("127.0.0.1", address.port or 0), Handler)
    address.path.parent.mkdir(parents=True, exist_ok=True)
    address.path.unlink(missing_ok=True)
    return _UnixServer(str(address.path), Handler)


def listening_at(server: socketserver.TCPServer) -> BrokerAddress:
    """Where it can be reached, with the port that it was given."""
    name = server.socket.getsockname()
    return BrokerAddress(path=Path(name)) if isinstance(name, str) else BrokerAddress(port=name[1])


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def server_bind(self) -> None:
        super().server_bind()
        Path(str(self.server_address)).chmod(0o600)

    def get_request(self) -> tuple[Any, Any]:
        request, _ = super().get_request()
        return request, ("unix", 0)
