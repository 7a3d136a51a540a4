"""Which files of a folder are bars, whose, and of which day."""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from resources.sources.dataset_label import DATASET_FILE
from resources.sources.errors import SourceError, SourceFileRefused
from trading.instruments import SYMBOL_PATTERN
from trading.ports.sources import SourceSkip

SUFFIXES = (".parquet", ".csv")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}")
_LAYOUT = "it must hold {SYMBOL}.parquet, {SYMBOL}/{YYYY-MM-DD}.parquet, or .csv files named the same way"
_SHOWN = 5


@dataclass(frozen=True)
class BarFile:
    """One file of bars.

    Attributes:
        path: where it is.
        shown: path relative to the source, as messages and lineage name it.
        symbol: whose bars it holds.
        day: whose bars it holds; None for a file of many days.
        drop: the delivery it came with; empty for what is not a later one.
        promised: SHA-256 that its sender states, where there is a statement.
    """

    path: Path
    shown: str
    symbol: str
    day: dt.date | None = None
    drop: str = ""
    promised: str | None = None


@dataclass
class Listing:
    """What is in a folder.

    Attributes:
        files: of bars, by Symbol, then shown path.
        refused: by shown path, those that cannot be used whatever they hold.
        foreign: strangers, left alone.
    """

    files: list[BarFile] = field(default_factory=list)
    refused: dict[str, SourceFileRefused] = field(default_factory=dict)
    foreign: list[SourceSkip] = field(default_factory=list)

    def refuse(self, file: BarFile, reason: str) -> None:
        """Take ``file`` in as one that cannot be used."""
        self.refused[file.shown] = SourceFileRefused(file.shown, reason)
        self.files.append(file)

    def take(self, file: BarFile) -> None:
        if re.fullmatch(SYMBOL_PATTERN, file.symbol) is None:
            self.refuse(file, f"{file.symbol!r} is no Symbol; it must be letters, digits and . _ - ^ = only")
        else:
            self.files.append(file)

    def stranger(self, shown: str, reason: str = "neither .parquet nor .csv in its place, left alone") -> None:
        self.foreign.append(SourceSkip("foreign_file", shown, None, None, 0, reason))

    def sort(self) -> "Listing":
        self.files.sort(key=lambda file: (file.symbol, file.shown))
        self.foreign.sort(key=lambda skip: skip.file)
        return self


def list_folder(directory: Path, pattern: str | None = None) -> Listing:
    """Files of ``directory``; dotfiles and DATASET.json are passed over.

    Args:
        directory: the folder.
        pattern: see :func:`name_pattern`; None takes ``{SYMBOL}.parquet`` and ``{SYMBOL}/{YYYY-MM-DD}.parquet``, or .csv.

    Raises:
        SourceError: no such folder, or nothing in it has such a name.
    """
    require_folder(directory, _layout(pattern))
    listing = Listing()
    if pattern is None:
        for entry in visible(directory):
            _list_entry(entry, listing)
    else:
        _list_matching(directory, name_pattern(pattern), listing)
    require_files(directory, listing, _layout(pattern))
    return listing.sort()


def require_folder(directory: Path, layout: str) -> None:
    if not directory.is_dir():
        what = "is a file" if directory.exists() else "does not exist"
        raise SourceError(f"{directory} {what}; the source must be a folder: {layout}")


def require_files(directory: Path, listing: Listing, layout: str) -> None:
    if not listing.files:
        found = few([skip.file for skip in listing.foreign])
        raise SourceError(f"{directory} is {f'not usable, found {found}' if found else 'empty'}; {layout}")


def visible(directory: Path) -> Iterator[Path]:
    """Entries by name, without dotfiles and DATASET.json."""
    for entry in sorted(directory.iterdir()):
        if not entry.name.startswith(".") and entry.name != DATASET_FILE:
            yield entry


def name_pattern(pattern: str) -> re.Pattern[str]:
    """A pattern of file names as a regular expression over paths relative to the folder.

    Args:
        pattern: with ``{symbol}`` once and ``{date}`` (YYYY-MM-DD or YYYYMMDD) at most once, ending in .parquet or .csv,
            e.g. ``{symbol}_1m.csv`` or ``{date}/{symbol}.parquet``.

    Raises:
        ValueError: saying what a pattern must be.
    """
    if pattern.count("{symbol}") != 1 or pattern.count("{date}") > 1 or not pattern.endswith(SUFFIXES):
        raise ValueError(
            f"{pattern!r} must have {{symbol}} once, {{date}} at most once, and end in .parquet or .csv, "
            "like {symbol}_1m.csv or {date}/{symbol}.parquet"
        )
    text = re.escape(pattern).replace(r"\{symbol\}", r"(?P<symbol>[^/]+?)")
    return re.compile(text.replace(r"\{date\}", rf"(?P<date>{_DATE.pattern})"))


def few(names: list[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _layout(pattern: str | None) -> str:
    return _LAYOUT if pattern is None else f"it must hold files named {pattern}"


def _list_entry(entry: Path, listing: Listing) -> None:
    if entry.is_dir():
        _list_days(entry, listing)
    elif entry.suffix in SUFFIXES:
        listing.take(BarFile(entry, entry.name, entry.stem))
    else:
        listing.stranger(entry.name)


def _list_days(folder: Path, listing: Listing) -> None:
    for entry in visible(folder):
        shown = f"{folder.name}/{entry.name}"
        if entry.is_dir() or entry.suffix not in SUFFIXES:
            listing.stranger(shown)
            continue
        day = _date(entry.stem)
        if day is None:
            reason = f"the name must be a date, YYYY-MM-DD{entry.suffix}, in a folder named after its Symbol"
            listing.refuse(BarFile(entry, shown, folder.name, dt.date.min), reason)
        else:
            listing.take(BarFile(entry, shown, folder.name, day))


def _list_matching(directory: Path, names: re.Pattern[str], listing: Listing) -> None:
    for path in sorted(directory.rglob("*")):
        shown = path.relative_to(directory).as_posix()
        if path.is_dir() or any(part.startswith(".") for part in Path(shown).parts) or shown == DATASET_FILE:
            continue
        found = names.fullmatch(shown)
        if found is None:
            listing.stranger(shown, "its name does not fit the declared pattern, left alone")
            continue
        named = found.groupdict()
        day = _date(named["date"]) if "date" in named else None
        if "date" in named and day is None:
            listing.refuse(BarFile(path, shown, named["symbol"], dt.date.min), f"{named['date']} is no date")
        else:
            listing.take(BarFile(path, shown, named["symbol"], day))


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None
