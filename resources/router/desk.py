"""What all parts of the router work with in one session of one account."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from resources.ledger import Ledger
from trading.accounts import AccountConfig
from trading.bars.resample import timeframe_minutes
from trading.live import LivePermission, nothing_live
from trading.orders.intents import OrderIntent, TradedVariant
from trading.ports.broker import FedBroker
from trading.sessions import SessionCalendar


@dataclass
class Desk:
    """One session of one account at its broker.

    Attributes:
        variants: whose books are played, by name.
        bars: by variant, the whole session in the variant's timeframe.
        fault: called with the name of each point between two side effects.
        live: what stands against an order of a live account.
        sent, recorded, refused: counts of this call: orders, executions by leg, refusals by gate code.
    """

    ledger: Ledger
    broker: FedBroker
    calendar: SessionCalendar
    account: AccountConfig
    session: dt.date
    variants: Mapping[str, TradedVariant]
    bars: Mapping[str, pl.DataFrame]
    fault: Callable[[str], None]
    live: LivePermission = nothing_live
    sent: int = 0
    recorded: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.open, self.close = self.calendar.open(self.session), self.calendar.close(self.session)
        self.bar_length = {name: self._length(variant) for name, variant in self.variants.items()}

    def live_refusal(self, intent: OrderIntent, at: dt.datetime) -> str | None:
        """What stands against sending ``intent`` in the account's mode; None = nothing."""
        return None if self.account.mode == "paper" else self.live(self.account, intent, at)

    def clock(self, variant: str) -> dt.datetime | None:
        """Start of the last bar that the variant's book has seen."""
        return self.broker.clock(self.account.name, variant)

    def _length(self, variant: TradedVariant) -> dt.timedelta:
        minutes = timeframe_minutes(variant.timeframe)
        return self.close - self.open if minutes is None else dt.timedelta(minutes=minutes)
