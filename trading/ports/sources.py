"""Where raw bars come from: the port that source adapters implement."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import polars as pl

from trading.errors import TradingError

Step = Literal["1m", "1d"]
"""How far apart a source's bars are: minutes, or whole sessions."""

FetchProgress = Callable[[int, int, str], None]
"""Called with requests done, requests in all, and what was just done, e.g. ``AAPL 2024-01``."""


class SourceDown(TradingError):
    """A vendor does not answer, or refuses us, after all retries: nothing is known about its data.

    Its universe pauses and nothing falls over to another vendor. The message names the vendor, the Symbol and the
    span that was asked for, and never the key.
    """


@dataclass(frozen=True)
class SourceSkip:
    """Rows or a file that were left out, or stand out, for a stated reason; never silent.

    Attributes:
        kind: ``empty_file``, ``not_a_session``, ``date_disagrees``, ``refused_file``, ``foreign_file``, ``missing_file``; of a
            re-delivered session ``superseded`` and ``superseded_by_fewer``; of a vendor ``no_rows``, ``no_trade``,
            ``asked_too_early``, ``not_fetched``, ``refused_symbol``, ``emptied``.
        file: relative to the source.
        symbol: None where the file names none.
        session: None where it concerns the whole file.
        rows: how many.
        reason: for a person.
    """

    kind: str
    file: str
    symbol: str | None
    session: dt.date | None
    rows: int
    reason: str


@dataclass(frozen=True)
class SourceProblem:
    """A file that is refused as a whole: its path in the source, its Symbol where known, and what would be
    right.
    """

    file: str
    symbol: str | None
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


@dataclass(frozen=True)
class RawSession:
    """One session as received.

    Attributes:
        session: exchange session.
        frame: Symbol, Timestamp (Datetime[us, UTC]), Open, High, Low, Close (Float64), Volume (Int64),
            source_file; extended hours, duplicates and the file's order of rows included; by Symbol, then
            file.
        files: SHA-256 (hex) of every file that gave rows, by path relative to the source.
        skips: what was left out or stands out in this session.
        arrived: when each of ``files`` came here, UTC.
        payloads: where the raw answers of a vendor lie, by the same names; each with one session, though several may have
            rows of it. Empty for a folder, whose files are raw.
    """

    session: dt.date
    frame: pl.DataFrame
    files: Mapping[str, str]
    skips: tuple[SourceSkip, ...] = ()
    arrived: Mapping[str, dt.datetime] = field(default_factory=dict)
    payloads: Mapping[str, Path] = field(default_factory=dict)


@runtime_checkable
class BarSource(Protocol):
    """Raw bars by session. Implementations raise TradingError subclasses that name the file and the cure.

    Daily bars come in the same columns; their Timestamp is the open of their session.
    """

    @property
    def name(self) -> str:
        """What people call it, e.g. ``folder /data/eodhd``."""
        ...

    @property
    def label(self) -> str | None:
        """Text to show wherever results of it show (``SYNTHETIC ...``); None for real data."""
        ...

    @property
    def step(self) -> Step:
        """Whether the bars are minutes or days."""
        ...

    def fetch(self, sessions: Sequence[dt.date], progress: FetchProgress | None = None) -> None:
        """Bring here what :meth:`read_session` needs for these sessions; nothing to do where files are local.

        What has arrived stays, so a download that was killed goes on where it stopped.

        Raises:
            SourceDown: the vendor does not deliver.
        """
        ...

    def symbols(self) -> list[str]:
        """Symbols with at least one usable file, sorted."""
        ...

    def sessions(self, calendar: str | None = None) -> list[dt.date]:
        """Sessions of ``calendar`` (default: the source's own) with at least one row, ascending."""
        ...

    def read_session(
        self, session: dt.date, calendar: str | None = None, symbols: Sequence[str] | None = None
    ) -> RawSession:
        """All rows whose exchange-local date is ``session``.

        Args:
            session: a session of ``calendar``; a holiday gives an empty frame and a skip with the count of
                rows.
            calendar: exchange_calendars name; default the one that the source was opened with.
            symbols: None reads what can be read and lists refused files as skips; named Symbols must all be
                readable.
        """
        ...

    def problems(self) -> list[SourceProblem]:
        """Files refused so far, as a whole."""
        ...
