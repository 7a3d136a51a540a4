"""Bars in local files as a source: what a folder and a package have in common."""

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl

from resources.sources.bar_file import check_header, count_rows
from resources.sources.dataset_label import read_label
from resources.sources.errors import SourceError, SourceFileRefused
from resources.sources.file_content import FileContent, describe, stamp_of
from resources.sources.file_format import STRICT, FileFormat
from resources.sources.layout import BarFile, Listing, few
from resources.sources.raw_session import Found, Parts, empty, holiday, notes, raw_session
from resources.sources.session_blocks import BYTES_PER_ROW, SessionBlocks
from resources.sources.threads import each
from resources.sources.turns import Turns
from trading.ports.sources import FetchProgress, RawSession, SourceProblem, SourceSkip, Step
from trading.sessions import SessionCalendar, get_calendar

CACHE_BYTES = 1 << 30
_ONE_DAY = dt.timedelta(days=1)
_SHOWN = 5
_ABSENT = "the universe wants it, and there is no file of it"


class FileSource(ABC):
    """Bars of local files, by session; implements :class:`trading.ports.sources.BarSource`.

    Rows are kept as received and belong to the session that :meth:`trading.sessions.SessionCalendar.belongs_to` says. A file
    that is wrong is refused as a whole, shown by :meth:`problems`, and does not stop the others.

    Files of many days are indexed once per version. Sessions announced by :meth:`fetch` and read in ascending order cost one
    decoding of each file per span of sessions that fits ``cache_bytes``; a session that was not announced is read alone.

    Args:
        directory: the folder.
        calendar: whose sessions rows belong to.
        form: what is declared about the files.
        symbols: that are wanted; None takes all.
        strict: refuse the folder for one wrong file.
        cache_bytes: most that rows may take in memory; folders that fit are read once.

    Raises:
        SourceError: no such folder, empty, nothing usable in it, or every file refused.
        SourceFileRefused: with ``strict``, the first refused file.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        calendar: str = "XNYS",
        form: FileFormat = STRICT,
        symbols: Sequence[str] | None = None,
        strict: bool = False,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.directory = Path(directory)
        self.calendar = calendar
        self._form = form
        self._wanted = None if symbols is None else frozenset(symbols)
        self._strict = strict
        self._room = cache_bytes
        self._blocks = SessionBlocks(form, cache_bytes)
        self._contents: dict[tuple[str, str], FileContent] = {}
        self._turns = Turns()
        self._open()

    @property
    def name(self) -> str:
        return f"folder {self.directory}"

    @property
    def label(self) -> str | None:
        return read_label(self.directory)

    @property
    def step(self) -> Step:
        return self._form.step

    def fetch(self, sessions: Sequence[dt.date], progress: FetchProgress | None = None) -> None:
        """Look at the folder again, index what is new in it, and plan how to read ``sessions``."""
        with self._turns.take():
            self._open()
            exchange = get_calendar(self.calendar)
            self._index(self._long, exchange, progress)
            self._refuse_all_wrong()
            self._blocks.plan(self._rows_by_date(exchange), sessions)

    def symbols(self) -> list[str]:
        return sorted({f.symbol for f in self._files if f.shown not in self._refused})

    def problems(self) -> list[SourceProblem]:
        symbol = {f.shown: f.symbol for f in self._files}
        refused = [SourceProblem(s, symbol.get(s), e.reason) for s, e in sorted(self._refused.items())]
        return refused + [SourceProblem("", name, _ABSENT) for name in self._absent()]

    def sessions(self, calendar: str | None = None) -> list[dt.date]:
        """Sessions with at least one row; files of many days are read for it, files of one day taken by their name."""
        with self._turns.take():
            exchange = get_calendar(calendar or self.calendar)
            self._index(self._long, exchange)
            self._refuse_all_wrong()
            dates = self._rows_by_date(exchange).keys()
            named = {f.day for f in self._files if f.day is not None and f.shown not in self._refused}
        return sorted(day for day in dates | named if exchange.is_session(day))

    def skips(self, calendar: str | None = None) -> list[SourceSkip]:
        """Strangers, empty files, and rows on dates that are no session, over the whole folder."""
        with self._turns.take():
            exchange = get_calendar(calendar or self.calendar)
            holidays = [f for f in self._files if f.day is not None and not exchange.is_session(f.day)]
            self._index([*self._long, *holidays], exchange)
            found = list(self._foreign)
            for file, content in self._usable(self._long, exchange):
                if content.rows == 0:
                    found.append(empty(file))
                for day, rows in content.by_date():
                    if not exchange.is_session(day):
                        found.append(holiday(file, day, rows, exchange))
            for file, content in self._usable(holidays, exchange):
                assert file.day is not None
                found.append(holiday(file, file.day, content.rows, exchange))
            return found

    def read_session(
        self, session: dt.date, calendar: str | None = None, symbols: Sequence[str] | None = None
    ) -> RawSession:
        """See :meth:`trading.ports.sources.BarSource.read_session`.

        Raises:
            SourceFileRefused: a file of one of the named ``symbols`` is refused, or all that could hold the session.
            SourceError: a named Symbol has no file.
        """
        known = {f.symbol for f in self._files}
        for symbol in [s for s in symbols or () if s not in known]:
            raise SourceError(f"{self.name} has no file of Symbol {symbol!r}; it has {few(sorted(known))}")
        exchange = get_calendar(calendar or self.calendar)
        with self._turns.take(session):
            parts, skips = self._read(session, exchange, symbols)
        return raw_session(session, exchange, self.step, parts, skips)

    # -- what a kind of folder decides --

    @abstractmethod
    def _list(self) -> Listing:
        """The files, by the layout of this kind."""

    def _choose(self, found: list[Found], session: dt.date) -> tuple[list[Found], list[SourceSkip]]:
        """Which of the files that have rows of a session give them; all."""
        del session
        return found, []

    def _merge(self, parts: Parts, session: dt.date) -> tuple[Parts, list[SourceSkip]]:
        """Which of the chosen files' rows are taken; all."""
        del session
        return parts, []

    # -- opening --

    def _open(self) -> None:
        listing = self._list()
        self._foreign = listing.foreign
        self._files = [f for f in listing.files if self._wanted is None or f.symbol in self._wanted]
        self._refused: dict[str, SourceFileRefused] = {}
        self._long = [f for f in self._files if f.day is None]
        self._days: dict[dt.date, list[BarFile]] = {}
        for file in self._files:
            if file.day is not None:
                self._days.setdefault(file.day, []).append(file)
        for file in self._files:
            if file.shown in listing.refused:
                self._refuse(file, listing.refused[file.shown])
        for file in list(self._headers_to_check()):
            try:
                check_header(file.path, file.shown, self._form)
            except SourceFileRefused as error:
                self._refuse(file, error)
        if not self._files:
            offered = few(sorted({f.symbol for f in listing.files}))
            raise SourceError(f"{self.name} has no file of the wanted Symbols {few(self._absent())}; it has {offered}")
        self._refuse_all_wrong()
        self._whole = self._fits()

    def _absent(self) -> list[str]:
        return sorted((self._wanted or frozenset()) - {f.symbol for f in self._files})

    def _headers_to_check(self) -> Iterator[BarFile]:
        """Every file of many days; of a Symbol's daily files the first and last, as they come from one writer."""
        days: dict[str, list[BarFile]] = {}
        for file in self._files:
            if file.shown in self._refused:
                continue
            if file.day is None:
                yield file
            else:
                days.setdefault(file.symbol, []).append(file)
        for files in days.values():
            yield from dict.fromkeys((files[0], files[-1]))

    def _refuse(self, file: BarFile, error: SourceFileRefused) -> None:
        if self._strict:
            raise error
        self._refused[file.shown] = error

    def _refuse_all_wrong(self) -> None:
        if self._files and all(f.shown in self._refused for f in self._files):
            reasons = "\n".join(f"  {error}" for error in list(self._refused.values())[:_SHOWN])
            more = len(self._refused) - _SHOWN
            rest = f"\n  ... and {more} more" if more > 0 else ""
            raise SourceError(f"none of the {len(self._files)} files of {self.directory} can be used:\n{reasons}{rest}")

    def _fits(self) -> bool:
        """Whether all files of many days have room in memory together."""
        left = self._room
        for file in self._long:
            if file.shown in self._refused:
                continue
            try:
                size, _ = stamp_of(file)
                # Text of a bar is hardly shorter than the bar in memory; Parquet says how many there are.
                left -= size if file.path.suffix == ".csv" else count_rows(file.path, file.shown) * BYTES_PER_ROW
            except SourceFileRefused as error:
                self._refuse(file, error)
            if left < 0:
                return False
        return True

    # -- index --

    def _index(
        self, files: Iterable[BarFile], exchange: SessionCalendar, progress: FetchProgress | None = None
    ) -> None:
        """Describe each version of each file once; those that turn out to be unusable become problems."""
        pending = []
        for file in files:
            if file.shown in self._refused:
                continue
            known = self._contents.get((file.shown, exchange.name))
            try:
                if known is None or known.stamp != stamp_of(file):
                    pending.append(file)
            except SourceFileRefused as error:
                self._refuse(file, error)

        def work(file: BarFile) -> tuple[FileContent, pl.DataFrame | None]:
            return describe(file, self._form, exchange, keep=self._whole or file.day is not None)

        for done, (file, result) in enumerate(each(work, pending), start=1):
            if isinstance(result, SourceFileRefused):
                self._refuse(file, result)
            else:
                self._take(file, *result, exchange)
            if progress is not None:
                progress(done, len(pending), file.shown)

    def _take(self, file: BarFile, content: FileContent, frame: pl.DataFrame | None, exchange: SessionCalendar) -> None:
        stray = [] if file.day is None else [day for day, _ in content.by_date() if abs(day - file.day) > _ONE_DAY]
        if stray:
            reason = f"holds rows of {stray[0]}; a file of a day must hold that day's rows only"
            self._refuse(file, SourceFileRefused(file.shown, reason))
            return
        self._contents[file.shown, exchange.name] = content
        if frame is not None:
            self._blocks.keep(file, content, frame, exchange)

    def _usable(self, files: Iterable[BarFile], exchange: SessionCalendar) -> Iterator[tuple[BarFile, FileContent]]:
        for file in files:
            if file.shown not in self._refused:
                yield file, self._contents[file.shown, exchange.name]

    def _rows_by_date(self, exchange: SessionCalendar) -> dict[dt.date, int]:
        """Rows of all files of many days together."""
        counts: dict[dt.date, int] = {}
        for _, content in self._usable(self._long, exchange):
            for day, rows in content.by_date():
                counts[day] = counts.get(day, 0) + rows
        return counts

    # -- reading --

    def _near(self, session: dt.date, symbols: Sequence[str] | None) -> list[BarFile]:
        days = [self._days.get(session + offset * _ONE_DAY, []) for offset in (-1, 0, 1)]
        near = [*self._long, *(file for files in days for file in files)]
        if any(days):
            near.sort(key=lambda file: (file.symbol, file.shown))
        return near if symbols is None else [file for file in near if file.symbol in symbols]

    def _find(self, files: Iterable[BarFile], session: dt.date, exchange: SessionCalendar) -> Iterator[Found]:
        for file in files:
            refusal = self._refused.get(file.shown)
            if refusal is not None:
                if file.day in (None, session):  # else it is reported with its own date
                    yield Found(file, None, refusal)
            else:
                content = self._contents[file.shown, exchange.name]
                yield Found(file, content, None, *content.between(session, session))

    def _read(
        self, session: dt.date, exchange: SessionCalendar, symbols: Sequence[str] | None
    ) -> tuple[Parts, list[SourceSkip]]:
        near = self._near(session, symbols)
        self._blocks.move(session, exchange, whole=self._whole)
        self._index(near, exchange)
        found, skips = self._loaded(near, session, exchange)
        refusals = [one.refusal for one in found if one.refusal is not None]
        if refusals and (symbols is not None or not any(one.rows for one in found)):
            raise refusals[0]
        for one in found:
            if one.refusal is None:
                skips += notes(one, session)
            else:
                reason = one.refusal.reason
                skips.append(SourceSkip("refused_file", one.file.shown, one.file.symbol, session, 0, reason))
        parts = [(one, self._blocks.rows(one.file, one.start, one.rows)) for one in found if one.rows]
        parts, more = self._merge(parts, session)
        if symbols is None:
            more += [SourceSkip("missing_file", "", name, session, 0, _ABSENT) for name in self._absent()]
        self._blocks.release(session)
        return parts, [*skips, *more]

    def _loaded(
        self, near: list[BarFile], session: dt.date, exchange: SessionCalendar
    ) -> tuple[list[Found], list[SourceSkip]]:
        """The files that the session is taken from, their rows in memory; those that fail on the way are refused ones."""
        while True:
            found, skips = self._choose(list(self._find(near, session, exchange)), session)
            needed = [(one.file, one.content) for one in found if one.content is not None and one.rows]
            failed = self._blocks.load(needed, exchange)
            if not failed:
                return found, skips
            for file, error in failed:
                self._refuse(file, error)
