"""One variant replayed as of a session: what it reads of the lake, and the run that artefacts are made of.

The `backtest` asset reads the signals on main; the command makes them, by the asset's own function, so that an experiment
needs nothing but bars and universe. The rest is the same for both.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from trading_assets.adjusted import Actions
from trading_assets.bars import BAR_ASSETS
from trading_assets.code_version import package_versions, research_version
from trading_assets.history import History
from trading_assets.universes import Universes

if TYPE_CHECKING:
    from trading.instruments import Instrument
    from trading.lab.artefacts import BacktestRun
    from trading.promotion.horizons import Horizon
    from trading.replay import ReplayResult
    from trading.sessions import SessionCalendar
    from trading.variants import Variant

# The look-ahead check that goes into an as-of session's evidence: small, because there is one a session, each with cuts of its
# own. The variant's asset check on its signals looks at every bar.
_CAUSALITY_CUTS, _CAUSALITY_ROUNDS, _CAUSALITY_BARS = 1, 4, 8_000
_REACH: "Horizon" = "1y"


@dataclass(frozen=True)
class Market:
    """What all variants of a step read from.

    Attributes:
        history: the lake at one commit.
        actions: corporate actions at that commit.
        universes: whose Symbols there are.
    """

    history: History
    actions: Actions
    universes: Universes
    _bars: dict[tuple[str, str | None, tuple[dt.date, ...]], pl.DataFrame] = field(
        default_factory=dict, repr=False, compare=False
    )

    def bars(self, variant: "Variant", days: Sequence[dt.date]) -> pl.DataFrame:
        """Bars of those sessions, sorted, of the Symbols that ``variant`` trades: one frame for all variants of a universe."""
        asset = BAR_ASSETS[variant.timeframe]
        key = (asset, variant.universe, tuple(days))
        if key not in self._bars:
            bars = self.history.frame(asset, days)
            if days and variant.universe is not None:
                symbols = bars["Symbol"].unique()
                traded = [symbol for symbol in symbols if self.universes.trades(variant.universe, symbol)]
                bars = bars.filter(pl.col("Symbol").is_in(traded))
            self._bars[key] = bars.sort("Symbol", "Timestamp") if days else bars
        return self._bars[key]

    def calendar(self, variant: "Variant") -> "SessionCalendar":
        from trading.sessions import get_calendar

        return get_calendar(self.universes.calendar_of(variant.name, variant.universe))


@dataclass(frozen=True)
class BacktestInputs:
    """Bars and signals of one variant, read once for all as-of sessions of a step; only read from then on.

    Attributes:
        sessions: with bars and signals, ascending, all there are up to the last as-of session.
        reached: those of them that a replay may go back to.
        bars: of the reached sessions, raw.
        signals: of the same, with session, made by this version of the strategy, at the prices of their own session.
        signals_are: what the manifest says of the signals of some sessions.
    """

    market: Market
    variant: "Variant"
    sessions: Sequence[dt.date]
    reached: Sequence[dt.date]
    bars: pl.DataFrame
    signals: pl.DataFrame
    signals_are: Callable[[Sequence[dt.date]], Mapping[str, Any]]

    @property
    def bars_asset(self) -> str:
        return BAR_ASSETS[self.variant.timeframe]

    @classmethod
    def published(cls, market: Market, variant: "Variant", days: Sequence[dt.date]) -> "BacktestInputs":
        """With the signals that are on main."""
        history, fixed = market.history, {"variant": variant.name}
        with_signals = set(history.sessions("signals", fixed))
        sessions = [day for day in history.sessions(BAR_ASSETS[variant.timeframe]) if day in with_signals]
        reached = _reached(sessions, days, market.calendar(variant))
        bars = market.bars(variant, reached)
        signals = history.frame("signals", reached, fixed)
        if reached:
            signals = signals.filter(pl.col("meta_strategy_version") == variant.strategy_version).join(
                bars.select("Symbol", "Timestamp", "session"), on=["Symbol", "Timestamp"], how="inner"
            )
        return cls(
            market, variant, sessions, reached, bars, signals, lambda days: history.fingerprint("signals", days, fixed)
        )

    @classmethod
    def made_here(cls, market: Market, variant: "Variant", as_of: dt.date) -> "BacktestInputs":
        """With signals made from the bars and the universe on main, as the asset `signals` makes them.

        Where main has the very same signals, the manifest names the commits that brought them.
        """
        from trading_assets.signals import admitted_signals, computed_signals

        history = market.history
        with_universe = set(history.sessions("universe"))
        sessions = [day for day in history.sessions(BAR_ASSETS[variant.timeframe]) if day in with_universe]
        reached = _reached(sessions, [as_of], market.calendar(variant))
        computed = computed_signals(history, market.actions, variant, reached, market.universes)
        signals = admitted_signals(history, variant, computed.signals, reached)

        def are(days: Sequence[dt.date]) -> Mapping[str, Any]:
            found = signals.filter(pl.col("session").is_in(list(days)))
            return signals_on_main(history, variant, found, days) or _content(found, days)

        return cls(market, variant, sessions, reached, market.bars(variant, reached), signals, are)

    def bars_of(self, days: Sequence[dt.date]) -> pl.DataFrame:
        """Bars of those sessions as they compare with the prices of the last one."""
        of_days = self.bars.filter(pl.col("session").is_between(days[0], days[-1]))
        return self.market.actions.adjusted(of_days, days[-1])

    def signals_of(self, days: Sequence[dt.date]) -> pl.DataFrame:
        """Signals of those sessions, their levels on the prices of the last one."""
        of_days = self.signals.filter(pl.col("session").is_between(days[0], days[-1]))
        return self.market.actions.levels(of_days, "session", days[-1])

    def identity(self, days: Sequence[dt.date]) -> dict[str, Any]:
        """What a manifest says of the inputs: commits that made the partitions of those sessions."""
        history = self.market.history
        with_universe = set(history.sessions("universe"))
        made_by = self.market.actions.made_by
        return {
            self.bars_asset: history.fingerprint(self.bars_asset, days),
            "universe": history.fingerprint("universe", [day for day in days if day in with_universe]),
            "signals": self.signals_are(days),
            **({"corporate_actions": {"commit": made_by}} if made_by else {}),
        }


def signals_on_main(
    history: History, variant: "Variant", made: pl.DataFrame, days: Sequence[dt.date]
) -> Mapping[str, Any] | None:
    """The commits that brought the signals of those sessions to main, where they are the very same ones."""
    fixed = {"variant": variant.name}
    if not set(days) <= set(history.sessions("signals", fixed)):
        return None
    published = history.frame("signals", days, fixed).sort("Symbol", "Timestamp")
    return history.fingerprint("signals", days, fixed) if published.equals(made.drop("session")) else None


def backtest_run(
    inputs: BacktestInputs,
    as_of: dt.date,
    horizons: Sequence["Horizon"],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> "BacktestRun":
    """Replay each horizon up to ``as_of``, one of ``inputs.sessions``, and check the strategy for a look ahead.

    Args:
        progress: called with the steps done and their number.

    Raises:
        ContractViolation: bars or signals that the replay refuses.
    """
    from trading.lab.artefacts import BacktestRun, HorizonReplay, session_closes
    from trading.promotion.horizons import horizon_windows
    from trading.replay import replay

    market, variant = inputs.market, inputs.variant
    windows = horizon_windows(as_of, market.calendar(variant), inputs.sessions)
    reach = windows[_REACH].available
    whole = inputs.bars_of(reach)
    instruments = market.universes.instruments(whole["Symbol"].unique())
    replayed: dict[Horizon, HorizonReplay] = {}
    before: tuple[int, ReplayResult, pl.DataFrame] | None = None
    for number, (horizon, window) in enumerate((h, w) for h, w in windows.items() if h in horizons):
        progress(number, len(horizons) + 1)
        days = window.available
        # A longer horizon that reaches no further back than a shorter one is the same replay.
        if before is None or before[0] != len(days):
            bars = inputs.bars_of(days)
            result = replay(bars, inputs.signals_of(days), variant.replay, instruments)
            before = (len(days), result, session_closes(result.equity, bars))
        # the window is within reach only where history begins no later than it
        reaches_back = inputs.sessions[0] <= window.first
        replayed[horizon] = HorizonReplay(window, reaches_back, before[1], before[2])
    progress(len(horizons), len(horizons) + 1)
    return BacktestRun(
        variant=variant,
        as_of=as_of,
        horizons=replayed,
        instruments=instruments,
        inputs=inputs.identity(reach),
        causality=_causality(variant, whole.filter("complete"), instruments, seed=as_of.toordinal()),
        code_version=research_version(),
        packages=package_versions(),
    )


def _reached(sessions: Sequence[dt.date], as_of: Sequence[dt.date], calendar: "SessionCalendar") -> Sequence[dt.date]:
    """Those of ``sessions`` that the longest replay as of any of ``as_of`` goes back to."""
    from trading.promotion.horizons import horizon_window

    known = sorted(set(as_of) & set(sessions))
    if not known:
        return []
    first = horizon_window(_REACH, known[0], calendar, sessions).first
    return [day for day in sessions if first <= day <= known[-1]]


def _content(signals: pl.DataFrame, days: Sequence[dt.date]) -> dict[str, Any]:
    """Of signals that main does not have: their number, and a hash over their rows."""
    rows = signals.drop("session").write_csv().encode()
    return {
        "first": days[0].isoformat(),
        "last": days[-1].isoformat(),
        "rows": signals.height,
        "rows_sha256": hashlib.sha256(rows).hexdigest(),
    }


def _causality(
    variant: "Variant", bars: pl.DataFrame, instruments: "Mapping[str, Instrument]", *, seed: int
) -> dict[str, Any]:
    from trading.strategies import check_causality

    found = check_causality(
        variant.implementation,
        bars,
        variant.params,
        cuts=_CAUSALITY_CUTS,
        rounds=_CAUSALITY_ROUNDS,
        seed=seed,
        instruments=instruments,
        max_bars=_CAUSALITY_BARS,
    )
    return {
        "passed": found.passed,
        "cuts": len(found.cuts) + found.probes,
        "seed": seed,
        "bars": found.bars,
        "signals": found.signals,
        "conclusive": found.conclusive,
    }
