"""How hot each session of an account's market was: measured from its bars, kept in the ledger."""

import datetime as dt
import math
from collections.abc import Mapping

import polars as pl

from resources.ledger import Ledger, RiskEvent
from trading.accounts import AccountConfig
from trading.risk.overheat import MarketHeat, size_factor

MARKET_HEAT = "market_heat"
"""Kind of the risk event that holds a session's figures."""


def measure(bars: pl.DataFrame, session: dt.date, gap_pct: float, closes: Mapping[str, float]) -> MarketHeat:
    """The figures of ``bars``, one session in one timeframe (Symbol, Timestamp, Open, Close).

    Args:
        closes: last Close of each Symbol before; its first bar has no gap and no return without one.
    """
    if bars.is_empty():
        return MarketHeat(session, 0.0, 0.0)
    before = pl.DataFrame(
        {"Symbol": list(closes), "_last": list(closes.values())}, schema={"Symbol": pl.String, "_last": pl.Float64}
    )
    frame = bars.sort("Symbol", "Timestamp").join(before, on="Symbol", how="left", maintain_order="left")
    previous = pl.coalesce(pl.col("Close").shift(1).over("Symbol"), pl.col("_last"))
    moves = frame.select(
        "Symbol",
        squared=(pl.col("Close") / previous).log() ** 2,
        gap=((pl.col("Open") / previous - 1).abs() * 100 > gap_pct),
    )
    by_symbol = moves.group_by("Symbol").agg(pl.col("squared").sum())
    return MarketHeat(
        session,
        math.sqrt(math.fsum(by_symbol["squared"]) / by_symbol.height),
        float(moves["gap"].fill_null(False).mean() or 0.0),  # type: ignore[arg-type]
    )


class HeatRecord:
    """The sessions of an account that are on record before one session, and that session as far as it has come."""

    def __init__(self, ledger: Ledger, account: AccountConfig, session: dt.date) -> None:
        self._account, self._session, self._limits = account, session, account.breakers.overheat
        self.history: list[MarketHeat] = []
        self._closes: dict[str, float] = {}
        if self._limits is None:
            return
        earlier = [
            event
            for event in ledger.risk_events(account.name, MARKET_HEAT)
            if event.session is not None and event.session < session
        ]
        for event in sorted(earlier, key=lambda event: event.session or session):
            figures = event.figures
            assert event.session is not None
            self.history.append(MarketHeat(event.session, figures["realised_volatility"], figures["gap_rate"]))
            self._closes |= figures["closes"]

    @property
    def factor(self) -> float:
        """What the session's orders are sized by: known before it begins."""
        return size_factor(self.history, self._limits)

    def factor_after(self, bars: pl.DataFrame) -> float:
        """The factor if the session ended with these of its bars: both figures' limits are those of whole sessions."""
        if self._limits is None or len(self.history) < self._limits.min_sessions:
            return 1.0
        now = measure(bars, self._session, self._limits.gap_pct, self._closes)
        return min(self.factor, size_factor([*self.history, now], self._limits))

    def event(self, bars: pl.DataFrame, at: dt.datetime) -> RiskEvent | None:
        """The session's figures for the ledger; None where the breaker is off or there is no bar."""
        if self._limits is None or bars.is_empty():
            return None
        heat = measure(bars, self._session, self._limits.gap_pct, self._closes)
        last = bars.sort("Timestamp").group_by("Symbol").agg(pl.col("Close").last()).sort("Symbol")
        name = self._account.name
        factor = size_factor([*self.history, heat], self._limits)
        return RiskEvent(
            at, name, "", MARKET_HEAT, "info" if factor == 1 else "warning",
            f"session {self._session}: volatility {heat.realised_volatility:.4f}, gaps {heat.gap_rate:.4f}, next factor "
            f"{factor:g}",
            {
                "realised_volatility": heat.realised_volatility, "gap_rate": heat.gap_rate, "factor": factor,
                "closes": dict(last.iter_rows()),
            },
            self._session, f"{MARKET_HEAT}:{name}:{self._session}",
        )  # fmt: skip
