"""What goes wrong between us, TWS or IB Gateway, and Interactive Brokers."""

from trading.errors import TradingError


class GatewayDown(TradingError):
    """No way to Interactive Brokers now; nothing is known about what was asked. The message has the cure."""


class NoAnswer(GatewayDown):
    """Connected, and nothing came back in time."""


class RequestRefused(TradingError):
    """Interactive Brokers understood one request and says no.

    Attributes:
        code: one of TWS's message codes.
        text: what TWS says.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} (message code {code})")
        self.code = code
        self.text = text


class NotOnReadOnlyConnection(TradingError):
    """Something other than reading data was about to be sent over a connection that is for reading data."""
