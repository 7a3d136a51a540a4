"""What the ledger hands back: typed rows and what is derived from them."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from trading.orders.intents import OrderIntent
from trading.orders.lifecycle import OrderState

Leg = Literal["entry", "exit"]


@dataclass(frozen=True)
class OrderEvent:
    """A step in an order's life; ``payload`` holds figures, e.g. of the gates."""

    id: int
    at: dt.datetime
    account: str
    variant: str
    idempotency_key: str
    order_ref: str
    state: OrderState
    reason: str
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Fill:
    """An execution.

    Attributes:
        side: of the position, 1 long, -1 short, on both legs.
        realised: change of realised equity by this fill, currency: on entry less the fee, on exit the price difference
            times quantity less the fee.
    """

    execution_id: str
    account: str
    variant: str
    session: dt.date
    idempotency_key: str
    order_ref: str
    symbol: str
    leg: Leg
    side: int
    qty: float
    price: float
    fee: float
    realised: float
    reason: str
    at: dt.datetime
    broker_seq: int | None = None


@dataclass(frozen=True)
class OpenPosition:
    """What a bracket holds: entries less exits; ``price`` is the average of what is held, ``at`` of the first entry."""

    account: str
    variant: str
    order_ref: str
    idempotency_key: str
    symbol: str
    side: int
    qty: float
    price: float
    at: dt.datetime


@dataclass(frozen=True)
class RiskEvent:
    """Something that a person on duty may have to look at; ``severity`` is info, warning or error."""

    at: dt.datetime
    account: str
    variant: str
    kind: str
    severity: Literal["info", "warning", "error"]
    detail: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    session: dt.date | None = None
    dedupe_key: str | None = None


@dataclass(frozen=True)
class KillSwitch:
    """Whether sending is stopped for a book, and the newest reason.

    Attributes:
        flatten: whether positions are to be closed too.
    """

    engaged: bool
    scope: str = ""
    reason: str = ""
    by: str = ""
    at: dt.datetime | None = None
    flatten: bool = False


@dataclass(frozen=True)
class Decision:
    """A promotion decision as it was recorded; ``content`` is the whole record, as JSON gives it back."""

    decision_id: str
    variant: str
    strategy_version: str
    from_stage: str
    to_stage: str
    session: dt.date
    decided_by: str
    reason: str
    at: dt.datetime
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Approval:
    """A named person's consent to live trading of one strategy version at one commit."""

    variant: str
    strategy_version: str
    commit_id: str
    person: str
    reason: str
    at: dt.datetime


@dataclass(frozen=True)
class Worth:
    """What a book was worth at the end of a session, currency.

    Attributes:
        capital: seed.
        realised: seed plus what all fills so far have realised.
        unrealised: of open positions at their last Close.
        pnl: change of equity in the session.
        trades: exits in the session.
        peak: highest session-end equity so far, the seed counted.
        drawdown: positive fraction of the peak.
        fees: of all fills so far.
        long_exposure, short_exposure: quantity times last Close of open positions, both positive.
            These three are None where an older version recorded the row.
    """

    account: str
    variant: str
    session: dt.date
    capital: float
    realised: float
    unrealised: float
    equity: float
    pnl: float
    trades: int
    peak: float
    drawdown: float
    at: dt.datetime
    fees: float | None = None
    long_exposure: float | None = None
    short_exposure: float | None = None

    @property
    def realised_pnl(self) -> float:
        """Of everything closed, after all fees paid so far."""
        return self.realised - self.capital


@dataclass(frozen=True)
class Position:
    """What a bracket held at the end of a session; quantity 0 takes an earlier record of it back.

    Attributes:
        entry_price: average of what is held.
        last_price: last Close.
    """

    account: str
    variant: str
    session: dt.date
    order_ref: str
    symbol: str
    side: int
    qty: float
    entry_price: float
    last_price: float
    at: dt.datetime

    @property
    def unrealised(self) -> float:
        return self.side * self.qty * (self.last_price - self.entry_price)

    @property
    def exposure(self) -> float:
        """Quantity times last price, positive on either side."""
        return self.qty * self.last_price


@dataclass(frozen=True)
class OrderStory:
    """An order from wish to end."""

    intent: OrderIntent
    state: OrderState
    events: tuple[OrderEvent, ...]
    fills: tuple[Fill, ...]


def to_json(value: Mapping[str, Any]) -> str:
    """Canonical JSON text; dates and times in ISO 8601."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_iso)


def _iso(value: object) -> str:
    if isinstance(value, dt.date):  # a datetime is one too
        return value.isoformat()
    raise TypeError(f"the ledger cannot store a {type(value).__name__}")
