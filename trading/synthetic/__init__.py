"""A market made from a seed, for demonstrations and tests; it says nothing about real prices."""

from trading.synthetic.bars import synthetic_bars
from trading.synthetic.faults import FAULT_SCHEMA, Injection
from trading.synthetic.market import SyntheticMarket

__all__ = ["FAULT_SCHEMA", "Injection", "SyntheticMarket", "synthetic_bars"]
