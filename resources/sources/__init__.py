"""Sources of raw bars."""

from resources.sources.errors import SourceError, SourceFileRefused
from resources.sources.folder import FolderSource
from resources.sources.package import PackageSource
from resources.sources.synthetic_package import write_package

__all__ = ["FolderSource", "PackageSource", "SourceError", "SourceFileRefused", "write_package"]
