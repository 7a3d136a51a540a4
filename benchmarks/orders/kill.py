"""One account whose position loses 5 % while its other orders rest, through the real router, ledger and simulated broker."""

import datetime as dt
import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from resources.brokers.simulated import SimulatedBroker
from resources.ledger import Ledger
from resources.router import Router
from trading.accounts import AccountConfig
from trading.orders import OrderIntent
from trading.replay import ReplayConfig
from trading.sessions import get_calendar

CALENDAR = get_calendar("XNYS")
DAY = dt.date(2024, 3, 1)


@dataclass(frozen=True)
class Stopped:
    """Milliseconds of one stop.

    Attributes:
        fill_ms: the bar is given to the broker, and the fill that breaks the limit is durable there.
        record_ms: news fetched, fill booked, breach found, switch engaged; all in one commit of the ledger.
        cancel_ms: until the broker has acknowledged the last cancellation.
        verify_ms: until it has shown that no order is open.
    """

    fill_ms: float
    record_ms: float
    cancel_ms: float
    verify_ms: float

    @property
    def total_ms(self) -> float:
        """From the fill to the last cancellation acknowledged; the bar's own play is not part of it."""
        return self.record_ms + self.cancel_ms


@dataclass(frozen=True)
class _Variant:
    name: str
    replay: ReplayConfig
    timeframe: str = "1m"
    strategy_version: str = "1"
    config_hash: str = "1"


def stop_once(folder: Path, orders: int) -> Stopped:
    """``orders`` entries rest when a stop-out takes 6 % of the account's equity.

    Raises:
        AssertionError: not all of them were cancelled, or the switch is not engaged.
    """
    folder.mkdir()
    ledger, broker = Ledger(f"sqlite:///{folder / 'ledger.db'}"), SimulatedBroker(folder / "broker.db")
    watched = _Watched(broker)
    variant = _Variant("v", ReplayConfig.model_validate({
        "initial_cash": 100_000.0, "costs": {"fees_bps": 0.0, "slippage_bps": 0.0},
        "sizing": {"mode": "fixed", "qty": 1}, "max_leverage": 4.0,
    }))  # fmt: skip
    account = AccountConfig.model_validate({
        "name": "bench", "variants": {"v": {"capital": 100_000}},
        "limits": {"hard_stop_pct": 100, "orders_per_second": 1000, "orders_per_minute": 1000},
    })  # fmt: skip
    symbols = ["AAA", *(f"S{number:03d}" for number in range(orders))]
    router = Router(ledger, watched, CALENDAR, fault=watched.note)  # type: ignore[arg-type]
    report = router.route_session(account, DAY, [_wish(s) for s in symbols], {"v": _bars(symbols)}, {"v": variant})
    assert report.sent == orders + 1 and [breach.breaker for breach in report.breaches] == ["daily_loss"], report
    assert report.outcomes == {"filled": 1, "cancelled": orders}, report
    ledger.close()
    broker.close()
    return watched.stopped()


def _bars(symbols: list[str]) -> pl.DataFrame:
    """Flat, but AAA: entered at 101 in its second minute, stopped out at 40 in its third."""
    start = CALENDAR.open(DAY)
    falls = [(100, 100, 100, 100), (100, 101, 100, 101), (101, 101, 39, 39), (39, 39, 39, 39)]
    rows = [
        (symbol, start + dt.timedelta(minutes=i), *map(float, bar if symbol == "AAA" else (100,) * 4), 1, DAY)
        for symbol in symbols
        for i, bar in enumerate(falls)
    ]
    names = ["Symbol", "Timestamp", "Open", "High", "Low", "Close", "Volume", "session"]
    schema = dict.fromkeys(names[2:6], pl.Float64()) | {"Timestamp": pl.Datetime("us", "UTC")}
    return pl.DataFrame(rows, schema=names, schema_overrides=schema, orient="row")


def _wish(symbol: str) -> OrderIntent:
    start = CALENDAR.open(DAY)
    return OrderIntent(
        idempotency_key=symbol * 8, order_ref=symbol, oco_id=f"o{symbol}", account="bench", variant="v",
        strategy_version="1", symbol=symbol, side=1, qty=100.0 if symbol == "AAA" else 1.0, entry=101.0, stop=40.0,
        target=None, setup_time=start, session=DAY, valid_sessions=0, valid_from=start + dt.timedelta(minutes=1),
        valid_to=CALENDAR.close(DAY),
    )  # fmt: skip


class _Watched:
    """The broker, and when it was asked what."""

    def __init__(self, broker: SimulatedBroker) -> None:
        self._broker = broker
        self._marks: dict[str, float] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def advance(self, *arguments: Any) -> int:
        begin = time.perf_counter()
        happened = self._broker.advance(*arguments)
        if "cancelled" not in self._marks:
            self._marks |= {"bar": begin, "filled": time.perf_counter()}
        return happened

    def cancel_all(self, *arguments: Any) -> int:
        self._marks.setdefault("cancelling", time.perf_counter())
        count = self._broker.cancel_all(*arguments)
        self._marks.setdefault("cancelled", time.perf_counter())
        return count

    def open_orders(self, account: str) -> Any:
        found = self._broker.open_orders(account)
        if "cancelled" in self._marks:
            self._marks.setdefault("verified", time.perf_counter())
        return found

    def note(self, _: str) -> None:
        """A point between two side effects; nothing to do."""

    def stopped(self) -> Stopped:
        m = self._marks
        points = [m[name] for name in ("bar", "filled", "cancelling", "cancelled", "verified")]
        return Stopped(*(1000 * (after - before) for before, after in itertools.pairwise(points)))
