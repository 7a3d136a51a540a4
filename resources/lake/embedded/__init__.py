"""The embedded lake: one directory, no server, several processes at once."""

from resources.lake.embedded.collection import GcReport
from resources.lake.embedded.integrity import Problem
from resources.lake.embedded.store import EmbeddedLake

__all__ = ["EmbeddedLake", "GcReport", "Problem"]
