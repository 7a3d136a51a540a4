"""Brokers: adapters to venues, all behind :class:`trading.ports.broker.Broker`."""
