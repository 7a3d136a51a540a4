"""What vendors answered, kept as received, and nothing half of it.

::

    AAPL/20240102T050000Z-20240302T050000Z@20240305T211500000000Z~5f0c2a9e/
        asked_as     what the Symbol was asked for as; the folder's name ends in a hash of it, behind span and beginning
        0001.gz      the first answer's body
        0001.json    what was asked, hash of the body, arrival, where the next page is; written after the body
        rows.parquet the bodies' rows by time, for reading; made again from the bodies where it is missing
    AAPL/20240303T...@...~....open/    a delivery under way, or one that was killed

A delivery is complete when its folder has lost ``.open``: one rename, after everything in it is on the disk.
"""

import datetime as dt
import fcntl
import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from resources.sources.downloads.spans import Span
from resources.sources.downloads.vendor import Page
from resources.sources.errors import SourceError

Parse = Callable[[bytes], pl.DataFrame]
"""A body to its rows, see :meth:`resources.sources.downloads.vendor.Vendor.rows`."""

PAGE = "page"
"""Column of the rows: number of the answer which they came in, from 1 (Int32)."""

_SECONDS = "%Y%m%dT%H%M%SZ"
_MICROSECONDS = "%Y%m%dT%H%M%S%fZ"
_OPEN = ".open"
_REFUSED = ".refused"
_GONE = ".gone"
_ROWS = "rows.parquet"
_LOCK = "asked_as"  # as good a file as any to hold while writing
_WAY = 8
_ROWS_IN_GROUP = 4096  # so that one session of a long span costs a part of the file


@dataclass(frozen=True)
class Answer:
    """The record of one page; ``sha256`` (hex) is of the body, not of the file that holds it compressed."""

    number: int
    request: str
    sha256: str
    size: int
    arrived: dt.datetime
    cursor: str | None


@dataclass(frozen=True)
class Delivery:
    """All answers to one span of one Symbol.

    Attributes:
        begun: when the first was asked for, UTC.
        way: :func:`way_of` what the Symbol was asked for as.
    """

    symbol: str
    span: Span
    begun: dt.datetime
    way: str
    folder: Path

    @property
    def answers(self) -> list[Answer]:
        return _answers(self.folder)

    @property
    def is_complete(self) -> bool:
        """Whether it is by now, also where it was under way when it was listed."""
        return self.folder.with_name(self.folder.name.removesuffix(_OPEN)).is_dir()

    def body_file(self, number: int) -> Path:
        return self.folder / f"{number:04d}.gz"

    def shown(self, number: int) -> str:
        """Path of an answer below the store."""
        return f"{self.symbol}/{self.folder.name}/{number:04d}.gz"

    def body(self, answer: Answer) -> bytes:
        """As received. SourceError where the file is gone or has changed."""
        shown = self.shown(answer.number)
        try:
            body = gzip.decompress(self.body_file(answer.number).read_bytes())
        except (OSError, EOFError) as error:
            raise SourceError(
                f"{shown}: cannot be read ({error}); remove its folder and it is downloaded again"
            ) from None
        if hashlib.sha256(body).hexdigest() != answer.sha256:
            raise SourceError(f"{shown}: changed since it arrived; remove its folder and it is downloaded again")
        return body

    def scan(self) -> pl.LazyFrame:
        """The bodies' rows with ``page``, by time, as received within one time."""
        return pl.scan_parquet(self.folder / _ROWS, hive_partitioning=False)

    def rows(self, parse: Parse) -> pl.DataFrame:
        """What :meth:`scan` gives; made again from the bodies, which are what counts, where that is not readable."""
        try:
            return self.scan().collect()
        except (OSError, pl.exceptions.PolarsError):
            return self.write_rows(parse)

    def write_rows(self, parse: Parse) -> pl.DataFrame:
        """Parse all bodies and keep the rows. SourceError where one is not what the vendor documents."""
        parts = [
            parse(self.body(answer)).with_columns(pl.lit(answer.number, pl.Int32).alias(PAGE))
            for answer in self.answers
        ]
        frame = pl.concat(parts).sort("Timestamp", maintain_order=True)
        temporary = self.folder / f"{_ROWS}.{os.getpid()}.tmp"
        frame.write_parquet(temporary, row_group_size=_ROWS_IN_GROUP)
        _durable(temporary)
        temporary.replace(self.folder / _ROWS)
        return frame


