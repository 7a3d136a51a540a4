"""What a Book takes and tells: sized setups, events, positions."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trading.errors import DataError

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)

EventKind = Literal["entry", "exit", "rejected", "expired", "cancelled"]


@dataclass(frozen=True)
class ArmedSetup:
    """A signal ready to trade: levels rounded to the tick, quantities sized. A side of quantity 0 is absent.

    Attributes:
        setup_id: the caller's name for it; events carry it.
        setup_time: start of the signal's bar, aware.
        session: session of that bar.
        valid_sessions: sessions of the Symbol after its own that it lives to the end of.
    """

    setup_id: str
    symbol: str
    setup_time: dt.datetime
    session: dt.date
    valid_sessions: int = 0
    long_entry: float | None = None
    sl_long: float | None = None
    tp_long: float | None = None
    qty_long: float = 0.0
    short_entry: float | None = None
    sl_short: float | None = None
    tp_short: float | None = None
    qty_short: float = 0.0


@dataclass(frozen=True)
class BookEvent:
    """Something that happened to a setup.

    Attributes:
        side: 1 long, -1 short, 0 where neither applies (an ambiguous bar, expiry).
        time: start of the bar it happened on, UTC.
        price, qty, fee: of the fill; 0.0 on events that are none.
        reason: ``entry``, an exit's reason, a rejection's, or ``expired``.
    """

    kind: EventKind
    setup_id: str
    symbol: str
    side: int
    time: dt.datetime
    price: float
    qty: float
    fee: float
    reason: str


@dataclass(frozen=True)
class Position:
    """An open position; prices in currency, ``entry_price`` with slippage, ``stop`` and ``target`` None = none."""

    setup_id: str
    symbol: str
    setup_time: dt.datetime
    side: int
    qty: float
    entry_time: dt.datetime
    entry_price: float
    entry_fee: float
    stop: float | None
    target: float | None
    last_close: float
    unrealised: float


def levels_of(setup: ArmedSetup) -> tuple[float | None, ...]:
    return (
        setup.long_entry, setup.sl_long, setup.tp_long, setup.short_entry, setup.sl_short, setup.tp_short
    )  # fmt: skip


def to_micros(moment: dt.datetime) -> int:
    if moment.tzinfo is None:
        raise DataError(f"a setup_time must be aware, got {moment}")
    return (moment - _EPOCH) // _MICROSECOND


def to_instant(microseconds: int) -> dt.datetime:
    return _EPOCH + microseconds * _MICROSECOND


def setup_to_json(setup: ArmedSetup) -> dict[str, Any]:
    return {**vars(setup), "setup_time": setup.setup_time.isoformat(), "session": setup.session.isoformat()}


def setup_from_json(stored: Mapping[str, Any]) -> ArmedSetup:
    return ArmedSetup(
        **{
            **stored,
            "setup_time": dt.datetime.fromisoformat(stored["setup_time"]),
            "session": dt.date.fromisoformat(stored["session"]),
        }
    )
