"""A folder of Parquet or CSV minutes as a source, one file per Symbol or one per Symbol and day."""

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from resources.sources.bar_file import check_header, read_bars, sha256
from resources.sources.errors import SourceError, SourceFileRefused
from resources.sources.synthetic_package import DATASET_FILE, read_label
from trading.contracts import RAW_COLUMNS
from trading.instruments import SYMBOL_PATTERN
from trading.ports.sources import FetchProgress, RawSession, SourceProblem, SourceSkip, Step
from trading.sessions import SessionCalendar, get_calendar

_SUFFIXES = (".parquet", ".csv")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_ONE_DAY = dt.timedelta(days=1)
_LAYOUT = "it must hold {SYMBOL}.parquet, {SYMBOL}/{YYYY-MM-DD}.parquet, or .csv files named the same way"
_SHOWN = 5


@dataclass(frozen=True)
class _File:
    path: Path
    shown: str
    symbol: str
    day: dt.date | None  # None: a file of many days


@dataclass(frozen=True)
class _Content:
    """What one version of a file holds; ``runs`` gives offset and length by local date where rows are in
    order.
    """

    stamp: tuple[int, int]
    digest: str
    rows_by_date: dict[dt.date, int]
    runs: dict[dt.date, tuple[int, int]] | None
    rows: int


