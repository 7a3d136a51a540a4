"""What the lake holds at one pinned commit: sessions of a dataset, their frames, and the commits that made them."""

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from resources.lake.reading import Snapshot


@dataclass
class History:
    """Reads of one step, all at the same commit; listings and commits are looked up once.

    ``fixed`` are the partition keys besides the session, in path order, e.g. ``{"variant": "risk1"}``.
    """

    snapshot: "Snapshot"
    _listed: dict[str, list[str]] = field(default_factory=dict)
    _sessions: dict[tuple[str, str], list[dt.date]] = field(default_factory=dict)
    _commits: dict[tuple[str, dt.date, str], str] = field(default_factory=dict)

    def sessions(self, dataset: str, fixed: Mapping[str, str] | None = None) -> list[dt.date]:
        """Sessions of ``dataset`` on main, ascending."""
        key = (dataset, _suffix(fixed))
        if key not in self._sessions:
            if dataset not in self._listed:
                self._listed[dataset] = self.snapshot.partitions(dataset)
            wanted = _suffix(fixed)
            self._sessions[key] = sorted(
                dt.date.fromisoformat(session.removeprefix("session="))
                for session, _, rest in (path.partition("/") for path in self._listed[dataset])
                if rest == wanted
            )
        return self._sessions[key]

    def frame(
        self,
        dataset: str,
        sessions: Iterable[dt.date],
        fixed: Mapping[str, str] | None = None,
        *,
        file: str = "data.parquet",
    ) -> pl.DataFrame:
        """Rows of those sessions together, in order of session; an empty frame without columns where there are none."""
        wanted = [{"session": day.isoformat(), **(fixed or {})} for day in sessions]
        if not wanted:
            return pl.DataFrame()
        return self.snapshot.scan(dataset, wanted, file).collect()

    @property
    def pinned(self) -> str:
        """The commit that everything is read at."""
        return self.snapshot.ref

    def bars_with_warmup(self, dataset: str, sessions: Sequence[dt.date], warmup: int) -> pl.DataFrame:
        """Complete bars of ``sessions``, with enough earlier ones that each Symbol has ``warmup`` of them before the first.

        Goes back in doubling steps, and to the beginning of history for a Symbol that has fewer.
        """
        known = self.sessions(dataset)
        wanted = [day for day in known if sessions[0] <= day <= sessions[-1]]
        earlier = [day for day in known if day < sessions[0]]
        bars = self.frame(dataset, wanted).filter(pl.col("complete"))
        symbols = bars["Symbol"].unique()
        taken, step = 0, 4
        parts = [bars]
        while taken < len(earlier) and len(symbols) > 0:
            chunk = earlier[max(0, len(earlier) - taken - step) : len(earlier) - taken]
            parts.append(
                self.frame(dataset, chunk).filter(pl.col("complete"), pl.col("Symbol").is_in(symbols.implode()))
            )
            taken, step = taken + len(chunk), step * 2
            counts = pl.concat(parts[1:]).group_by("Symbol").len()
            if counts.height == len(symbols) and min(counts["len"].to_list()) > warmup:
                break
        return pl.concat(parts).sort("Symbol", "Timestamp")

    def made_by(self, dataset: str, session: dt.date, fixed: Mapping[str, str] | None = None) -> str:
        """The commit on main that made the partition as it is at the pinned commit."""
        key = (dataset, session, _suffix(fixed))
        if key not in self._commits:
            from resources.lake.provenance import made_by

            partition = {"session": session.isoformat(), **(fixed or {})}
            self._commits[key] = made_by(self.snapshot, dataset, partition).id
        return self._commits[key]

    def fingerprint(
        self, dataset: str, sessions: Sequence[dt.date], fixed: Mapping[str, str] | None = None
    ) -> dict[str, str | int]:
        """What a manifest says of an input: which partitions, and a hash over the commits that made them.

        It changes when, and only when, one of those partitions does, whatever else is published meanwhile.
        """
        commits = [self.made_by(dataset, day, fixed) for day in sessions]
        if not commits:
            return {"partitions": 0}
        return {
            "first": sessions[0].isoformat(),
            "last": sessions[-1].isoformat(),
            "partitions": len(commits),
            "last_commit": commits[-1],
            "commits_sha256": hashlib.sha256("\n".join(commits).encode()).hexdigest(),
        }


def _suffix(fixed: Mapping[str, str] | None) -> str:
    return "/".join(f"{name}={value}" for name, value in (fixed or {}).items())
