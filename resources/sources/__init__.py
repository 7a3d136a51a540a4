"""Sources of raw minutes."""

from resources.sources.errors import SourceError, SourceFileRefused
from resources.sources.folder import FolderSource
from resources.sources.synthetic_package import write_package

__all__ = ["FolderSource", "SourceError", "SourceFileRefused", "write_package"]
