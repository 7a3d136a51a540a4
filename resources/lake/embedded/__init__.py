"""The embedded lake: one directory, no server, several processes at once."""

from resources.lake.embedded.maintenance import GcReport, Problem
from resources.lake.embedded.store import EmbeddedLake

__all__ = ["EmbeddedLake", "GcReport", "Problem"]
