"""The embedded broker: paper trading by the replay's own rules."""

from resources.brokers.simulated.broker import SimulatedBroker

__all__ = ["SimulatedBroker"]
