"""A seeded market with signals, and accounts that trade it."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from resources.brokers.simulated import SimulatedBroker
from resources.ledger import Ledger
from resources.router import Router, RoutingReport
from trading.accounts import AccountConfig
from trading.orders import Lineage, OrderIntent, build_intents
from trading.replay import ReplayConfig
from trading.sessions import get_calendar

CALENDAR = get_calendar("XNYS")
SESSIONS = CALENDAR.sessions(dt.date(2023, 11, 13), dt.date(2024, 1, 12))  # holds two early closes
SYMBOLS = [f"S{n}" for n in range(8)]


@dataclass(frozen=True)
class TestVariant:
    """What orders need of a variant."""

    __test__ = False

    name: str
    replay: ReplayConfig
    timeframe: str = "5m"
    strategy_version: str = "v1"
    config_hash: str = "c1"


def replay_config(**changes: Any) -> ReplayConfig:
    base: dict[str, Any] = {
        "initial_cash": 10_000.0,
        "costs": {"fees_bps": 2.0, "slippage_bps": 1.0},
        "sizing": {"mode": "risk", "risk_pct": 0.5, "max_pos_pct": 20.0, "equity": 10_000.0},
    }
    return ReplayConfig.model_validate(base | changes)


def make_bars(sessions: list[dt.date], symbols: list[str], minutes: int, seed: int) -> pl.DataFrame:
    """Random walks on the session's grid; every tenth bar is missing."""
    rng = np.random.default_rng(seed)
    frames = []
    for symbol in symbols:
        price = float(rng.uniform(20, 200))
        for session in sessions:
            count = CALENDAR.minutes(session) // minutes
            steps = rng.normal(0, 0.0015, (count, 4)).cumsum(axis=1)
            path = price * np.exp(np.concatenate([[0.0], steps[:, -1].cumsum()[:-1]])[:, None] + steps)
            path = np.round(path, 2)
            keep = rng.random(count) > 0.1
            keep[0] = True
            start = CALENDAR.open(session)
            frames.append(
                pl.DataFrame(
                    {
                        "Symbol": [symbol] * count,
                        "Timestamp": [start + dt.timedelta(minutes=minutes * i) for i in range(count)],
                        "Open": path[:, 0],
                        "High": path.max(axis=1),
                        "Low": path.min(axis=1),
                        "Close": path[:, -1],
                        "Volume": rng.integers(1, 1000, count),
                        "session": [session] * count,
                    },
                    schema_overrides={"Timestamp": pl.Datetime("us", "UTC")},
                ).filter(keep)
            )
            price = float(path[-1, -1])
    return pl.concat(frames).sort("Symbol", "Timestamp")


