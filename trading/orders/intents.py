"""Order intents: the signals of a variant as sized, tick-rounded brackets of one account."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import polars as pl

from trading.accounts import AccountConfig
from trading.bars.resample import timeframe_minutes
from trading.errors import ConfigError, ContractViolation, OrderError
from trading.instruments import Instrument
from trading.orders.flatten import FlattenType, flatten_type
from trading.replay import ReplayConfig
from trading.sessions import SessionCalendar
from trading.sizing import quantity, scaled
from trading.ticks import Direction, round_to_tick

REF_LENGTH = 16
_SIDES: tuple[tuple[int, str, str, str], ...] = (
    (1, "long_entry", "sl_long", "tp_long"),
    (-1, "short_entry", "sl_short", "tp_short"),
)
_LATER = ("flatten_at", "flatten_type")
_COLUMNS = ("Symbol", "Timestamp", *(name for _, *names in _SIDES for name in names))


class TradedVariant(Protocol):
    """What an intent needs to know of a variant; :class:`trading.variants.Variant` is one."""

    @property
    def name(self) -> str: ...
    @property
    def strategy_version(self) -> str: ...
    @property
    def timeframe(self) -> str: ...
    @property
    def replay(self) -> ReplayConfig: ...
    @property
    def config_hash(self) -> str: ...


@dataclass(frozen=True)
class Lineage:
    """Where an intent comes from; with the commits it can be built again.

    Attributes:
        commits: lake commit by dataset, e.g. ``{"signals": "ab..", "m5_bars": "cd.."}``.
        code_version: of the platform.
        config_hash: of the variant's whole configuration.
        decision_id: promotion decision under which the variant trades; empty where none is needed.
    """

    commits: Mapping[str, str] = field(default_factory=dict)
    code_version: str = ""
    config_hash: str = ""
    decision_id: str = ""

    def as_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Lineage":
        return cls(**json.loads(text))


@dataclass(frozen=True)
class OrderIntent:
    """One side of a setup as a bracket: an entry stop with its stop-loss and, optionally, its target.

    Attributes:
        idempotency_key: hash of account, variant, strategy version, Symbol, setup time and side: the same wish has
            the same key.
        order_ref: the key's short form, which travels to the broker and back.
        oco_id: shared by the two sides of a setup; a fill of one cancels the other.
        side: 1 long, -1 short.
        qty: units of the Symbol.
        entry, stop, target: levels on the tick grid; target None = none.
        setup_time: start of the signal's bar, UTC.
        session: of that bar.
        valid_sessions: sessions after it that the entry lives on.
        valid_from: close of the signal's bar, UTC.
        valid_to: end of validity, UTC.
        flatten_at: when a position that is still open is flattened, UTC; None = by the session's end or not at all.
        flatten_type: ``MOC`` or ``MKT``, by which order; None where ``flatten_at`` is.

    Raises:
        OrderError: levels out of order, no quantity, a naive time.
    """

    idempotency_key: str
    order_ref: str
    oco_id: str
    account: str
    variant: str
    strategy_version: str
    symbol: str
    side: int
    qty: float
    entry: float
    stop: float
    target: float | None
    setup_time: dt.datetime
    session: dt.date
    valid_sessions: int
    valid_from: dt.datetime
    valid_to: dt.datetime
    lineage: Lineage = Lineage()
    tif: str = "GTD"
    flatten_at: dt.datetime | None = None
    flatten_type: FlattenType | None = None

    def __post_init__(self) -> None:
        where = f"intent {self.order_ref} of {self.variant} for {self.symbol} at {self.setup_time}"
        if self.side not in (1, -1):
            raise OrderError(f"{where}: side must be 1 or -1, got {self.side}")
        if not self.qty > 0:
            raise OrderError(f"{where}: quantity must be above 0, got {self.qty}")
        # rounding to the tick can bring a target down to its entry, hence < 0 and not <= 0 there
        if (
            self.entry <= 0
            or self.side * (self.entry - self.stop) <= 0
            or (self.target is not None and self.side * (self.target - self.entry) < 0)
        ):
            raise OrderError(
                f"{where}: levels are out of order for side {self.side}: entry {self.entry}, stop {self.stop}, "
                f"target {self.target}"
            )
        for name in ("setup_time", "valid_from", "valid_to"):
            if getattr(self, name).tzinfo is None:
                raise OrderError(f"{where}: {name} needs a time zone, got {getattr(self, name)}")
        if (self.flatten_at is None) != (self.flatten_type is None):
            raise OrderError(f"{where}: flatten_at and flatten_type come together or not at all")
        if self.flatten_at is not None and self.flatten_at.tzinfo is None:
            raise OrderError(f"{where}: flatten_at needs a time zone, got {self.flatten_at}")

    @property
    def notional(self) -> float:
        """Quantity times entry level, in currency."""
        return self.qty * self.entry

    @property
    def risk(self) -> float:
        """Loss when entered and stopped at the levels, in currency, before costs."""
        return self.qty * abs(self.entry - self.stop)


def digest(*parts: str) -> str:
    """SHA-256 of the parts, unambiguous about where one ends, as 64 hex digits."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()