class FolderSource:
    """Minutes of a folder, by session; implements :class:`trading.ports.sources.BarSource`.

    Rows are kept as received and belong to the date that the exchange's clock shows, so that after-hours
    rows of a winter evening, on the next UTC day, stay with their session. In the per-day layout a file is
    looked at for its own date and the two next to it; rows further off make it refused, rows on a
    neighbouring date are counted.

    A file that is wrong is refused as a whole, shown by :meth:`problems`, and does not stop the others.

    Args:
        directory: the folder; dotfiles and DATASET.json are left alone, other strangers are reported by
            :meth:`skips`.
        calendar: exchange_calendars name whose clock and sessions rows belong to.
        strict: refuse the folder for one wrong file.
        cache_bytes: files are read once and kept up to this size together; beyond it a session is read by
            slice.

    Raises:
        SourceError: no such folder, empty, nothing usable in it, or every file refused.
        SourceFileRefused: with ``strict``, the first refused file.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        calendar: str = "XNYS",
        strict: bool = False,
        cache_bytes: int = 1 << 30,
    ) -> None:
        self.directory = Path(directory)
        self.calendar = calendar
        self._strict = strict
        self._room = cache_bytes
        self._refused: dict[str, SourceFileRefused] = {}
        self._foreign: list[SourceSkip] = []
        self._contents: dict[tuple[str, str], _Content] = {}
        self._frames: dict[str, tuple[tuple[int, int], pl.DataFrame]] = {}
        self._files = sorted(self._scan(), key=lambda f: (f.symbol, f.shown))
        self._open()

    @property
    def name(self) -> str:
        return f"folder {self.directory}"

    @property
    def label(self) -> str | None:
        return read_label(self.directory)

    @property
    def step(self) -> Step:
        return "1m"

    def fetch(self, sessions: Sequence[dt.date], progress: FetchProgress | None = None) -> None:
        """Nothing: the files are here."""

    def symbols(self) -> list[str]:
        return sorted({f.symbol for f in self._files if f.shown not in self._refused})

    def problems(self) -> list[SourceProblem]:
        symbol = {f.shown: f.symbol for f in self._files}
        return [SourceProblem(s, symbol.get(s), e.reason) for s, e in sorted(self._refused.items())]

    def sessions(self, calendar: str | None = None) -> list[dt.date]:
        """Sessions with at least one row; files of many days are read for it, files of one day taken by
        their name.
        """
        exchange = get_calendar(calendar or self.calendar)
        dates = {f.day for f in self._files if f.day is not None and f.shown not in self._refused}
        for _, content in self._indexed(exchange):
            dates |= content.rows_by_date.keys()
        self._refuse_all_wrong()
        return sorted(day for day in dates if exchange.is_session(day))

    def skips(self, calendar: str | None = None) -> list[SourceSkip]:
        """Strangers, empty files, and rows on dates that are no session, over the whole folder."""
        exchange = get_calendar(calendar or self.calendar)
        found = list(self._foreign)
        for file, content in self._indexed(exchange):
            if content.rows == 0:
                found.append(_empty(file))
            for day, rows in content.rows_by_date.items():
                if not exchange.is_session(day):
                    found.append(_holiday(file, day, rows, exchange))
        for file in self._files:
            if file.day is not None and file.shown not in self._refused and not exchange.is_session(file.day):
                rows = self._rows_if_readable(file, exchange)
                found.append(_holiday(file, file.day, rows, exchange))
        return found

    def _rows_if_readable(self, file: _File, exchange: SessionCalendar) -> int:
        try:
            return self._content(file, exchange).rows
        except SourceFileRefused:
            return 0  # listed by problems()

    def read_session(
        self, session: dt.date, calendar: str | None = None, symbols: Sequence[str] | None = None
    ) -> RawSession:
        """See :meth:`trading.ports.sources.BarSource.read_session`.

        Raises:
            SourceFileRefused: a file of one of the named ``symbols`` is refused, or all that could hold the
                session.
            SourceError: a named Symbol has no file.
        """
        exchange = get_calendar(calendar or self.calendar)
        known = {f.symbol for f in self._files}
        for symbol in [s for s in symbols or () if s not in known]:
            raise SourceError(f"{self.name} has no file of Symbol {symbol!r}; it has {_few(sorted(known))}")
        parts: list[pl.DataFrame] = []
        digests: dict[str, str] = {}
        skips: list[SourceSkip] = []
        refusals: list[SourceFileRefused] = []
        for file in self._near(session):
            if symbols is not None and file.symbol not in symbols:
                continue
            try:
                rows, content = self._rows(file, session, exchange)
            except SourceFileRefused as error:
                if file.day not in (None, session):
                    continue  # reported with its own date
                if symbols is not None:
                    raise
                refusals.append(error)
                skips.append(SourceSkip("refused_file", file.shown, file.symbol, session, 0, error.reason))
                continue
            skips += _notes(file, session, rows.height, content)
            if rows.height:
                digests[file.shown] = content.digest
                parts.append(
                    rows.with_columns(Symbol=pl.lit(file.symbol), source_file=pl.lit(file.shown)).select(*RAW_COLUMNS)
                )
        self._forget_far_days(session)
        if refusals and not parts:
            raise refusals[0]
        empty = pl.DataFrame(schema=dict(RAW_COLUMNS))
        frame = pl.concat(parts) if parts else empty
        if not exchange.is_session(session):
            reason = f"{session} is no session of {exchange.name}"
            skips.append(SourceSkip("not_a_session", "", None, session, frame.height, reason))
            return RawSession(session, empty, {}, tuple(skips))
        return RawSession(session, frame, digests, tuple(skips))

    # -- opening --

    def _scan(self) -> Iterator[_File]:
        if not self.directory.is_dir():
            what = "is a file" if self.directory.exists() else "does not exist"
            raise SourceError(f"{self.directory} {what}; the source must be a folder: {_LAYOUT}")
        for entry in sorted(self.directory.iterdir()):
            if entry.name.startswith(".") or entry.name == DATASET_FILE:
                continue
            if entry.is_dir():
                yield from self._scan_days(entry)
            elif entry.suffix in _SUFFIXES:
                yield from self._named(_File(entry, entry.name, entry.stem, None))
            else:
                self._stranger(entry)

    def _scan_days(self, folder: Path) -> Iterator[_File]:
        for entry in sorted(folder.iterdir()):
            if entry.name.startswith("."):
                continue
            shown = f"{folder.name}/{entry.name}"
            if entry.is_dir() or entry.suffix not in _SUFFIXES:
                self._stranger(entry)
                continue
            day = _date(entry.stem)
            file = _File(entry, shown, folder.name, day or dt.date.min)
            if day is None:
                reason = f"the name must be a date, YYYY-MM-DD{entry.suffix}, in a folder named after its Symbol"
                self._refuse(file, SourceFileRefused(shown, reason))
            yield from self._named(file)

    def _named(self, file: _File) -> Iterator[_File]:
        if re.fullmatch(SYMBOL_PATTERN, file.symbol) is None:
            reason = f"{file.symbol!r} is no Symbol; it must be letters, digits and . _ - ^ = only"
            self._refuse(file, SourceFileRefused(file.shown, reason))
        yield file

    def _stranger(self, entry: Path) -> None:
        shown = str(entry.relative_to(self.directory))
        reason = "neither .parquet nor .csv in its place, left alone"
        self._foreign.append(SourceSkip("foreign_file", shown, None, None, 0, reason))

    def _open(self) -> None:
        if not self._files:
            found = _few([s.file for s in self._foreign])
            raise SourceError(f"{self.directory} is {f'not usable, found {found}' if found else 'empty'}; {_LAYOUT}")
        for file in self._headers_to_check():
            try:
                check_header(file.path, file.shown)
            except SourceFileRefused as error:
                self._refuse(file, error)
        self._refuse_all_wrong()

    def _headers_to_check(self) -> Iterator[_File]:
        """Every file of many days; of a Symbol's daily files the first and last, as they come from one
        writer.
        """
        days: dict[str, list[_File]] = {}
        for file in self._files:
            if file.shown in self._refused:
                continue
            if file.day is None:
                yield file
            else:
                days.setdefault(file.symbol, []).append(file)
        for files in days.values():
            yield from dict.fromkeys((files[0], files[-1]))

    def _refuse(self, file: _File, error: SourceFileRefused) -> None:
        if self._strict:
            raise error
        self._refused[file.shown] = error

    def _refuse_all_wrong(self) -> None:
        if self._files and all(f.shown in self._refused for f in self._files):
            reasons = "\n".join(f"  {error}" for error in list(self._refused.values())[:_SHOWN])
            more = len(self._refused) - _SHOWN
            rest = f"\n  ... and {more} more" if more > 0 else ""
            raise SourceError(f"none of the {len(self._files)} files of {self.directory} can be used:\n{reasons}{rest}")

    # -- reading --

    def _near(self, session: dt.date) -> Iterator[_File]:
        for file in self._files:
            if file.day is None or abs(file.day - session) <= _ONE_DAY:
                yield file

    def _indexed(self, exchange: SessionCalendar) -> Iterator[tuple[_File, _Content]]:
        """Usable files of many days with their content; those that turn out unreadable become problems."""
        for file in self._files:
            if file.day is None and file.shown not in self._refused:
                try:
                    yield file, self._content(file, exchange)
                except SourceFileRefused:
                    continue

    def _content(self, file: _File, exchange: SessionCalendar) -> _Content:
        if file.shown in self._refused:
            raise self._refused[file.shown]
        key = (file.shown, str(exchange.timezone))
        try:
            known, stamp = self._contents.get(key), _stamp(file)
            if known is not None and known.stamp == stamp:
                return known
            frame = self._frame(file)
            content = _describe(frame, stamp, sha256(file.path), exchange)
            stray = [] if file.day is None else [d for d in content.rows_by_date if abs(d - file.day) > _ONE_DAY]
            if stray:
                reason = f"holds rows of {stray[0]}; a file of a day must hold that day's rows only"
                raise SourceFileRefused(file.shown, reason)
        except SourceFileRefused as error:
            self._refuse(file, error)
            raise
        self._contents[key] = content
        return content

    def _rows(self, file: _File, session: dt.date, exchange: SessionCalendar) -> tuple[pl.DataFrame, _Content]:
        content = self._content(file, exchange)
        if session not in content.rows_by_date:
            return pl.DataFrame(schema=dict(RAW_COLUMNS)).drop("Symbol", "source_file"), content
        kept = self._frames.get(file.shown)
        if content.runs is not None:
            offset, length = content.runs[session]
            if kept is None and file.path.suffix == ".parquet":
                return read_bars(file.path, file.symbol, file.shown, (offset, length)), content
            frame = kept[1] if kept else self._frame(file)
            return frame.slice(offset, length), content
        frame = kept[1] if kept else self._frame(file)
        return frame.filter(exchange.trading_date(pl.col("Timestamp")) == session), content

    def _frame(self, file: _File) -> pl.DataFrame:
        """All rows, from memory where the file has not changed; kept where there is room."""
        stamp = _stamp(file)
        kept = self._frames.get(file.shown)
        if kept is not None:
            if kept[0] == stamp:
                return kept[1]
            self._release(file.shown)
        frame = read_bars(file.path, file.symbol, file.shown)
        size = int(frame.estimated_size())
        if size <= self._room:
            self._room -= size
            self._frames[file.shown] = (stamp, frame)
        return frame

    def _release(self, shown: str) -> None:
        _, frame = self._frames.pop(shown)
        self._room += int(frame.estimated_size())

    def _forget_far_days(self, session: dt.date) -> None:
        """Daily files are needed for their own date and its neighbours only."""
        days = {f.shown: f.day for f in self._files if f.day is not None and f.shown in self._frames}
        for shown, day in days.items():
            if abs(day - session) > _ONE_DAY:
                self._release(shown)


def _describe(frame: pl.DataFrame, stamp: tuple[int, int], digest: str, exchange: SessionCalendar) -> _Content:
    dates = frame.select(exchange.trading_date(pl.col("Timestamp")).alias("date")).to_series()
    lengths = dates.to_frame().group_by("date", maintain_order=True).len()
    counts: dict[dt.date, int] = dict(lengths.iter_rows())
    runs = None
    if dates.is_sorted():
        ends = lengths["len"].cum_sum().to_list()
        runs = {day: (end - counts[day], counts[day]) for day, end in zip(lengths["date"], ends, strict=True)}
    return _Content(stamp, digest, counts, runs, frame.height)


def _stamp(file: _File) -> tuple[int, int]:
    try:
        status = file.path.stat()
    except OSError as error:
        raise SourceFileRefused(file.shown, f"cannot be read ({error.strerror}); it was there before") from None
    return status.st_size, status.st_mtime_ns


def _notes(file: _File, session: dt.date, rows: int, content: _Content) -> list[SourceSkip]:
    notes = []
    if content.rows == 0 and file.day in (None, session):
        notes.append(_empty(file))
    if file.day is not None and file.day != session and rows:
        reason = f"rows of {session} are in the file of {file.day}; taken by their own date"
        notes.append(SourceSkip("date_disagrees", file.shown, file.symbol, session, rows, reason))
    return notes


def _empty(file: _File) -> SourceSkip:
    reason = "the file has columns but not a single row"
    return SourceSkip("empty_file", file.shown, file.symbol, file.day, 0, reason)


def _holiday(file: _File, day: dt.date, rows: int, exchange: SessionCalendar) -> SourceSkip:
    reason = f"{day} is no session of {exchange.name}; its rows are left out"
    return SourceSkip("not_a_session", file.shown, file.symbol, day, rows, reason)


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None


def _few(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
