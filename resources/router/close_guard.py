"""What happens at fixed times before the close: entries lose their validity, positions are flattened."""

import datetime as dt

from resources.router.desk import Desk
from trading.orders.flatten import flatten_type


class CloseGuard:
    """``moc_guard_minutes`` and ``flatten_minutes`` of the account."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._expiry = desk.close - dt.timedelta(minutes=desk.account.moc_guard_minutes)
        self._flattening = desk.close - dt.timedelta(minutes=desk.account.flatten_minutes)

    def times(self) -> set[dt.datetime]:
        """When :meth:`act` has something to do before the close."""
        return {self._expiry, self._flattening} - {self._desk.close}

    def act(self, at: dt.datetime) -> None:
        """What is due at ``at``; safe to repeat."""
        desk, account = self._desk, self._desk.account
        if account.moc_guard_minutes and at == self._expiry:
            working = [order.order_ref for order in desk.broker.open_orders(account.name) if order.status == "working"]
            for ref, intent in sorted(desk.ledger.intents_by_ref(working).items()):
                if intent.valid_to <= at:
                    desk.broker.cancel(ref, at, "validity_over")
        if account.flatten_minutes and at == self._flattening:
            for name, variant in sorted(desk.variants.items()):
                if variant.replay.exit_at_session_end:
                    desk.broker.cancel_all(account.name, at, name, "validity_over")
                    if flatten_type(at, desk.close, account.moc_guard_minutes) == "MKT":
                        desk.broker.flatten(account.name, at, name, "eod")
                    # else the book's own rule, exit at the Close of the session's last bar, is the market-on-close order
        desk.fault("guarded")
