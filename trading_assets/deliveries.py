"""What the universes' sources deliver to one run. One that is down pauses its own universe, and no other."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import polars as pl

from trading.errors import ConfigError
from trading.ports.sources import BarSource, RawSession, SourceDown
from trading_assets.fetch_progress import fetch_progress
from trading_assets.universes import Universe, Universes

if TYPE_CHECKING:
    from dagster import DagsterLogManager

    from resources.configurable import SourcesResource
    from trading.sessions import SessionCalendar

Feed = Literal["source", "daily"]
"""Which of a universe's two deliveries: its minutes, or its vendor's own daily bars."""


@dataclass(frozen=True)
class _Open:
    universe: Universe
    source: BarSource
    sessions: frozenset[dt.date]


@dataclass
class Deliveries:
    """Opens and fetches each source once, when the sessions of the run are known.

    Attributes:
        paused: why a universe's vendor did not deliver, by universe.
    """

    universes: Universes
    feed: Feed
    sources: "SourcesResource"
    clock: Callable[[], dt.datetime]
    log: "DagsterLogManager"
    paused: dict[str, SourceDown] = field(default_factory=dict)
    _open: dict[str, _Open] = field(default_factory=dict)

    def fetch(self, sessions: Sequence[dt.date], partitions: "SessionCalendar") -> None:
        """Open the sources and bring here what ``sessions`` need.

        Args:
            sessions: of the run, ascending.
            partitions: the calendar whose sessions are the partitions.

        Raises:
            ConfigError: a universe's calendar has sessions that are no partition, so that they would be lost.
            SourceDown: no universe's vendor delivers.
        """
        for universe in self.universes.all:
            config = getattr(universe, self.feed)
            if config is None or universe.name in self._open or universe.name in self.paused:
                continue
            due = _due(universe, sessions, partitions)
            try:
                source = self.sources.open(
                    universe.name, config, calendar=universe.calendar, symbols=universe.symbols, clock=self.clock
                )
                if due:
                    source.fetch(due, fetch_progress(self.log, universe.name))
            except SourceDown as down:
                self.paused[universe.name] = down
                self.log.error(f"universe {universe.name} pauses: {down}")
            else:
                self._open[universe.name] = _Open(universe, source, frozenset(due))
        if self.paused and not self._open:
            raise next(iter(self.paused.values()))

    def due(self, session: dt.date) -> list[Universe]:
        """Universes that deliver, and whose calendar has the session."""
        return [opened.universe for opened in self._open.values() if session in opened.sessions]

    def read(self, universe: Universe, session: dt.date) -> RawSession:
        """Rows as received, of the universe's Symbols."""
        raw = self._open[universe.name].source.read_session(session, universe.calendar)
        if universe.symbols is None:
            return raw
        rows = raw.frame.filter(pl.col("Symbol").is_in(universe.symbols))
        files = set(rows["source_file"].unique())
        return RawSession(
            raw.session,
            rows,
            {name: digest for name, digest in raw.files.items() if name in files},
            raw.skips,
            {name: when for name, when in raw.arrived.items() if name in files},
            {name: path for name, path in raw.payloads.items() if name in files},
        )

    def source_name(self, universe: Universe) -> str:
        return self._open[universe.name].source.name


def _due(universe: Universe, sessions: Sequence[dt.date], partitions: "SessionCalendar") -> list[dt.date]:
    if universe.calendar == partitions.name:
        return list(sessions)
    from trading.sessions import get_calendar

    calendar = get_calendar(universe.calendar)
    lost = [day for day in calendar.sessions(sessions[0], sessions[-1]) if not partitions.is_session(day)]
    if lost:
        raise ConfigError(
            f"universe {universe.name}: {lost[0]} is a session of {universe.calendar} and none of {partitions.name}, whose "
            "sessions are the partitions; set `calendar` in platform.yaml to one that has both, such as 24/7"
        )
    return [day for day in sessions if calendar.is_session(day)]
