"""What a call of the router tells its caller."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from resources.ledger import Worth
from resources.reconcile import Difference
from trading.risk.breakers import Breach


@dataclass(frozen=True)
class RoutingReport:
    """What one call of :meth:`resources.router.Router.route_session` did.

    Attributes:
        already_routed: the session was complete before the call; nothing was sent.
        intents: of the session, in the ledger.
        sent: orders sent by this call.
        refused: by this call, per gate code.
        entries, exits: fills recorded by this call.
        outcomes: of the session's intents now, per state.
        breaches: that engaged the kill switch in this call.
        differences: between broker and ledger, all that were found.
        left: of them, what the last reconciliation still found.
        worth: of every book at the end of the session.
    """

    account: str
    session: dt.date
    already_routed: bool
    intents: int
    sent: int
    refused: Mapping[str, int]
    entries: int
    exits: int
    outcomes: Mapping[str, int]
    breaches: tuple[Breach, ...]
    differences: tuple[Difference, ...]
    left: tuple[Difference, ...]
    worth: tuple[Worth, ...]
