"""The embedded broker: paper trading by the replay's own rules, in this process or in one of its own."""

from resources.brokers.simulated.address import BrokerAddress
from resources.brokers.simulated.broker import SimulatedBroker
from resources.brokers.simulated.remote import RemoteBroker
from resources.brokers.simulated.server import broker_server, listening_at

__all__ = ["BrokerAddress", "RemoteBroker", "SimulatedBroker", "broker_server", "listening_at"]
