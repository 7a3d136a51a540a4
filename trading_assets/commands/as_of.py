"""What a command that replays reads from, and up to which session."""

import datetime as dt
from typing import TYPE_CHECKING

from trading.errors import ConfigError
from trading_assets.commands.options import open_home_lake
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from trading.sessions import SessionCalendar
    from trading.variants import Variant
    from trading_assets.backtest_runs import Market


def home_market(settings: Settings, ref: str) -> "Market":
    """The home's lake at the commit that ``ref`` names."""
    from resources.lake.finding import find_commit
    from resources.lake.reading import Snapshot
    from trading_assets.adjusted import Actions
    from trading_assets.backtest_runs import Market
    from trading_assets.history import History
    from trading_assets.universes import load_universes

    universes = load_universes(settings)
    lake = open_home_lake(settings)
    snapshot = Snapshot(lake, find_commit(lake, ref).id)
    return Market(History(snapshot), Actions.at(snapshot), universes)


def as_of_session(market: "Market", variant: "Variant", wanted: dt.date | None) -> dt.date:
    """The session to replay up to. ConfigError where the lake has not what that takes."""
    from trading_assets.bars import BAR_ASSETS

    asset, history = BAR_ASSETS[variant.timeframe], market.history
    calendar = market.calendar(variant)
    if wanted is not None and not calendar.is_session(wanted):
        raise ConfigError(f"--as-of {wanted} is no session of {calendar.name}{_nearest(calendar, wanted)}")
    sessions = history.sessions(asset)
    if not sessions:
        raise ConfigError(
            f"there are no {asset} at commit {history.pinned[:16]} of the lake, which {variant.name} reads; "
            "`trading demo` or `trading materialise` make them"
        )
    admitted = set(history.sessions("universe"))
    ready = [day for day in sessions if day in admitted]
    if not ready:
        raise ConfigError(
            f"no session with {asset} has a universe at commit {history.pinned[:16]} of the lake; make it with "
            f"`trading materialise 'key:daily_features or key:universe' --from {sessions[0]} --to {sessions[-1]}`"
        )
    if wanted is None:
        return ready[-1]
    if wanted not in ready:
        missing = "universe" if wanted in sessions else asset
        raise ConfigError(
            f"--as-of {wanted}: {missing} of that session is not at commit {history.pinned[:16]} of the lake, which has "
            f"bars and universe of {len(ready)} sessions, {ready[0]} to {ready[-1]}"
        )
    return wanted


def _nearest(calendar: "SessionCalendar", day: dt.date) -> str:
    around = calendar.sessions(day - dt.timedelta(days=10), day + dt.timedelta(days=10))
    near = [*[found for found in around if found < day][-1:], *[found for found in around if found > day][:1]]
    return f"; the nearest are {' and '.join(map(str, near))}" if near else ""