class Writing:
    """A delivery under way, held by this process until the block of :meth:`Store.writing` ends."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.answers = delivery.answers

    @property
    def cursor(self) -> str | None:
        """Of the last page that is here."""
        return self.answers[-1].cursor if self.answers else None

    @property
    def all_here(self) -> bool:
        return bool(self.answers) and self.answers[-1].cursor is None

    def add(self, page: Page, arrived: dt.datetime) -> None:
        """Keep one page: body first, its record last, so that a record says that the body is whole."""
        if page.cursor is not None and page.cursor in {answer.cursor for answer in self.answers}:
            raise SourceError(
                f"{page.request}: its next page is one that came before; the vendor's paging goes in circles"
            )
        number = len(self.answers) + 1
        digest = hashlib.sha256(page.body).hexdigest()
        body = self.delivery.body_file(number)
        body.write_bytes(gzip.compress(page.body, 6, mtime=0))
        _durable(body)
        answer = Answer(number, page.request, digest, len(page.body), arrived, page.cursor)
        record = body.with_suffix(".json")
        temporary = record.with_suffix(".tmp")
        temporary.write_text(json.dumps({**asdict(answer), "arrived": arrived.isoformat()}, indent=1))
        _durable(temporary)
        temporary.replace(record)
        self.answers.append(answer)

    def finish(self, parse: Parse) -> Delivery:
        """Make the delivery count. SourceError, and it does not, where a body is not what the vendor documents."""
        under_way = self.delivery
        under_way.write_rows(parse)
        _durable(under_way.folder)
        complete = under_way.folder.with_name(under_way.folder.name.removesuffix(_OPEN))
        under_way.folder.rename(complete)
        _durable(complete.parent)
        _durable(complete.parent.parent)
        self.delivery = replace(under_way, folder=complete)
        return self.delivery

    def discard(self) -> None:
        _remove(self.delivery.folder)
        with suppress(OSError):  # the Symbol's folder, where this was the first delivery
            self.delivery.folder.parent.rmdir()

    def set_aside(self) -> Path:
        """Keep what nothing can be read from, for a person to look at, in place of the last such one."""
        folder = self.delivery.folder
        for earlier in folder.parent.glob(f"*{_REFUSED}"):
            _remove(earlier)
        return folder.rename(folder.with_name(folder.name.removesuffix(_OPEN) + _REFUSED))


class Store:
    """Deliveries below ``directory``, one folder per Symbol; made with the first of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._listed: dict[str, tuple[int, tuple[Delivery, ...]]] = {}

    def deliveries(self, symbol: str) -> tuple[Delivery, ...]:
        """Complete ones, the newest last; the same object as long as nothing changed."""
        folder = self.directory / symbol
        try:
            stamp = folder.stat().st_mtime_ns
        except FileNotFoundError:
            return ()
        known = self._listed.get(symbol)
        if known is None or known[0] != stamp:
            found = sorted(self._read(symbol, ""), key=lambda delivery: (delivery.begun, delivery.span))
            known = self._listed[symbol] = (stamp, tuple(found))
        return known[1]

    def unfinished(self, symbol: str) -> list[Delivery]:
        """Those that are under way here or elsewhere, or were killed."""
        return sorted(self._read(symbol, _OPEN), key=lambda delivery: delivery.begun)

    @contextmanager
    def writing(self, delivery: Delivery) -> Iterator[Writing | None]:
        """Hold an unfinished delivery; None where another process does, or has just finished it."""
        try:
            lock = (delivery.folder / _LOCK).open("ab")
        except FileNotFoundError:
            yield None
            return
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            yield Writing(delivery) if delivery.folder.is_dir() else None
        self._listed.pop(delivery.symbol, None)

    def begin(self, symbol: str, span: Span, now: dt.datetime, asked_as: str) -> Delivery:
        """A new, empty delivery; its name is its own also where the clock stands still."""
        way = way_of(asked_as)
        while True:
            name = f"{span.start:{_SECONDS}}-{span.end:{_SECONDS}}@{now:{_MICROSECONDS}}~{way}"
            folder = self.directory / symbol / f"{name}{_OPEN}"
            with suppress(FileExistsError):
                folder.mkdir(parents=True)
                if not folder.with_name(name).exists():
                    (folder / _LOCK).write_text(f"{asked_as}\n")
                    return Delivery(symbol, span, now, way, folder)
                folder.rmdir()
            now += dt.timedelta(microseconds=1)

    def forget(self, deliveries: Sequence[Delivery]) -> None:
        """Remove complete deliveries, and what earlier removals left behind."""
        for delivery in deliveries:
            gone = delivery.folder.with_name(delivery.folder.name + _GONE)
            delivery.folder.rename(gone)  # a half removed one must not look complete
            for left in gone.parent.glob(f"*{_GONE}"):
                _remove(left)
            self._listed.pop(delivery.symbol, None)

    def _read(self, symbol: str, suffix: str) -> Iterator[Delivery]:
        try:
            names = [entry.name for entry in (self.directory / symbol).iterdir()]
        except FileNotFoundError:
            return
        for name in names:
            if name.endswith(suffix):
                times, _, way = name.removesuffix(suffix).partition("~")
                parts = times.replace("@", "-").split("-")
                if len(way) != _WAY:
                    continue
                try:
                    start, end, begun = (
                        dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC)
                        for text, form in zip(parts, (_SECONDS, _SECONDS, _MICROSECONDS), strict=True)
                    )
                except ValueError:
                    continue  # under way, going, or not ours
                yield Delivery(symbol, Span(start, end), begun, way, self.directory / symbol / name)


def way_of(asked_as: str) -> str:
    """What tells deliveries apart that were asked for as something else."""
    return hashlib.sha256(asked_as.encode()).hexdigest()[:_WAY]


def _answers(folder: Path) -> list[Answer]:
    found: list[Answer] = []
    for path in sorted(folder.glob("[0-9]*.json")):
        record: dict[str, Any] = json.loads(path.read_text())
        found.append(Answer(**{**record, "arrived": dt.datetime.fromisoformat(record["arrived"])}))
    return found


def _durable(path: Path) -> None:
    """What is in this file, or the names in this folder, survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
