"""What differs between vendors: how to ask for a span of one Symbol, and how to read an answer."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from resources.sources.errors import SourceError
from trading.ports.sources import Step


class SymbolRefused(SourceError):
    """The vendor does not have this Symbol, or not for us; the others are not concerned."""


@dataclass(frozen=True)
class Page:
    """One answer.

    Attributes:
        body: as received, once the transport's compression is undone.
        request: what was asked, without any key; for people and for the record.
        cursor: asks for the page after it; None for the last one.
    """

    body: bytes
    request: str
    cursor: str | None = None


class Vendor(Protocol):
    """A vendor's interface. Time-outs, retries and pacing happen inside :meth:`pages`."""

    @property
    def name(self) -> str:
        """Short, in lower case, e.g. ``eodhd``."""
        ...

    @property
    def step(self) -> Step: ...

    @property
    def longest_span(self) -> dt.timedelta:
        """The longest span that one call of :meth:`pages` may be asked for."""
        ...

    def asked_as(self, symbol: str) -> str:
        """All that decides what ``symbol``'s rows mean, for a person: the ticker, the unit of volume.

        Answers that were asked for as something else do not count any more.
        """
        ...

    def pages(self, symbol: str, start: dt.datetime, end: dt.datetime, cursor: str | None = None) -> Iterator[Page]:
        """Answers that hold all bars of ``symbol`` which start in ``[start, end)``, UTC.

        Args:
            cursor: of the last page that arrived before; the first page yielded is then the one after it.

        Raises:
            SourceDown: no usable answer after all retries.
            SymbolRefused: the vendor understood and does not have this Symbol.
            SourceError: it understood and says no to all that we ask: wrong key, not in the plan.
        """
        ...

    def rows(self, symbol: str, body: bytes) -> pl.DataFrame:
        """One body as Timestamp (Datetime[us, UTC], start of the bar), Open, High, Low, Close (Float64), Volume (Int64).

        Rows as they are, duplicates and all, in the order received. A bar that is listed though nothing was traded has
        null in all four prices. Daily bars have midnight UTC of their session's date: a label, as a vendor knows no
        calendar; their longest span is asked for from midnight to midnight UTC.

        Raises:
            SourceError: not what the vendor documents; names the field and what would be right.
        """
        ...
