"""Measurements of what is claimed about speed; see README.md."""
