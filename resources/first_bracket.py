"""One bracket of one unit, by hand, to see that the way to a broker and back works."""

import datetime as dt

from resources.intake import Intake
from resources.ledger import Ledger
from trading.accounts import AccountConfig
from trading.errors import ConfigError
from trading.orders.intents import REF_LENGTH, OrderIntent, digest
from trading.orders.lifecycle import OrderState
from trading.ports.broker import Broker, BrokerUnavailable
from trading.sessions import get_calendar

_VERSION = "by_hand"


def first_bracket(
    account: AccountConfig,
    broker: Broker,
    ledger: Ledger,
    at: dt.datetime,
    *,
    symbol: str,
    entry: float,
    stop: float,
    target: float | None,
    variant: str | None,
    keep: bool,
) -> list[str]:
    """Record, place, take back unless ``keep``; what happened, line by line.

    Args:
        at: now, UTC.
        variant: the book; None = the first.

    Raises:
        ConfigError: the account is no paper account at Interactive Brokers, has no such book, or the kill switch is engaged.
        OrderError: the levels are not those of a buy.
        BrokerUnavailable: the outcome is not known; the ledger says so, and ``trading reconcile`` finds it out.
    """
    name = variant or min(account.variants)
    if account.broker != "ibkr" or account.mode != "paper":
        raise ConfigError(f"account {account.name}: only an account with broker ibkr and mode paper is tried like this")
    if name not in account.variants:
        raise ConfigError(f"account {account.name} has no book {name}; it has {', '.join(sorted(account.variants))}")
    switch = ledger.kill_switch(account.name, name)
    if switch.engaged:
        raise ConfigError(f"the kill switch {switch.scope} is engaged: {switch.reason}; nothing is sent")
    intent = _intent(account, name, symbol, entry, stop, target, at)
    intake = Intake(ledger, broker, account.name)
    ledger.record_intents([intent])
    with ledger.write() as w:
        intake.move(w, intent, OrderState.SUBMITTING, at, _VERSION)
    try:
        (placed,) = broker.place_bracket([intent])
    except BrokerUnavailable:
        with ledger.write() as w:
            intake.move(w, intent, OrderState.UNKNOWN, at, "broker_unavailable")
        raise
    said = [f"{intent.order_ref}: {placed.status}{f' ({placed.reason})' if placed.reason else ''}"]
    if placed.status == "working":
        intake.note_acknowledged([intent], {})
        said.append(
            f"buy stop {placed.entry}, stop-loss {placed.stop}, target {placed.target}, for {placed.qty:g} {symbol}"
        )
    if placed.status == "working" and not keep:
        cancelled = broker.cancel(intent.order_ref, at, _VERSION)
        said.append("taken back" if cancelled else "not taken back: it is not working any more")
    intake.catch_up(at)
    said.append(f"ledger: {ledger.state_of(intent.idempotency_key)}")
    return said


def _intent(
    account: AccountConfig, variant: str, symbol: str, entry: float, stop: float, target: float | None, at: dt.datetime
) -> OrderIntent:
    calendar = get_calendar(account.ibkr_settings.calendar)
    day = at.astimezone(calendar.timezone).date()
    session = day if calendar.is_session(day) and at < calendar.close(day) else calendar.next(day)
    key = digest(_VERSION, account.name, symbol, at.isoformat())
    return OrderIntent(
        idempotency_key=key, order_ref=key[:REF_LENGTH], oco_id=key[:REF_LENGTH], account=account.name, variant=variant,
        strategy_version=_VERSION, symbol=symbol, side=1, qty=1.0, entry=entry, stop=stop, target=target, setup_time=at,
        session=session, valid_sessions=0, valid_from=at, valid_to=calendar.close(session),
    )  # fmt: skip
