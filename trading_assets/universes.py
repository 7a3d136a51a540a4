"""Universes: which Symbols, on which calendar, from which vendor, through which filters; one YAML file each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

import polars as pl
from pydantic import Field, StringConstraints, model_validator

from resources.sources.config import SourceConfig
from resources.sources.corporate_actions.config import CorporateActionsConfig
from trading.errors import ConfigError
from trading.features.universe import UniverseConfig
from trading.instruments import SYMBOL_PATTERN, Instrument
from trading_assets.settings import Settings, read_yaml

UNIVERSE_PATTERN = r"^[a-z0-9][a-z0-9_\-]{0,31}$"
_DEFAULT = "default"

Symbol = Annotated[str, StringConstraints(pattern=SYMBOL_PATTERN)]


class Universe(UniverseConfig):
    """Symbols that share a calendar and a vendor.

    Args:
        name: of the file; becomes a part of paths in the lake.
        calendar: exchange_calendars name, or a window on one, e.g. ``CMES 09:30-16:00 America/New_York``.
        symbols: which; null takes all that the source has, in one universe of an installation at most.
        source: where its minutes come from; null for daily series alone, such as benchmarks.
        daily: where the vendor's own daily bars come from, to hold the minutes against.
        corporate_actions: where its splits and dividends come from; null: prices are taken as they are.
        instruments: ticks, lots and currency by Symbol; ``default`` holds for the others.
        filters, atr_sessions: see :class:`UniverseConfig`.
        blackout_file: CSV beside the universe's file, columns Symbol,first,last, for the ``blackout`` filter.
    """

    name: Annotated[str, StringConstraints(pattern=UNIVERSE_PATTERN)]
    calendar: str
    symbols: tuple[Symbol, ...] | None = Field(None, min_length=1)
    source: SourceConfig | None = None
    daily: SourceConfig | None = None
    corporate_actions: CorporateActionsConfig | None = None
    instruments: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    blackout_file: str | None = None

    @model_validator(mode="after")
    def _delivered(self) -> Self:
        if self.source is None and self.daily is None:
            raise ValueError("a source of minutes, of daily bars (daily), or both are needed")
        for symbol in self.instruments:
            self.instrument(symbol if symbol != _DEFAULT else "X")
        return self

    def instrument(self, symbol: str) -> Instrument:
        given = {**self.instruments.get(_DEFAULT, {}), **self.instruments.get(symbol, {})}
        return Instrument(**{"calendar": self.calendar, **given, "symbol": symbol})


@dataclass(frozen=True)
class Universes:
    """The universes of an installation, by name.

    Raises:
        ConfigError: none at all, a Symbol in two of them, or two that take whatever their source has.
    """

    folder: Path
    all: tuple[Universe, ...]

    def __post_init__(self) -> None:
        if not self.all:
            raise ConfigError(f"{self.folder} holds no .yaml file; at least one universe is needed")
        openly = [universe.name for universe in self.all if universe.symbols is None]
        if len(openly) > 1:
            raise ConfigError(
                f"{self.folder}: universes {' and '.join(openly)} both take all Symbols of their source; "
                "give `symbols` in all but one, so that it is told whose a Symbol is"
            )
        seen: dict[str, str] = {}
        for universe in self.all:
            for symbol in universe.symbols or ():
                if symbol in seen:
                    raise ConfigError(
                        f"{self.folder}: Symbol {symbol} is in universes {seen[symbol]} and {universe.name}; one must do"
                    )
                seen[symbol] = universe.name

    @cached_property
    def _of_symbol(self) -> Mapping[str, Universe]:
        return {symbol: universe for universe in self.all for symbol in universe.symbols or ()}

    def named(self, name: str) -> Universe:
        for universe in self.all:
            if universe.name == name:
                return universe
        raise ConfigError(f"{self.folder} has no universe {name!r}; there are {', '.join(u.name for u in self.all)}")

    def of(self, symbol: str) -> Universe:
        """The universe that lists the Symbol, else the one that takes all; of the only one, every Symbol is."""
        found = self._of_symbol.get(symbol)
        if found is None:
            found = next((universe for universe in self.all if universe.symbols is None), None)
        if found is None and len(self.all) == 1:
            found = self.all[0]
        if found is None:
            raise ConfigError(f"{self.folder}: Symbol {symbol} is in no universe; add it to the `symbols` of one")
        return found

    def trades(self, universe: str | None, symbol: str) -> bool:
        """Whether a variant of ``universe`` (None: of all) trades the Symbol."""
        return universe is None or self.of(symbol).name == universe

    def calendar_of(self, variant: str, universe: str | None) -> str:
        """The calendar that a variant's sessions are counted on.

        Raises:
            ConfigError: no such universe, or the variant names none and the universes do not share one calendar.
        """
        if universe is not None:
            return self.named(universe).calendar
        calendars = {chosen.calendar for chosen in self.all if chosen.source is not None}
        if len(calendars) != 1:
            raise ConfigError(
                f"variant {variant}: universe is missing; the universes trade on {', '.join(sorted(calendars))}, and a "
                f"variant trades on one calendar. Name one of {', '.join(chosen.name for chosen in self.all)}"
            )
        return calendars.pop()

    def calendars(self, symbols: Iterable[str]) -> dict[str, list[str]]:
        """The Symbols given, sorted, by the calendar they trade on."""
        found: dict[str, list[str]] = {}
        for symbol in sorted(set(symbols)):
            found.setdefault(self.of(symbol).calendar, []).append(symbol)
        return found

    def instruments(self, symbols: Iterable[str]) -> dict[str, Instrument]:
        """What trades under each of the Symbols given."""
        return {symbol: self.of(symbol).instrument(symbol) for symbol in sorted(set(symbols))}


def load_universes(settings: Settings) -> Universes:
    """Read the installation's universes: the home's own folder where it has one, else that of the configs.

    Raises:
        ConfigError: naming the file and the setting.
    """
    from trading_assets.configured import validated

    folder = settings.universes_dir
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    return Universes(
        folder,
        tuple(
            validated(
                file, Universe.model_validate, {"calendar": settings.calendar, **read_yaml(file), "name": file.stem}
            )
            for file in files
        ),
    )


def blackout_list(settings: Settings, universe: Universe) -> pl.DataFrame | None:
    """The universe's dated list, columns Symbol, first, last; None where it names none. ConfigError names the file."""
    if universe.blackout_file is None:
        return None
    listed = settings.universes_dir / universe.blackout_file
    try:
        return pl.read_csv(listed, schema={"Symbol": pl.String, "first": pl.Date, "last": pl.Date})
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ConfigError(
            f"{listed} (blackout_file of universe {universe.name}): expected CSV columns Symbol,first,last: {error}"
        ) from None
