"""Protocols of the outside world: what the domain asks of brokers, sources, sinks and clocks, without
saying how.
"""
