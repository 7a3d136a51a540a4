"""A vendor's package as a source: one file per Symbol, and later drops with new and re-delivered sessions."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from pydantic import Field

from resources.sources.context import SourceContext
from resources.sources.drops import list_package
from resources.sources.file_format import STRICT, FileFormat
from resources.sources.file_source import CACHE_BYTES, FileSource
from resources.sources.layout import Listing
from resources.sources.raw_session import Found, Parts
from trading.ports.sources import SourceSkip

Redelivery = Literal["session", "minute"]
"""What a newer drop replaces: a Symbol's whole session, or only the minutes that it has itself."""


class PackageConfig(FileFormat):
    """A package of a universe's configuration; what is not declared of its files is as in our own form.

    Args:
        path: relative to the home unless absolute.
        redelivery: ``session`` takes a Symbol's session whole from the newest drop that has a row of it; ``minute`` adds the
            drops up, the newest winning each minute.
        marker: name of the file that the sender puts into each drop last; a drop without it has not arrived.
        cache_bytes: most that rows may take in memory.
    """

    kind: Literal["package"] = "package"
    path: Path
    redelivery: Redelivery = "session"
    marker: Annotated[str, Field(pattern=r"^[\w.-]+$")] | None = None
    cache_bytes: Annotated[int, Field(ge=0)] = CACHE_BYTES

    def open(self, context: SourceContext) -> "PackageSource":
        return PackageSource(
            context.path(self.path),
            calendar=context.calendar,
            form=self,
            redelivery=self.redelivery,
            marker=self.marker,
            symbols=context.symbols,
            cache_bytes=self.cache_bytes,
        )


class PackageSource(FileSource):
    """Bars of a package, by session; see :class:`resources.sources.file_source.FileSource`.

    Every session of a Symbol is taken from the newest delivery of it. What gave way is told as a skip: ``superseded``, or
    ``superseded_by_fewer`` where there were more rows before. It fails closed: a file that cannot be used, or a drop that has
    not arrived whole, stands for any session that no newer delivery has, so these are refused for its Symbol rather than taken
    from an older one.

    Args:
        redelivery: see :class:`PackageConfig`.
        marker: see :class:`PackageConfig`.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        calendar: str = "XNYS",
        form: FileFormat = STRICT,
        redelivery: Redelivery = "session",
        marker: str | None = None,
        symbols: Sequence[str] | None = None,
        strict: bool = False,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._marker = marker
        self._redelivery = redelivery
        super().__init__(
            directory, calendar=calendar, form=form, symbols=symbols, strict=strict, cache_bytes=cache_bytes
        )

    @property
    def name(self) -> str:
        return f"package {self.directory}"

    def _list(self) -> Listing:
        return list_package(self.directory, self._marker)

    def _choose(self, found: list[Found], session: dt.date) -> tuple[list[Found], list[SourceSkip]]:
        chosen: list[Found] = []
        skips: list[SourceSkip] = []
        for _, of_symbol in groupby(found, key=lambda one: one.file.symbol):
            newest, older = self._split(list(of_symbol))
            chosen += newest
            skips += _superseded(newest, older, session)
        return chosen, skips

    def _split(self, found: list[Found]) -> tuple[list[Found], list[Found]]:
        """Of one Symbol's files those that its session is taken from, and those that gave way to them. A refused file is
        returned alone: without it nothing is known.
        """
        taken: list[Found] = []
        given_way: list[Found] = []
        for delivery in _newest_first(found):
            with_rows = [one for one in delivery if one.rows]
            if taken and self._redelivery == "session":
                given_way += with_rows
                continue
            refused = [one for one in delivery if one.refusal is not None]
            if refused:
                return refused[:1], []
            taken += with_rows
        order = {one.file.shown: i for i, one in enumerate(found)}
        return sorted(taken, key=lambda one: order[one.file.shown]) or found, given_way

    def _merge(self, parts: Parts, session: dt.date) -> tuple[Parts, list[SourceSkip]]:
        if self._redelivery == "session":
            return parts, []
        merged: Parts = []
        skips: list[SourceSkip] = []
        for _, of_symbol in groupby(parts, key=lambda part: part[0].file.symbol):
            mine = list(of_symbol)
            if len(mine) > 1:
                mine, more = _newest_minutes(mine, session)
                skips += more
            merged += mine
        return merged, skips


def _newest_first(found: Iterable[Found]) -> Iterator[list[Found]]:
    """One Symbol's files by delivery; one delivery may be several files, Parquet and CSV."""
    ordered = sorted(found, key=lambda one: one.file.drop, reverse=True)
    for _, delivery in groupby(ordered, key=lambda one: one.file.drop):
        yield list(delivery)


def _superseded(newest: Sequence[Found], older: Sequence[Found], session: dt.date) -> Iterator[SourceSkip]:
    instead = sum(one.rows for one in newest)
    for one in older:
        fewer = instead < one.rows
        reason = f"{one.rows} rows of {session} gave way to {instead} of {newest[0].file.shown}"
        kind, told = ("superseded_by_fewer", f"{reason}: fewer than before") if fewer else ("superseded", reason)
        yield SourceSkip(kind, one.file.shown, one.file.symbol, session, one.rows, told)


def _newest_minutes(parts: Parts, session: dt.date) -> tuple[Parts, list[SourceSkip]]:
    """One Symbol's rows without those whose minute a newer delivery has."""
    frames = {one.file.shown: rows for one, rows in parts}
    skips = []
    newer: list[pl.Series] = []
    for delivery in _newest_first(one for one, _ in parts):
        own = [frames[one.file.shown]["Timestamp"] for one in delivery]
        for one in delivery:
            rows = frames[one.file.shown]
            kept = rows.filter(~pl.col("Timestamp").is_in(pl.concat(newer).implode())) if newer else rows
            frames[one.file.shown] = kept
            gone = rows.height - kept.height
            if gone:
                reason = f"{gone} rows of {session} gave way to newer deliveries of their minutes"
                skips.append(SourceSkip("superseded", one.file.shown, one.file.symbol, session, gone, reason))
        newer += own
    return [(one, frames[one.file.shown]) for one, _ in parts], skips
