"""A folder of Parquet or CSV bars as a source, one file per Symbol or one per Symbol and day."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from resources.sources.context import SourceContext
from resources.sources.file_format import STRICT, FileFormat
from resources.sources.file_source import CACHE_BYTES, FileSource
from resources.sources.layout import Listing, list_folder, name_pattern


class FolderConfig(FileFormat):
    """A folder of a universe's configuration; what is not declared is as in our own form.

    Args:
        path: relative to the home unless absolute.
        pattern: names of the files, with ``{symbol}`` and, where a file holds one day, ``{date}``.
        cache_bytes: most that rows may take in memory.
    """

    kind: Literal["folder"] = "folder"
    path: Path
    pattern: str | None = None
    cache_bytes: Annotated[int, Field(ge=0)] = CACHE_BYTES

    @field_validator("pattern")
    @classmethod
    def _usable(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            name_pattern(pattern)
        return pattern

    def open(self, context: SourceContext) -> "FolderSource":
        return FolderSource(
            context.path(self.path),
            calendar=context.calendar,
            form=self,
            pattern=self.pattern,
            symbols=context.symbols,
            cache_bytes=self.cache_bytes,
        )


class FolderSource(FileSource):
    """Bars of a folder, by session; see :class:`resources.sources.file_source.FileSource`.

    In a per-day layout a file is looked at for its own date and the two next to it; rows further off make it refused, rows on
    a neighbouring date are counted. Dotfiles and DATASET.json are left alone, other strangers are reported by
    :meth:`skips`.

    Args:
        pattern: see :class:`FolderConfig`; None takes ``{SYMBOL}.parquet`` and ``{SYMBOL}/{YYYY-MM-DD}.parquet``, or .csv.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        calendar: str = "XNYS",
        form: FileFormat = STRICT,
        pattern: str | None = None,
        symbols: Sequence[str] | None = None,
        strict: bool = False,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._pattern = pattern
        super().__init__(
            directory, calendar=calendar, form=form, symbols=symbols, strict=strict, cache_bytes=cache_bytes
        )

    def _list(self) -> Listing:
        return list_folder(self.directory, self._pattern)
