"""What a universe's YAML file may say of where its bars come from."""

from resources.sources.folder import FolderConfig

SourceConfig = FolderConfig
"""One of the kinds of source, told apart by ``kind``; each opens itself."""
