"""Bars that are asked for over a network: kept as received, asked for once, read by session."""
