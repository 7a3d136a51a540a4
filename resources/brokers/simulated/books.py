"""The books of the simulated broker, in memory as long as no other process changes them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import polars as pl

from resources.brokers.simulated.store import BookRow, BrokerStore
from trading.instruments import Instrument
from trading.ports.broker import BrokerError
from trading.replay import ReplayConfig
from trading.replay.book import Book


@dataclass
class _Open:
    """A book in memory, as of its stored row."""

    book: Book
    row: BookRow


class Books:
    """One :class:`trading.replay.book.Book` per (account, variant), loaded and stored within the store's transactions."""

    def __init__(self, store: BrokerStore) -> None:
        self._store = store
        self._open: dict[tuple[str, str], _Open] = {}
        store.on_failure = self.forget

    def forget(self) -> None:
        """Load every book anew when it is next asked for."""
        self._open.clear()

    def open(
        self, account: str, variant: str, config: ReplayConfig, instruments: Mapping[str, Instrument] | None
    ) -> None:
        """Make the book known, or check that it is the one that is known; see ``SimulatedBroker.open_book``."""
        rules = config.model_dump_json()
        grid = json.dumps(
            None if instruments is None else {k: v.model_dump() for k, v in sorted(instruments.items())}, sort_keys=True
        )
        row = self._store.book(account, variant)
        if row is None:
            book = Book(config, instruments)
            self._put(account, variant, book, BookRow(1, None, None, rules, grid, json.dumps(book.state())))
        elif (row.config, row.instruments) != (rules, grid):
            old = self.load(account, variant)
            state = old.state()
            if row.config != rules:
                _check_that_rules_may_change(f"{account}/{variant}", row.config, config, old)
                state = {**state, "config": Book(config, instruments).state()["config"]}
            book = Book(config, instruments, state)
            changed = replace(row, revision=row.revision + 1, config=rules, instruments=grid)
            self._put(account, variant, book, replace(changed, state=json.dumps(book.state())))

    def load(self, account: str, variant: str) -> Book:
        """The book as it is stored now. BrokerError where it was never opened."""
        return self._held(account, variant).book

    def lot(self, account: str, variant: str, symbol: str) -> Decimal:
        """Lot of a Symbol in the book."""
        instruments = json.loads(self.row(account, variant).instruments)
        given = {"symbol": symbol} if instruments is None else instruments[symbol]
        return Instrument.model_validate(given).lot

    def row(self, account: str, variant: str) -> BookRow:
        """What is stored of the book; BrokerError where it was never opened."""
        return self._held(account, variant).row

    def save(self, account: str, variant: str, bars: pl.DataFrame | None = None) -> None:
        """Store the book as it is in memory, and its clock where it has seen ``bars``."""
        held = self._held(account, variant)
        row = replace(held.row, revision=held.row.revision + 1, state=json.dumps(held.book.state()))
        if bars is not None and bars.height:
            row = replace(row, clock=held.book.last_timestamp(), session=max(bars["session"].to_list()))
        self._put(account, variant, held.book, row)

    def _held(self, account: str, variant: str) -> _Open:
        revision = self._store.revision(account, variant)
        held = self._open.get((account, variant))
        if held is not None and held.row.revision == revision:
            return held
        row = self._store.book(account, variant)
        if row is None:
            raise BrokerError(f"book {account}/{variant} is not open at the simulated broker; open_book comes first")
        raw = json.loads(row.instruments)
        instruments = None if raw is None else {k: Instrument.model_validate(v) for k, v in raw.items()}
        book = Book(ReplayConfig.model_validate_json(row.config), instruments, json.loads(row.state))
        held = self._open[account, variant] = _Open(book, row)
        return held

    def _put(self, account: str, variant: str, book: Book, row: BookRow) -> None:
        self._store.put_book(account, variant, row)
        self._open[account, variant] = _Open(book, row)


def _check_that_rules_may_change(where: str, old: str, new: ReplayConfig, book: Book) -> None:
    held_cash = json.loads(old)["initial_cash"]
    if held_cash != new.initial_cash:
        raise BrokerError(
            f"book {where} was opened with a capital of {held_cash:g}; it cannot become {new.initial_cash:g}, because the "
            "ledger counts from the first. Set it back in the account's file, or trade the variant under another name"
        )
    if book.positions() or book.pending():
        raise BrokerError(
            f"book {where} has open positions or orders, its rules cannot change: they are {old}, asked for are "
            f"{new.model_dump_json()}"
        )
