"""What one version of one file holds: which sessions its rows belong to, and where they lie in it."""

import datetime as dt
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from resources.sources.bar_file import read_bars, sha256
from resources.sources.errors import SourceFileRefused
from resources.sources.file_format import FileFormat
from resources.sources.layout import BarFile
from trading.errors import DataError
from trading.sessions import SessionCalendar

_EPOCH = dt.date(1970, 1, 1).toordinal()

Stamp = tuple[int, int]
"""Size and time of the last change, ns: another one is another version of the file."""


@dataclass(frozen=True)
class FileContent:
    """Where each date's rows lie, the rows taken by date, and within one in the order of the file.

    Attributes:
        stamp: of the version described.
        digest: SHA-256, hex.
        dates: ascending, days since 1970.
        starts: where each date's rows begin; one more entry than ``dates``, the number of rows.
        ordered: whether the file itself has its rows by date, so that a slice of it is a span of dates.
    """

    stamp: Stamp
    digest: str
    dates: "array[int]"
    starts: "array[int]"
    ordered: bool

    @property
    def rows(self) -> int:
        return self.starts[-1]

    @property
    def arrived(self) -> dt.datetime:
        """When the file was last written, by the file system's clock, UTC."""
        return dt.datetime.fromtimestamp(self.stamp[1] / 1e9, dt.UTC)

    def by_date(self) -> Iterator[tuple[dt.date, int]]:
        """Every date and how many rows it has."""
        for i, day in enumerate(self.dates):
            yield dt.date.fromordinal(day + _EPOCH), self.starts[i + 1] - self.starts[i]

    def between(self, first: dt.date, last: dt.date) -> tuple[int, int]:
        """Offset and length of the rows of all dates from ``first`` to ``last``, both included."""
        low = bisect_left(self.dates, first.toordinal() - _EPOCH)
        high = bisect_right(self.dates, last.toordinal() - _EPOCH)
        start = self.starts[low]
        return start, max(self.starts[high] - start, 0)


def stamp_of(file: BarFile) -> Stamp:
    """Raises SourceFileRefused where the file is gone."""
    try:
        status = file.path.stat()
    except OSError as error:
        raise SourceFileRefused(file.shown, f"cannot be read ({error.strerror}); it was there before") from None
    return status.st_size, status.st_mtime_ns


def describe(
    file: BarFile, form: FileFormat, exchange: SessionCalendar, *, keep: bool
) -> tuple[FileContent, pl.DataFrame | None]:
    """Index one file.

    Args:
        file: read once for its hash and once for its rows.
        form: what is declared about it.
        exchange: whose sessions rows belong to.
        keep: read all columns, and hand the rows over by date; else only what tells the dates.

    Raises:
        SourceFileRefused: it cannot be used, changed while it was read, or is not what its sender states.
    """
    stamp = stamp_of(file)
    digest = sha256(file.path)
    if file.promised is not None and digest != file.promised:
        reason = f"SHA-256 is {digest[:12]}..., stated is {file.promised[:12]}...: still being copied, or damaged"
        raise SourceFileRefused(file.shown, reason)
    frame = read_bars(file.path, file.symbol, file.shown, form, prices=keep)
    dates = _dates_or_refusal(file, frame, form, exchange)
    ordered = dates.is_sorted()
    runs = (dates if ordered else dates.sort()).rle().struct.unnest()
    content = FileContent(
        stamp,
        digest,
        array("i", runs["value"].cast(pl.Int32).to_list()),
        array("q", [0, *runs["len"].cum_sum().to_list()]),
        ordered,
    )
    if stamp_of(file) != stamp:
        raise SourceFileRefused(file.shown, "it changed while it was read: is it still being copied?")
    return content, (frame if ordered else by_date(frame, dates)) if keep else None


def dates_of(frame: pl.DataFrame, form: FileFormat, exchange: SessionCalendar) -> pl.Series:
    """The date that each row belongs to, see :meth:`trading.sessions.SessionCalendar.belongs_to`."""
    if form.step == "1d":
        return frame["Timestamp"]
    return exchange.belongs_to(frame["Timestamp"])


def _dates_or_refusal(file: BarFile, frame: pl.DataFrame, form: FileFormat, exchange: SessionCalendar) -> pl.Series:
    try:
        return dates_of(frame, form, exchange)
    except DataError as error:
        days = frame["Timestamp"].dt.date().cast(pl.String)
        first, last = days.sort()[[0, -1]]
        reason = f"its rows are from {first} to {last}: are its times declared right? {error}"
        raise SourceFileRefused(file.shown, reason) from None


def by_date(frame: pl.DataFrame, dates: pl.Series) -> pl.DataFrame:
    """Rows by date, and within one as they came."""
    return frame.with_columns(dates.alias("date")).sort("date", maintain_order=True).drop("date")
