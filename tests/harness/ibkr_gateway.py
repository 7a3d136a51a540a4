"""An account at a TWS on loopback that takes orders."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.tws_messages import Instrument
from harness.tws_order_desk import OrderDesk
from harness.tws_server import ACCOUNT, Tws, TwsServer
from harness.tws_server import tws_server as serving
from resources.brokers.ibkr.access import Access
from resources.brokers.ibkr.broker import IbkrBroker
from resources.brokers.ibkr.journal import Journal
from trading.accounts import AccountConfig
from trading.orders import OrderIntent
from trading.sessions import get_calendar

AAA = Instrument(101, "AAA", primary_exchange="ARCA")
BBB = Instrument(102, "BBB", primary_exchange="NASDAQ")
DAY = dt.date(2024, 3, 1)
NOON = dt.datetime(2024, 3, 1, 17, tzinfo=dt.UTC)


@dataclass
class Clock:
    at: dt.datetime = NOON

    def __call__(self) -> dt.datetime:
        return self.at


def account(**changes: Any) -> AccountConfig:
    ibkr = {"answer_seconds": 1.5, **changes.pop("ibkr", {})}
    given = {"name": "desk", "broker": "ibkr", "variants": {"v": {"capital": 10_000}}, "ibkr": ibkr, **changes}
    return AccountConfig.model_validate(given)


def intent(side: int = 1, number: int = 0, **changes: Any) -> OrderIntent:
    symbol = changes.pop("symbol", "AAA")
    ref = f"{symbol}{number}{'L' if side > 0 else 'S'}"
    fields: dict[str, Any] = {
        "idempotency_key": ref, "order_ref": ref, "oco_id": f"{symbol}{number}", "account": "desk", "variant": "v",
        "strategy_version": "s", "symbol": symbol, "side": side, "qty": 10.0, "entry": 100.0 + side,
        "stop": 100.0 - side, "target": 100.0 + 5 * side, "setup_time": NOON - dt.timedelta(minutes=5), "session": DAY,
        "valid_sessions": 0, "valid_from": NOON, "valid_to": dt.datetime(2024, 3, 1, 21, tzinfo=dt.UTC),
    }  # fmt: skip
    return OrderIntent(**{**fields, **changes})


@dataclass
class Gateway:
    """The server, what it has, and brokers on it."""

    folder: Path
    tws: Tws
    server: TwsServer
    clock: Clock = field(default_factory=Clock)
    opened: list[IbkrBroker] = field(default_factory=list)

    @property
    def desk(self) -> OrderDesk:
        return self.tws.desk

    def broker(self, config: AccountConfig | None = None, *, connect: bool = True) -> IbkrBroker:
        """One more process's broker: the same journal, a connection of its own."""
        config = config or account()
        access = Access.of(config, config.ibkr_settings, {"IBKR_ACCOUNT": ACCOUNT, "IBKR_PORT": str(self.server.port)})
        made = IbkrBroker(
            config, access, Journal(self.folder / "desk.db"), get_calendar("XNYS"), self.clock, settle_seconds=0.1
        )
        self.opened.append(made)
        if connect:
            made.connect()
        return made


@contextmanager
def gateway(folder: Path) -> Iterator[Gateway]:
    tws = Tws([AAA, BBB], {})
    with serving(tws) as server:
        found = Gateway(folder, tws, server)
        try:
            yield found
        finally:
            for broker in found.opened:
                broker.close()