def idempotency_key(
    account: str, variant: str, strategy_version: str, symbol: str, setup_time: dt.datetime, side: int
) -> str:
    """The name of one wish to trade, the same whoever computes it when.

    The variant is part of it because variants that differ in sizing alone share a strategy version, and each of them
    has a book of its own in the account.
    """
    moment = setup_time.astimezone(dt.UTC).isoformat(timespec="microseconds")
    return digest(account, variant, strategy_version, symbol, moment, "long" if side > 0 else "short")


def build_intents(
    signals: pl.DataFrame,
    *,
    variant: TradedVariant,
    account: AccountConfig,
    session: dt.date,
    equity: float,
    instruments: Mapping[str, Instrument] | None,
    calendar: SessionCalendar,
    lineage: Lineage,
    closed_pnls: Sequence[float] = (),
    size_factor: float = 1.0,
) -> list[OrderIntent]:
    """Intents of one variant's signals of one session, in order of (setup time, Symbol, long before short).

    Levels are rounded and quantities sized by the replay's own code; a side whose quantity is under the instrument's
    minimum gives no intent, as in the replay. Nor does a signal that is known only when its validity is over, on the last bar
    of the session or after the guard before the close.

    Args:
        signals: the variant's signal frame of the session: Symbol, Timestamp and the six levels; further columns are
            allowed.
        equity: of the book now, for sizing without an equity of its own; currency.
        instruments: by Symbol; None = defaults for every Symbol.
        closed_pnls: of the book's closed trades in order of exit, for Kelly sizing.
        size_factor: of the breaker of an overheated market, 0 to 1; every quantity is multiplied by it.

    Raises:
        ContractViolation: a column is missing, or a signal lies outside of the session.
        ConfigError: the account has no book for the variant, a Symbol no instrument, or one in another currency than
            the account's.
        OrderError: a signal's levels are out of order.
    """
    if variant.name not in account.variants:
        known = ", ".join(sorted(account.variants))
        raise ConfigError(f"account {account.name} has no book for variant {variant.name}; it has {known}")
    missing = [name for name in _COLUMNS if name not in signals.columns]
    if missing:
        raise ContractViolation(
            f"signals of {variant.name} for {session}: column(s) {', '.join(missing)} missing; there are "
            f"{', '.join(signals.columns)}",
            contract="order_signals",
            rule="missing_column",
        )
    open_, close = calendar.open(session), calendar.close(session)
    outside = signals.filter((pl.col("Timestamp") < open_) | (pl.col("Timestamp") >= close))
    if outside.height:
        raise ContractViolation(
            f"signals of {variant.name} for {session}: {outside.height} row(s) outside of the session {open_} to {close}, "
            f"the first {outside.row(0, named=True)}",
            contract="order_signals",
            rule="outside_session",
            details=str(outside.head(5)),
        )
    flatten_at = _flatten_at(variant, account, close)
    flattened_by = None if flatten_at is None else flatten_type(flatten_at, close, account.moc_guard_minutes)
    ends = validity_end(variant.replay.valid_sessions, session, calendar, account.moc_guard_minutes)
    minutes = timeframe_minutes(variant.timeframe)
    intents: list[OrderIntent] = []
    for row in signals.select(_COLUMNS).sort("Timestamp", "Symbol").iter_rows(named=True):
        symbol, at = row["Symbol"], row["Timestamp"]
        instrument = _instrument(symbol, instruments, account)
        known_at = close if minutes is None else min(at + dt.timedelta(minutes=minutes), close)
        if known_at >= ends:
            continue
        moment = at.isoformat(timespec="microseconds")
        oco = digest(account.name, variant.name, variant.strategy_version, symbol, moment)[:REF_LENGTH]
        for side, *names in _SIDES:
            levels = [row[name] for name in names]
            if levels[0] is None or levels[1] is None:
                continue
            entry, stop, target = round_levels_of(side, levels[0], levels[1], levels[2], instrument)
            if side * (entry - stop) <= 0:
                raise OrderError(
                    f"signal of {variant.name} for {symbol} at {at}: {names[1]} {stop} must be "
                    f"{'below' if side > 0 else 'above'} {names[0]} {entry}"
                )
            qty = quantity(
                variant.replay.sizing,
                entry=entry,
                stop=stop,
                equity=equity,
                instrument=instrument,
                closed_pnl=closed_pnls,
            )
            qty = scaled(qty, size_factor, instrument)
            if qty == 0:
                continue
            key = idempotency_key(account.name, variant.name, variant.strategy_version, symbol, at, side)
            intents.append(
                OrderIntent(
                    idempotency_key=key,
                    order_ref=key[:REF_LENGTH],
                    oco_id=oco,
                    account=account.name,
                    variant=variant.name,
                    strategy_version=variant.strategy_version,
                    symbol=symbol,
                    side=side,
                    qty=qty,
                    entry=entry,
                    stop=stop,
                    target=target,
                    setup_time=at,
                    session=session,
                    valid_sessions=variant.replay.valid_sessions,
                    valid_from=known_at,
                    valid_to=ends,
                    lineage=lineage,
                    flatten_at=flatten_at,
                    flatten_type=flattened_by,
                )
            )
    return intents


