"""Which intents may be routed in a session at all."""

from collections.abc import Sequence

from resources.intake import SESSION_ROUTED
from resources.router.desk import Desk
from trading.errors import OrderError
from trading.orders.intents import OrderIntent
from trading.orders.lifecycle import OrderState


class SessionPassed(OrderError):
    """Orders were asked for at a time that the broker's market has left behind."""


def check_that_intents_belong(desk: Desk, intents: Sequence[OrderIntent]) -> None:
    """Refuse bars and intents of another account, session or variant with an OrderError; nothing has happened then."""
    for name in desk.variants:
        if name not in desk.account.variants or name not in desk.bars:
            raise OrderError(f"variant {name} needs a book in account {desk.account.name} and bars of {desk.session}")
        frame = desk.bars[name]
        if frame.height and (frame["session"] != desk.session).any():
            raise OrderError(f"bars of variant {name} must be of session {desk.session} alone")
    stamps = {
        name: set(zip(frame["Symbol"].to_list(), frame["Timestamp"].to_list(), strict=True))
        for name, frame in desk.bars.items()
    }
    for intent in intents:
        where = f"intent {intent.order_ref} of {intent.variant} for {intent.symbol} at {intent.setup_time}"
        if (intent.account, intent.session) != (desk.account.name, desk.session):
            raise OrderError(f"{where} is not of account {desk.account.name} and session {desk.session}")
        if intent.variant not in desk.variants:
            raise OrderError(f"{where}: its variant is not among those played: {', '.join(sorted(desk.variants))}")
        if (intent.symbol, intent.setup_time) not in stamps[intent.variant]:
            raise OrderError(f"{where} stands on a bar that the session's bars do not have")


def is_complete(desk: Desk) -> bool:
    """Whether the session was routed to its end before."""
    return bool(desk.ledger.risk_events(desk.account.name, SESSION_ROUTED, desk.session))


def refuse_passed(desk: Desk, intents: Sequence[OrderIntent]) -> None:
    """Refuse intents that were never sent and whose moment is over, with :class:`SessionPassed`."""
    states = desk.ledger.states(desk.account.name, desk.session)
    done = is_complete(desk)
    clocks = {name: desk.clock(name) for name in desk.variants}
    for intent in [*intents, *(known for known, _ in states.values())]:
        state = states.get(intent.idempotency_key, (intent, OrderState.INTENDED))[1]
        clock = clocks.get(intent.variant)
        passed = done or (clock is not None and clock > intent.setup_time)
        if state == OrderState.INTENDED and passed:
            raise SessionPassed(
                f"intent {intent.order_ref} of {intent.variant} for {intent.symbol} at {intent.setup_time} was never "
                f"sent and cannot be any more: the book {desk.account.name}/{intent.variant} is at {clock}. Route "
                "sessions in order, each once; a session that was routed is not routed again with other signals"
            )
