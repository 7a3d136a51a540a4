"""The circuit breakers in the router: looked at at every step, after every reconciliation and before every entry."""

import bisect
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import polars as pl

from resources.ledger import LedgerWriter, RiskEvent
from resources.market_heat import HeatRecord
from resources.router.desk import Desk
from resources.session_state import SessionState
from trading.ports.broker import AccountValues
from trading.risk.breakers import Breach, losing_streak, money_breaches, streak_start
from trading.risk.pauses import Health, Pause, pauses
from trading.risk.win_rate import WinRateReference

HealthProbe = Callable[[], Health]
"""Measures what trading rests on, now: broker, ledger, lake and clock. Data and market are the router's own to see."""


def all_well() -> Health:
    """For a router beside which nothing is measured."""
    return Health()


class Breakers:
    """Breaches that engage the kill switch, and pauses that hold entries back.

    Args:
        references: win rate of each variant that its trades are held against; one without is not held.
    """

    def __init__(
        self, desk: Desk, state: SessionState, references: Mapping[str, WinRateReference], health: HealthProbe
    ) -> None:
        self._desk, self._state, self._references, self._health = desk, state, references, health
        self._heat = HeatRecord(desk.ledger, desk.account, desk.session)
        self._bars = self._finest()
        self._ends = sorted({end for name in desk.variants for end in self._bar_ends(name)})
        self.breaches: list[Breach] = []

    def engage(self, w: LedgerWriter, values: Sequence[AccountValues], at: dt.datetime) -> None:
        """Engage the switch for every limit that is broken by what the books are worth now, each breach once."""
        account, session = self._desk.account, self._desk.session
        found = money_breaches(account, session, self._state.books(list(values)))
        for variant, reference in sorted(self._references.items()):
            since = streak_start(reference.since, w.last_release(f"book:{account.name}/{variant}"))
            pnls = self._state.pnls_since(variant, since)
            wins = sum(pnl > 0 for pnl in pnls)
            breach = losing_streak(
                account, variant, session, trades=len(pnls), wins=wins, reference_rate=reference.rate
            )
            found += [] if breach is None else [breach]
        self.breaches += [b for b in found if w.engage(b.scope, b.says, "breaker", at, b.breach_id)]

    def pauses(self, at: dt.datetime) -> list[Pause]:
        """What holds entries back at ``at``."""
        limits = self._desk.account.breakers
        known = bisect.bisect_right(self._ends, at)
        age = (at - self._ends[known - 1]).total_seconds() if known else None
        factor = self._heat.factor_after(self._bars.filter(pl.col("_end") <= at))
        return pauses(replace(self._health(), data_age_seconds=age, size_factor=factor), limits)

    def record_pauses(self, w: LedgerWriter, found: Sequence[Pause], at: dt.datetime) -> None:
        """Each reason to pause is on record once a session."""
        account, session = self._desk.account.name, self._desk.session
        for pause in found:
            w.record_risk_event(
                RiskEvent(
                    at, account, "", f"paused_{pause.name}", "warning", f"new entries are paused: {pause.says}",
                    {"figure": pause.figure, "limit": pause.limit}, session, f"paused:{account}:{session}:{pause.name}",
                )
            )  # fmt: skip

    def record_market(self, w: LedgerWriter) -> None:
        """The session's own heat, for the sessions after it."""
        event = self._heat.event(self._bars, self._desk.close)
        if event is not None:
            w.record_risk_event(event)

    def _finest(self) -> pl.DataFrame:
        """Bars of the shortest timeframe that is traded, each Symbol's once."""
        desk = self._desk
        shortest = min(desk.bar_length.values(), default=None)
        frames = [
            frame.select("Symbol", "Timestamp", "Open", "Close", _end=self._end_of(name))
            for name, frame in sorted(desk.bars.items())
            if desk.bar_length[name] == shortest
        ]
        if not frames:
            return pl.DataFrame(schema={"Symbol": pl.String, "_end": pl.Datetime("us", "UTC")})
        return pl.concat(frames).unique(["Symbol", "Timestamp"], keep="first", maintain_order=True)

    def _bar_ends(self, name: str) -> list[dt.datetime]:
        return self._desk.bars[name].select(self._end_of(name)).to_series().unique().to_list()

    def _end_of(self, name: str) -> pl.Expr:
        desk = self._desk
        return (pl.col("Timestamp") + desk.bar_length[name]).clip(upper_bound=pl.lit(desk.close))