def _flatten_at(variant: TradedVariant, account: AccountConfig, close: dt.datetime) -> dt.datetime | None:
    """When a position of a setup that lives in this session alone is flattened ahead of the close."""
    config = variant.replay
    if not config.exit_at_session_end or config.valid_sessions or not account.flatten_minutes:
        return None
    return close - dt.timedelta(minutes=account.flatten_minutes)


def round_levels_of(
    side: int, entry: float, stop: float, target: float | None, instrument: Instrument
) -> tuple[float, float, float | None]:
    """Levels of one side on the instrument's tick grid, away from the trader as the replay rounds them."""
    away: Direction = "up" if side > 0 else "down"
    back: Direction = "down" if side > 0 else "up"
    tick = instrument.tick
    return (
        round_to_tick(entry, tick, away),
        round_to_tick(stop, tick, back),
        None if target is None else round_to_tick(target, tick, away),
    )


def validity_end(
    valid_sessions: int, session: dt.date, calendar: SessionCalendar, guard_minutes: float = 0.0
) -> dt.datetime:
    """Close of the ``valid_sessions``-th session after ``session``, early closes honoured, less the guard."""
    for _ in range(valid_sessions):
        session = calendar.next(session)
    return calendar.close(session) - dt.timedelta(minutes=guard_minutes)


def intent_to_row(intent: OrderIntent) -> dict[str, Any]:
    """Flat fields in the ledger's and the frame's names."""
    row = {name: getattr(intent, name) for name in intent.__dataclass_fields__}
    row["lineage"] = intent.lineage.as_json()
    return row


def intent_from_row(row: Mapping[str, Any]) -> OrderIntent:
    """The inverse of :func:`intent_to_row`; further fields are ignored, and rows of before may lack the flatten fields."""
    fields = {name: row[name] for name in OrderIntent.__dataclass_fields__ if name in row or name not in _LATER}
    return OrderIntent(**{**fields, "lineage": Lineage.from_json(row["lineage"])})


def _instrument(symbol: str, instruments: Mapping[str, Instrument] | None, account: AccountConfig) -> Instrument:
    if instruments is None:
        instrument = Instrument(symbol=symbol)
    elif symbol in instruments:
        instrument = instruments[symbol]
    else:
        raise ConfigError(f"there is no instrument for Symbol {symbol}; there are {sorted(instruments)}")
    if instrument.currency != account.currency:
        raise ConfigError(
            f"account {account.name}: its currency is {account.currency}, {symbol} trades in {instrument.currency}; an "
            "account trades Symbols of its own currency alone, so give those of another one an account of their own"
        )
    return instrument