def make_signals(bars: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Brackets around the Close of random bars; some with one side, some without targets."""
    rng = np.random.default_rng(seed)
    n = bars.height
    width = bars["Close"].to_numpy() * rng.uniform(0.0005, 0.003, n)
    close = bars["Close"].to_numpy()
    frame = bars.select("Symbol", "Timestamp", "session").with_columns(
        long_entry=close + width,
        sl_long=close - width,
        tp_long=close + 3 * width,
        short_entry=close - width,
        sl_short=close + width,
        tp_short=close - 3 * width,
        _side=rng.integers(0, 4, n),
        _target=rng.random(n) < 0.8,
        _keep=rng.random(n) < share,
    )
    none = pl.lit(None, pl.Float64)
    for column, hidden in (("long_entry", 1), ("sl_long", 1), ("tp_long", 1), ("short_entry", 2), ("sl_short", 2)):
        frame = frame.with_columns(
            pl.when(pl.col("_side") == hidden).then(none).otherwise(pl.col(column)).alias(column)
        )
    frame = frame.with_columns(pl.when(pl.col("_side") == 2).then(none).otherwise(pl.col("tp_short")).alias("tp_short"))
    for column in ("tp_long", "tp_short"):
        frame = frame.with_columns(pl.when("_target").then(pl.col(column)).alias(column))
    return frame.filter("_keep").drop("_side", "_target", "_keep")


def make_account(variants: list[str], **changes: Any) -> AccountConfig:
    base: dict[str, Any] = {
        "name": "paper",
        "variants": {name: {"capital": 10_000.0} for name in variants},
        "limits": {
            "cooldown_minutes": 0.0,
            "dedupe_seconds": 0.0,
            "orders_per_minute": 10_000,
            "orders_per_second": 10_000,
            "expectancy_min_trades": None,
            "kelly": None,
            "max_gross_pct": 4000,
            "max_net_pct": 4000,
            "max_symbol_pct": 1000,
            "max_leverage": 40,
        },
        "breakers": {"daily_loss_pct": 90.0, "drawdown_pct": 90.0, "overheat": None},
    }
    return AccountConfig.model_validate(base | changes)


@dataclass
class Desk:
    """An account with all that it needs to trade the seeded market."""

    ledger: Ledger
    broker: SimulatedBroker
    router: Router
    account: AccountConfig
    variants: dict[str, TestVariant]
    bars: dict[str, pl.DataFrame]
    signals: dict[str, pl.DataFrame]

    def intents(self, session: dt.date) -> list[OrderIntent]:
        found: list[OrderIntent] = []
        for name, variant in self.variants.items():
            found += build_intents(
                self.signals[name].filter(pl.col("session") == session),
                variant=variant,
                account=self.account,
                session=session,
                equity=10_000.0,
                instruments=None,
                calendar=CALENDAR,
                lineage=Lineage({"signals": "abc"}),
            )
        return found

    def session_bars(self, session: dt.date) -> dict[str, pl.DataFrame]:
        return {name: frame.filter(pl.col("session") == session) for name, frame in self.bars.items()}

    def route(self, session: dt.date, intents: list[OrderIntent] | None = None) -> RoutingReport:
        wanted = self.intents(session) if intents is None else intents
        return self.router.route_session(self.account, session, wanted, self.session_bars(session), self.variants)

    def trades(self, variant: str) -> pl.DataFrame:
        """Closed trades as the replay shows them, from the ledger's fills."""
        intents = {i.order_ref: i for i in self.ledger.intents(None, self.account.name, variant)}
        entries, rows = {}, []
        for fill in self.ledger.fills(self.account.name, variant):
            if fill.leg == "entry":
                entries[fill.order_ref] = fill
                continue
            entry = entries.pop(fill.order_ref)
            rows.append(
                {
                    "Symbol": fill.symbol,
                    "setup_time": intents[fill.order_ref].setup_time,
                    "side": fill.side,
                    "qty": fill.qty,
                    "entry_time": entry.at,
                    "entry_price": entry.price,
                    "exit_time": fill.at,
                    "exit_price": fill.price,
                    "exit_reason": fill.reason,
                    "fees": entry.fee + fill.fee,
                    "pnl": entry.realised + fill.realised,
                }
            )
        return pl.DataFrame(rows).sort("exit_time", "Symbol")


def make_desk(
    folder: Path,
    variants: list[TestVariant],
    *,
    sessions: list[dt.date] = SESSIONS[:5],
    symbols: list[str] = SYMBOLS[:3],
    share: float = 0.15,
    seed: int = 7,
    account: AccountConfig | None = None,
    fault: Any = None,
) -> Desk:
    folder.mkdir(exist_ok=True)
    bars, signals = {}, {}
    for number, variant in enumerate(variants):
        minutes = int(variant.timeframe.removesuffix("m"))
        bars[variant.name] = make_bars(sessions, symbols, minutes, seed)
        signals[variant.name] = make_signals(bars[variant.name], share, seed + 1 + number)
    ledger, broker = Ledger(f"sqlite:///{folder / 'ledger.db'}"), SimulatedBroker(folder / "broker.db")
    return Desk(
        ledger, broker, Router(ledger, broker, CALENDAR, fault=fault), account or make_account([v.name for v in variants]),
        {v.name: v for v in variants}, bars, signals,
    )  # fmt: skip
