"""Sources of raw bars."""

from resources.sources.errors import SourceError, SourceFileRefused
from resources.sources.folder import FolderSource
from resources.sources.package import PackageSource

__all__ = ["FolderSource", "PackageSource", "SourceError", "SourceFileRefused"]
