"""Trades of a sweep, summed up by set and session."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from trading.replay.machine import Machine
from trading.replay.market import Bars


@dataclass(frozen=True)
class TradesBySession:
    """Trades of n sets in m sessions, (n, m); each counts in the session of its exit.

    Attributes:
        trades: their number (int64).
        won, lost: sums of their profits and of their losses, both 0 or more, currency; a trade without profit is a loss.
    """

    trades: npt.NDArray[np.int64]
    won: npt.NDArray[np.float64]
    lost: npt.NDArray[np.float64]


@dataclass(frozen=True)
class SessionSums:
    """Sums in the making.

    Attributes:
        days: of each bar its session, as days since 1970; ``place[day - first_day]`` is its index among the sessions.
    """

    found: TradesBySession
    days: npt.NDArray[np.int32]
    first_day: int
    place: npt.NDArray[np.int64]

    @classmethod
    def of(cls, bars: Bars, sessions: pl.Series, sets: int) -> "SessionSums":
        """Nothing yet, of so many sets."""
        own = sessions.to_physical().to_numpy()
        first = int(own[0]) if len(own) else 0
        place = np.full(int(own[-1]) - first + 1 if len(own) else 0, -1, np.int64)
        place[own - first] = np.arange(len(own))
        shape = sets, len(own)
        return cls(
            TradesBySession(np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape)), bars.days, first, place
        )

    def add(self, i: int, machine: Machine) -> None:
        """The trades of set ``i``, whose run is finished."""
        from trading.replay import figures

        found = self.found
        rows = found.trades[i], found.won[i], found.lost[i]
        for row in rows:
            row[:] = 0  # of an attempt that was given up for signals out of order
        figures.by_session(machine.run, machine.log, self.days, self.first_day, self.place, *rows)
