"""Interactive Brokers through a running TWS or IB Gateway; only :mod:`.library` names the package that speaks to it."""
