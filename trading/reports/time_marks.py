"""Marks of a time axis with one step per bar."""

from dataclasses import dataclass

import numpy as np
import polars as pl

_MOST = 8
_MOST_WITH_YEARS = 6


@dataclass(frozen=True)
class TimeMarks:
    """Which bars are marked, with what, and what the axis is called."""

    steps: list[int]
    texts: list[str]
    name: str


def time_marks(times: pl.Series, timezone: str) -> TimeMarks:
    """At most eight marks: dates where several days are shown, times of day within one.

    Args:
        times: Datetime[us, UTC], ascending, at least one.
    """
    local = times.dt.convert_time_zone(timezone)
    days = local.dt.date()
    firsts = [0, *(np.flatnonzero(np.diff(days.to_physical().to_numpy())) + 1).tolist()]
    if len(firsts) > 1:
        years = {days[0].year, days[-1].year}
        chosen = firsts[:: -(-len(firsts) // (_MOST if len(years) == 1 else _MOST_WITH_YEARS))]
        pattern = "%d %b" if len(years) == 1 else "%d %b %Y"
        name = f"{days[0].year}, dates in {timezone}" if len(years) == 1 else f"dates in {timezone}"
        return TimeMarks(chosen, [days[index].strftime(pattern) for index in chosen], name)
    chosen = list(range(0, times.len(), max(1, -(-times.len() // _MOST))))
    texts = [local[index].strftime("%H:%M") for index in chosen]
    return TimeMarks(chosen, texts, f"{days[0]:%d %b %Y}, time in {timezone}")
