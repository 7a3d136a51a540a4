"""The router: plays one session of an account, in time order, from intents to fills and worth.

What is recorded comes before what is sent. After a crash the same call goes on where the ledger and the broker are:
an order whose sending is in doubt is asked for at the broker by its order_ref before anything is sent again.
"""

import datetime as dt
import logging
import time
from collections.abc import Callable, Mapping, Sequence

import polars as pl

from resources.ledger import Ledger, RiskEvent
from resources.router.admission import check_that_intents_belong, refuse_passed
from resources.router.breakers import HealthProbe, all_well
from resources.router.desk import Desk
from resources.router.report import RoutingReport
from resources.router.session import SessionPlay
from trading.accounts import AccountConfig
from trading.instruments import Instrument
from trading.live import LivePermission, nothing_live
from trading.orders.intents import OrderIntent, TradedVariant
from trading.ports.broker import BrokerUnavailable, FedBroker
from trading.risk.win_rate import WinRateReference
from trading.sessions import SessionCalendar

_WAITS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)  # before it is tried once more to connect, seconds
_log = logging.getLogger(__name__)


class Router:
    """Carries intents to a broker and what comes back to the ledger.

    Where the broker does not answer, the account pauses: the router connects again and goes on as after a crash, asking before
    it sends. It never tries another route.

    Args:
        reconnects: so often, in one call, before it gives up.
        sleep: waits between attempts to connect, seconds.
        fault: called with the name of each point between two side effects; for tests that kill the process there.
        live: asked before every order of an account of mode live; without one none is sent.
        health: asked at every moment at which something is to be sent; what it measures may pause entries.
    """

    def __init__(
        self,
        ledger: Ledger,
        broker: FedBroker,
        calendar: SessionCalendar,
        *,
        reconnects: int = 50,
        sleep: Callable[[float], None] = time.sleep,
        fault: Callable[[str], None] | None = None,
        live: LivePermission = nothing_live,
        health: HealthProbe = all_well,
    ) -> None:
        self._ledger = ledger
        self._broker = broker
        self._calendar = calendar
        self._reconnects = reconnects
        self._sleep = sleep
        self._fault = fault or (lambda _: None)
        self._live = live
        self._health = health

    def route_session(
        self,
        account: AccountConfig,
        session: dt.date,
        intents: Sequence[OrderIntent],
        bars: Mapping[str, pl.DataFrame],
        variants: Mapping[str, TradedVariant],
        instruments: Mapping[str, Instrument] | None = None,
        references: Mapping[str, WinRateReference] | None = None,
    ) -> RoutingReport:
        """Play ``session``: every bar, every intent, then the account's worth. Safe to repeat, safe to kill.

        Args:
            intents: of the session; those that the ledger has stay as recorded.
            bars: by variant, the whole session in the variant's timeframe (Symbol, Timestamp, OHLCV, session).
            variants: all variants whose books are played, whether they have intents or not.
            references: by variant, the win rate that its trades are held against; see
                :func:`trading.risk.breakers.losing_streak`.

        Raises:
            SessionPassed: an unsent intent stands on a bar that its book has left behind.
            OrderError: an intent of another account or session, or without its bar; bars of another session.
            BrokerUnavailable: it does not come back, or not for long; call again to go on.
            CancellationFailed: the switch is engaged and orders are still open (:mod:`resources.cancellation`).
            LedgerUnavailable: nothing more is sent.
        """
        desk = Desk(
            self._ledger, self._broker, self._calendar, account, session, variants, bars, self._fault, self._live
        )
        check_that_intents_belong(desk, intents)
        self._connect()
        for left in range(self._reconnects, -1, -1):
            try:
                return self._attempt(desk, intents, instruments, references)
            except BrokerUnavailable as error:
                self._pause(desk, error)
                if not left:
                    raise
                self._connect()
        raise AssertionError("the last attempt returns or raises")

    def _attempt(
        self,
        desk: Desk,
        intents: Sequence[OrderIntent],
        instruments: Mapping[str, Instrument] | None,
        references: Mapping[str, WinRateReference] | None,
    ) -> RoutingReport:
        for name, variant in desk.variants.items():
            config = variant.replay.model_copy(update={"initial_cash": desk.account.variants[name].capital})
            self._broker.open_book(desk.account.name, name, config, instruments)
        refuse_passed(desk, intents)
        self._ledger.record_intents(list(intents))
        self._fault("intents_recorded")
        return SessionPlay(desk, references, self._health).run()

    def _pause(self, desk: Desk, error: BrokerUnavailable) -> None:
        account = desk.account.name
        _log.error("account paused, its broker is not available: %s", error, extra={"account": account})
        self._ledger.record_risk_event(
            RiskEvent(
                desk.open, account, "", "broker_unavailable", "warning", str(error), {}, desk.session,
                f"broker_unavailable:{account}:{desk.session}",
            )
        )  # fmt: skip

    def _connect(self) -> None:
        for wait in _WAITS:
            try:
                return self._broker.connect()
            except BrokerUnavailable:
                self._sleep(wait)
        return self._broker.connect()
