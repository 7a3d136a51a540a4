"""One session of an account, played in time order."""

import datetime as dt
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from resources.cancellation import stop_book
from resources.intake import SESSION_ROUTED, Intake
from resources.ledger import Fill, RiskEvent
from resources.reconcile import Difference, Reconciler
from resources.router.admission import is_complete
from resources.router.breaker_watch import BreakerWatch
from resources.router.breakers import Breakers, HealthProbe, all_well
from resources.router.close_guard import CloseGuard
from resources.router.desk import Desk
from resources.router.report import RoutingReport
from resources.router.sending import Prices, Sender
from resources.router.trailing import TrailingStops
from resources.router.worth import session_worth
from resources.session_bars import setup_prices, spans_between
from resources.session_state import SessionState
from trading.orders.intents import OrderIntent
from trading.orders.lifecycle import OrderState
from trading.risk.win_rate import WinRateReference


class SessionPlay:
    """One call of :meth:`resources.router.Router.route_session`, after its intents were admitted and recorded."""

    def __init__(
        self, desk: Desk, references: Mapping[str, WinRateReference] | None = None, health: HealthProbe = all_well
    ) -> None:
        self._desk = desk
        watched = _Later()
        self._intake = Intake(desk.ledger, desk.broker, desk.account.name, watched)
        self._intake.recorded = desk.recorded
        self._state = watched.state = SessionState.load(
            desk.ledger, desk.account, desk.session, desk.calendar, desk.variants, desk.bar_length,
            self._intake.positions.held,
        )  # fmt: skip
        self._sender = Sender(desk, self._state, self._intake)
        self._guard = CloseGuard(desk)
        self._reconciler = Reconciler(desk.ledger, desk.broker, desk.account, self._intake, fault=desk.fault)
        self._clean = False
        self._differences: list[Difference] = []
        self._left: tuple[Difference, ...] = ()
        self._reconciled_at = desk.open
        self._stopped: set[str] = set()
        self._breakers = Breakers(desk, self._state, references or {}, health)
        self._trailing = TrailingStops(desk)

    def run(self) -> RoutingReport:
        """Every bar, every intent, then the account's worth."""
        desk = self._desk
        self._reconcile(self._now())
        self._sender.give_up_passed()
        desk.fault("caught_up")
        if is_complete(desk):
            return self._report(True)
        self._step(self._now(), [], {})  # what was stopped or broken before is stopped before a bar is played
        self._play(self._sender.waiting())
        desk.fault("session_played")
        self._reconcile(desk.close)
        self._step(desk.close, [], {})
        self._complete()
        desk.fault("worth_recorded")
        return self._report(False)

    def _play(self, waiting: Sequence[OrderIntent]) -> None:
        desk, account = self._desk, self._desk.account.name
        watch = BreakerWatch(desk, self._state)
        prices = setup_prices(desk.bars, waiting)
        wanted = {intent.valid_from for intent in waiting} | self._guard.times() | self._reconcile_times()
        times = sorted({*wanted, desk.close})
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
        desk, account, due = self._desk, self._desk.account, time.perf_counter()
        if at - self._reconciled_at >= dt.timedelta(seconds=account.reconcile_seconds):
            self._reconcile(at)
        pauses = self._breakers.pauses(at) if intents else []
        with desk.ledger.write() as w:
            self._intake.take_in(w)
            values = desk.broker.account_values(account.name)
            self._breakers.engage(w, values, at)
            self._breakers.record_pauses(w, pauses, at)
            switches = w.kill_switches(account.name, desk.variants)
            to_send = self._sender.admit(
                w, intents, at, switches=switches, values=values, prices=prices, reconciled=self._clean,
                pauses=[pause.name for pause in pauses],
            )  # fmt: skip
        desk.fault("step_committed")
        self._enforce({name for name, switch in switches.items() if switch.engaged}, at)
        self._sender.send(to_send, at, due, lambda variant: self._enforce(self._stopped | {variant}, at))

    def _now(self) -> dt.datetime:
        """End of the last bar of the session that a book has seen; its open where none has seen one."""
        desk = self._desk
        clocks = {name: desk.clock(name) for name in desk.variants}
        ends = [clock + desk.bar_length[name] for name, clock in clocks.items() if clock is not None]
        return min(desk.close, max([desk.open, *ends]))

    def _reconcile_times(self) -> set[dt.datetime]:
        """When broker and ledger are compared between open and close."""
        step = dt.timedelta(seconds=self._desk.account.reconcile_seconds)
        count = int((self._desk.close - self._desk.open) / step)
        return {self._desk.open + number * step for number in range(1, count + 1)}

    def _reconcile(self, at: dt.datetime) -> None:
        """Take in all that the broker knows; no new entry while something differs."""
        outcome = self._reconciler.run(at, self._desk.session)
        self._left, self._clean, self._reconciled_at = outcome.left, outcome.clean, at
        self._differences += [found for found in outcome.found if found not in self._differences]
        self._desk.fault("reconciled")

    def _enforce(self, variants: set[str], at: dt.datetime) -> None:
        """Cancel every working order of the stopped books, until the broker shows none; by policy close what they hold."""
        desk = self._desk
        for name in sorted(variants - self._stopped):
            flatten = desk.account.on_kill == "flatten" or desk.ledger.kill_switch(desk.account.name, name).flatten
            stop_book(
                desk.broker, desk.account.name, name, at, flatten=flatten, between=lambda: desk.fault("cancelled")
            )
        self._stopped = variants

    def _complete(self) -> None:
        desk = self._desk
        with desk.ledger.write() as w:
            for worth, held in session_worth(desk, self._state):
                w.record_worth(worth, held)
            self._breakers.record_market(w)
            self._trailing.record(w)
            w.record_risk_event(
                RiskEvent(
                    desk.close, desk.account.name, "", SESSION_ROUTED, "info", f"session {desk.session} is complete",
                    {"differences": len(self._differences), "broker_seq": self._intake.seq}, desk.session,
                    f"{SESSION_ROUTED}:{desk.account.name}:{desk.session}",
                )
            )  # fmt: skip

    def _report(self, already: bool) -> RoutingReport:
        desk = self._desk
        return RoutingReport(
            account=desk.account.name,
            session=desk.session,
            already_routed=already,
            intents=len(self._state.states),
            sent=desk.sent,
            refused=dict(desk.refused),
            entries=desk.recorded["entry"],
            exits=desk.recorded["exit"],
            outcomes=dict(Counter(str(state) for state in self._state.states.values())),
            breaches=tuple(self._breakers.breaches),
            differences=tuple(self._differences),
            left=self._left,
            worth=tuple(desk.ledger.worth(desk.account.name, session=desk.session)),
        )


class _Later:
    """Hands what the intake records on to the session's figures, which are loaded after it."""

    state: SessionState

    def note_state(self, intent: OrderIntent, state: OrderState) -> None:
        self.state.note_state(intent, state)

    def note_fill(self, fill: Fill) -> None:
        self.state.note_fill(fill)
