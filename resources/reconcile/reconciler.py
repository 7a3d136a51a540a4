"""One reconciliation of an account: compare, record, act by policy, compare again."""

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass

from resources.intake import Intake
from resources.ledger import Ledger, RiskEvent
from resources.reconcile.comparison import reconcile, risk_events
from resources.reconcile.remedies import Remedies
from trading.accounts import AccountConfig
from trading.orders.differences import Difference
from trading.ports.broker import Broker

RECONCILE_ACTION = "reconcile_action"
"""Kind of the risk event that says what was done about a difference."""

_ROUNDS = 3  # what one remedy leaves, such as the ledger's side of a position that was closed, is the next round's
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reconciliation:
    """What was found, what was done about it, what is left; clean where nothing is left."""

    found: tuple[Difference, ...] = ()
    actions: tuple[str, ...] = ()
    left: tuple[Difference, ...] = ()

    @property
    def clean(self) -> bool:
        return not self.left


class Reconciler:
    """Compares an account's broker with its ledger, and acts on what differs by the account's policy.

    Args:
        intake: of the same account; takes in what the broker tells before each comparison.
        fault: called with the name of each point between two side effects; for tests that kill the process there.
    """

    def __init__(
        self,
        ledger: Ledger,
        broker: Broker,
        account: AccountConfig,
        intake: Intake,
        *,
        fault: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._ledger, self._broker, self._account, self._intake, self._fault = ledger, broker, account, intake, fault
        self._remedies = Remedies(ledger, broker, account, intake)

    def run(self, at: dt.datetime, session: dt.date) -> Reconciliation:
        """At ``at``, in the market's time. Every difference is recorded before anything is done about it.

        Raises:
            BrokerUnavailable: the broker did not answer; nothing is known of the account then.
        """
        name, found, actions = self._account.name, list[Difference](), list[str]()
        self._intake.catch_up(at)
        left = reconcile(name, self._ledger, self._broker)
        for _ in range(_ROUNDS):
            if not left:
                break
            self._record(left, session, at)
            found += [difference for difference in left if difference not in found]
            self._fault("differences_recorded")
            done = [action for difference in left if (action := self._remedy(difference, session, at)) is not None]
            if not done:
                break
            actions += done
            self._intake.catch_up(at)
            left = reconcile(name, self._ledger, self._broker)
        return Reconciliation(tuple(found), tuple(actions), tuple(left))

    def _record(self, differences: list[Difference], session: dt.date, at: dt.datetime) -> None:
        with self._ledger.write() as w:
            for event in risk_events(self._account.name, session, at, differences):
                w.record_risk_event(event)
        for d in differences:
            _log.error(
                "reconciliation: %s", d.says,
                extra={"account": self._account.name, "variant": d.variant, "order_ref": d.order_ref,
                       "symbol": d.symbol, "reason": d.kind},
            )  # fmt: skip

    def _remedy(self, difference: Difference, session: dt.date, at: dt.datetime) -> str | None:
        action = self._remedies.apply(difference, session, at)
        self._fault("remedied")
        if action is None:
            return None
        d, policy = difference, self._account.reconcile_policy
        self._ledger.record_risk_event(
            RiskEvent(
                at, self._account.name, d.variant, RECONCILE_ACTION, "warning", action,
                {"kind": d.kind, "order_ref": d.order_ref, "symbol": d.symbol, "policy": policy}, session,
                f"{RECONCILE_ACTION}:{self._account.name}:{at.isoformat()}:{d.kind}:{d.order_ref}",
            )
        )  # fmt: skip
        _log.warning("reconciliation: %s", action, extra={"account": self._account.name, "order_ref": d.order_ref})
        return action


def reconcile_now(ledger: Ledger, broker: Broker, account: AccountConfig, at: dt.datetime) -> Reconciliation:
    """One reconciliation outside of a session that is traded: connect, take in, compare, act.

    Raises:
        BrokerUnavailable: the broker does not answer.
    """
    broker.connect()
    return Reconciler(ledger, broker, account, Intake(ledger, broker, account.name)).run(at, at.date())
