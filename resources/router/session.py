"""One session of an account, played in time order."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence

from resources.cancellation import stop_book
from resources.ledger import RiskEvent
from resources.reconcile import Difference, reconcile, risk_events
from resources.router.admission import is_complete
from resources.router.breaker_watch import BreakerWatch
from resources.router.breakers import Breakers, HealthProbe, all_well
from resources.router.close_guard import CloseGuard
from resources.router.desk import SESSION_ROUTED, Desk
from resources.router.intake import Intake
from resources.router.report import RoutingReport
from resources.router.sending import Prices, Sender
from resources.router.trailing import TrailingStops
from resources.router.worth import session_worth
from resources.session_bars import setup_prices, spans_between
from resources.session_state import SessionState
from trading.orders.intents import OrderIntent
from trading.risk.win_rate import WinRateReference


class SessionPlay:
    """One call of :meth:`resources.router.Router.route_session`, after its intents were admitted and recorded."""

    def __init__(
        self, desk: Desk, references: Mapping[str, WinRateReference] | None = None, health: HealthProbe = all_well
    ) -> None:
        self._desk = desk
        self._state = SessionState.load(
            desk.ledger, desk.account, desk.session, desk.calendar, desk.variants, desk.bar_length
        )
        self._intake = Intake(desk, self._state)
        self._sender = Sender(desk, self._state, self._intake)
        self._guard = CloseGuard(desk)
        self._reconciled = False
        self._stopped: set[str] = set()
        self._breakers = Breakers(desk, self._state, references or {}, health)
        self._trailing = TrailingStops(desk)

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
        clocks = [clock for name in desk.variants if (clock := desk.clock(name)) is not None]
        self._step(
            max([desk.open, *clocks]), [], {}
        )  # what was stopped or broken before is stopped before a bar is played
        self._play(self._sender.waiting())
        self._step(desk.close, [], {})
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
                    self._trailing.act(moment)
                    self._step(moment, [], prices)
            self._guard.act(at)
            self._trailing.act(at)
            self._step(at, [intent for intent in waiting if intent.valid_from == at], prices)

    def _step(self, at: dt.datetime, intents: Sequence[OrderIntent], prices: Prices) -> None:
        """At ``at``: take in what happened, stop if a limit broke, then pass the intents through gates and send."""
        desk, account = self._desk, self._desk.account
        with desk.ledger.write() as w:
            self._intake.take_in(w)
            values = desk.broker.account_values(account.name)
            self._breakers.engage(w, values, at)
            switches = w.kill_switches(account.name, desk.variants)
            to_send = self._sender.admit(
                w, intents, at, switches=switches, values=values, prices=prices, reconciled=self._reconciled,
                pauses=[pause.name for pause in self._breakers.pauses(at)] if intents else [],
            )  # fmt: skip
        desk.fault("step_committed")
        self._enforce({name for name, switch in switches.items() if switch.engaged}, at)
        self._sender.send(to_send, at, lambda variant: self._enforce(self._stopped | {variant}, at))

    def _take_in(self) -> None:
        with self._desk.ledger.write() as w:
            self._intake.take_in(w)

    def _enforce(self, variants: set[str], at: dt.datetime) -> None:
        """Cancel every working order of the stopped books, until the broker shows none; by policy close what they hold."""
        desk = self._desk
        for name in sorted(variants - self._stopped):
            flatten = desk.account.on_kill == "flatten" or desk.ledger.kill_switch(desk.account.name, name).flatten
            stop_book(
                desk.broker, desk.account.name, name, at, flatten=flatten, between=lambda: desk.fault("cancelled")
            )
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
            self._breakers.record_market(w)
            self._trailing.record(w)
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
            breaches=tuple(self._breakers.breaches),
            differences=differences,
            worth=tuple(desk.ledger.worth(desk.account.name, session=desk.session)),
        )
