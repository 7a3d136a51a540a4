"""What a sweep is computed from: bars and signals of one variant's parameters, read once at a pinned commit."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from trading.errors import DataError
from trading_assets.adjusted import Actions
from trading_assets.backtest_runs import Market
from trading_assets.bars import BAR_ASSETS
from trading_assets.signals import signals_on

if TYPE_CHECKING:
    from trading.instruments import Instrument
    from trading.sessions import SessionCalendar
    from trading.variants import Variant


@dataclass(frozen=True)
class SweepInputs:
    """Bars of one horizon up to a session, and how signals are made on them.

    Attributes:
        bars: what the replays trade on, as they compare with the prices of ``as_of``.
        sessions: those of the horizon that have bars and a universe, ascending.
        reads: the commit read at, by dataset.
        pins: what a manifest says of the inputs.
    """

    bars: pl.DataFrame
    sessions: list[dt.date]
    as_of: dt.date
    instruments: Mapping[str, "Instrument"]
    calendar: "SessionCalendar"
    reads: Mapping[str, str]
    pins: Mapping[str, Any]
    _complete: pl.DataFrame
    _admitted: pl.DataFrame
    _actions: Actions

    @classmethod
    def read(
        cls,
        market: Market,
        base: "Variant",
        warmup: int,
        as_of: dt.date,
        horizon: str,
    ) -> "SweepInputs":
        """The inputs of a sweep of ``base`` as of a session.

        Args:
            warmup: bars that the strategy needs before a session, at the most.

        Raises:
            DataError: bars and universe of ``as_of`` are not both on main.
        """
        history, universes, actions = market.history, market.universes, market.actions
        bars_asset = BAR_ASSETS[base.timeframe]
        with_universe = set(history.sessions("universe"))
        known = [day for day in history.sessions(bars_asset) if day in with_universe and day <= as_of]
        if as_of not in known:
            raise DataError(
                f"{bars_asset} and universe of session {as_of} are not both on main: materialise them first"
            )
        calendar = market.calendar(base)
        sessions = _sessions(known, as_of, calendar, horizon)
        bars = history.frame(bars_asset, sessions).sort("Symbol", "Timestamp")
        complete = history.bars_with_warmup(bars_asset, sessions, warmup)
        traded = [symbol for symbol in bars["Symbol"].unique() if universes.trades(base.universe, symbol)]
        mine = pl.col("Symbol").is_in(traded)
        admitted = history.frame("universe", sessions).filter("admitted").select("Symbol", "session")
        return cls(
            bars=actions.adjusted(bars.filter(mine), as_of),
            sessions=sessions,
            as_of=as_of,
            instruments=universes.instruments(traded),
            calendar=calendar,
            reads={bars_asset: history.pinned, "universe": history.pinned, **actions.reads},
            pins={
                bars_asset: history.fingerprint(bars_asset, sessions),
                "universe": history.fingerprint("universe", sessions),
                **({"corporate_actions": {"commit": actions.made_by}} if actions.made_by else {}),
            },
            _complete=complete.filter(mine),
            _admitted=admitted,
            _actions=actions,
        )

    def signals(self, variant: "Variant") -> pl.DataFrame:
        """Signals of ``variant`` for admitted Symbols, as the asset `signals` makes them: each session on the view of bars as
        of its own date; the levels on the prices of ``as_of``.
        """
        made = signals_on(self._complete, self._actions, variant, self.sessions, self.instruments)
        wanted = made.join(self._admitted, on=["Symbol", "session"], how="semi").sort("Symbol", "Timestamp")
        return self._actions.levels(wanted, "session", self.as_of)


def _sessions(known: Sequence[dt.date], as_of: dt.date, calendar: "SessionCalendar", horizon: str) -> list[dt.date]:
    from trading.promotion.horizons import horizon_windows

    if horizon == "all":
        return list(known)
    windows = horizon_windows(as_of, calendar, known).items()
    return next(list(window.available) for name, window in windows if name == horizon)
