"""Where corporate actions come from: the port that their adapters implement."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import polars as pl

from trading.ports.sources import FetchProgress


@dataclass(frozen=True)
class RawActions:
    """What a source says.

    Attributes:
        frame: keeps the contract ``corporate_actions``.
        files: SHA-256 (hex) of every file or answer that was read, by its name in the source.
        arrived: when each of ``files`` came here, UTC.
        refused: why there is nothing of a Symbol that was asked for, by Symbol: unknown there, or a row that cannot be
            read.
    """

    frame: pl.DataFrame
    files: Mapping[str, str]
    arrived: Mapping[str, dt.datetime] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class CorporateActionSource(Protocol):
    """Splits and dividends. Implementations raise TradingError subclasses that name the file or answer and the cure."""

    @property
    def name(self) -> str:
        """What people call it; also the ``source`` column of its rows, e.g. ``eodhd``."""
        ...

    @property
    def asks_by_symbol(self) -> bool:
        """Whether it must be told the Symbols; a file lists its own."""
        ...

    def read(
        self,
        symbols: Sequence[str] | None,
        first: dt.date,
        last: dt.date,
        progress: FetchProgress | None = None,
    ) -> RawActions:
        """Actions with ``first <= ex_date <= last``; dates ahead of today give what is announced.

        Args:
            symbols: None takes all that the source has, where it does not ask by Symbol.

        Raises:
            SourceDown: a vendor does not deliver.
            SourceError: what the source holds cannot be used, or the vendor refuses.
            ConfigError: ``symbols`` is None and the source asks by Symbol.
        """
        ...
