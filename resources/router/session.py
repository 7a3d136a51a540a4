"""One session of an account, played in time order."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence

from resources.cancellation import cancel_until_none
from resources.ledger import RiskEvent
from resources.reconcile import Difference, reconcile, risk_events
from resources.router.admission import is_complete
from resources.router.breaker_watch import BreakerWatch
from resources.router.close_guard import CloseGuard
from resources.router.desk import SESSION_ROUTED, Desk
from resources.router.intake import Intake
from resources.router.report import RoutingReport
from resources.router.sending import Prices, Sender
from resources.router.worth import session_worth
from resources.session_bars import setup_prices, spans_between
from resources.session_state import SessionState
from trading.orders.intents import OrderIntent
from trading.risk.breakers import Breach, money_breaches


class SessionPlay:
    """One call of :meth:`resources.router.Router.route_session`, after its intents were admitted and recorded."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._state = SessionState.load(
            desk.ledger, desk.account, desk.session, desk.calendar, desk.variants, desk.bar_length
        )
        self._intake = Intake(desk, self._state)
        self._sender = Sender(desk, self._state, self._intake)
        self._guard = CloseGuard(desk)
        self._reconciled = False
        self._stopped: set[str] = set()
        self._breaches: list[Breach] = []

    def run(self) -> RoutingReport:
        """Every bar, every intent, then the account's worth."""
        desk = self._desk
        self._sender.recover()
        desk.fault("recovered")
        self._take_in()
        desk.fault("caught_up")
        before = reconcile(desk.account.name, desk.ledger, desk.broker)
        self._report_differences(before, desk.open)
        self._reconciled = not before
        if is_complete(desk):
            return self._report(True, tuple(before))
        self._play(self._sender.waiting())
        self._take_in()
        desk.fault("session_played")
        after = reconcile(desk.account.name, desk.ledger, desk.broker)
        self._report_differences(after, desk.close)
        self._complete(len(after))
        desk.fault("worth_recorded")
        return self._report(False, (*before, *after))

    def _play(self, waiting: Sequence[OrderIntent]) -> None:
        desk, account = self._desk, self._desk.account.name
        watch = BreakerWatch(desk, self._state)
        prices = setup_prices(desk.bars, waiting)
        times = sorted({intent.valid_from for intent in waiting} | self._guard.times() | {desk.close})
        spans = {
            name: spans_between(desk.bars[name], desk.bar_length[name], desk.close, times, desk.clock(name))
            for name in desk.variants
        }
        for number, at in enumerate(times):
            due = {name: spans[name][number] for name in sorted(desk.variants) if number in spans[name]}
            for moment, parts in watch.pieces(due, at, self._stopped):
                for name, part in parts.items():
                    desk.broker.advance(account, name, part.drop("_end"))
                    desk.fault("advanced")
                if moment < at:
                    self._step(moment, [], prices)
            self._guard.act(at)
            self._step(at, [intent for intent in waiting if intent.valid_from == at], prices)

    def _step(self, at: dt.datetime, intents: Sequence[OrderIntent], prices: Prices) -> None:
        """At ``at``: take in what happened, stop if a limit broke, then pass the intents through gates and send."""
        desk, account = self._desk, self._desk.account
        with desk.ledger.write() as w:
            filled = self._intake.take_in(w)
            values = desk.broker.account_values(account.name) if filled or intents else []
            breaches = money_breaches(account, desk.session, self._state.books(values)) if filled else []
            engaged = [b for b in breaches if w.engage(b.scope, b.says, "breaker", at, b.breach_id)]
            switches = w.kill_switches(account.name, desk.variants)
            to_send = self._sender.admit(
                w, intents, at, switches=switches, values=values, prices=prices, reconciled=self._reconciled
            )
        desk.fault("step_committed")
        self._breaches += engaged
        self._enforce({name for name, switch in switches.items() if switch.engaged}, at)
        self._sender.send(to_send, at, lambda variant: self._enforce(self._stopped | {variant}, at))

    def _take_in(self) -> None:
        with self._desk.ledger.write() as w:
            self._intake.take_in(w)

    def _enforce(self, variants: set[str], at: dt.datetime) -> None:
        """Cancel every working order of the stopped books, until the broker shows none."""
        desk = self._desk
        for name in sorted(variants - self._stopped):
            cancel_until_none(desk.broker, desk.account.name, name, at, lambda: desk.fault("cancelled"))
        self._stopped = variants

    def _report_differences(self, differences: Sequence[Difference], at: dt.datetime) -> None:
        if differences:
            with self._desk.ledger.write() as w:
                for event in risk_events(self._desk.account.name, self._desk.session, at, differences):
                    w.record_risk_event(event)

    def _complete(self, differences: int) -> None:
        desk = self._desk
        with desk.ledger.write() as w:
            for worth, held in session_worth(desk, self._state):
                w.record_worth(worth, held)
            w.record_risk_event(
                RiskEvent(
                    desk.close, desk.account.name, "", SESSION_ROUTED, "info", f"session {desk.session} is complete",
                    {"differences": differences}, desk.session, f"{SESSION_ROUTED}:{desk.account.name}:{desk.session}",
                )
            )  # fmt: skip

    def _report(self, already: bool, differences: tuple[Difference, ...]) -> RoutingReport:
        desk = self._desk
        return RoutingReport(
            account=desk.account.name,
            session=desk.session,
            already_routed=already,
            intents=len(self._state.states),
            sent=desk.sent,
            refused=dict(desk.refused),
            entries=desk.entries,
            exits=desk.exits,
            outcomes=dict(Counter(str(state) for state in self._state.states.values())),
            breaches=tuple(self._breaches),
            differences=differences,
            worth=tuple(desk.ledger.worth(desk.account.name, session=desk.session)),
        )
