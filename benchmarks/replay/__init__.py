"""How fast a signal frame is replayed, alone and five hundred times, against other backtesting engines."""
