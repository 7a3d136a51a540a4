"""Vendors of market data: how each is asked and how its answers read."""
