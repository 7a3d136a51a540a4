"""The router: plays one session of an account, in time order, from intents to fills and worth.

What is recorded comes before what is sent. After a crash the same call goes on where the ledger and the broker are:
an order whose sending is in doubt is asked for at the broker by its order_ref before anything is sent again.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence

import polars as pl

from resources.brokers.simulated import SimulatedBroker
from resources.ledger import Ledger
from resources.router.admission import check_that_intents_belong, refuse_passed
from resources.router.breakers import HealthProbe, all_well
from resources.router.desk import Desk
from resources.router.report import RoutingReport
from resources.router.session import SessionPlay
from trading.accounts import AccountConfig
from trading.instruments import Instrument
from trading.live import LivePermission, nothing_live
from trading.orders.intents import OrderIntent, TradedVariant
from trading.risk.win_rate import WinRateReference
from trading.sessions import SessionCalendar


class Router:
    """Carries intents to a broker and what comes back to the ledger.

    Args:
        fault: called with the name of each point between two side effects; for tests that kill the process there.
        live: asked before every order of an account of mode live; without one none is sent.
        health: asked at every moment at which something is to be sent; what it measures may pause entries.
    """

    def __init__(
        self,
        ledger: Ledger,
        broker: SimulatedBroker,
        calendar: SessionCalendar,
        *,
        fault: Callable[[str], None] | None = None,
        live: LivePermission = nothing_live,
        health: HealthProbe = all_well,
    ) -> None:
        self._ledger = ledger
        self._broker = broker
        self._calendar = calendar
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
            BrokerUnavailable: the outcome of a submission is not known; call again to go on.
            CancellationFailed: the switch is engaged and orders are still open (:mod:`resources.cancellation`).
            LedgerUnavailable: nothing more is sent.
        """
        desk = Desk(
            self._ledger, self._broker, self._calendar, account, session, variants, bars, self._fault, self._live
        )
        check_that_intents_belong(desk, intents)
        for name, variant in variants.items():
            config = variant.replay.model_copy(update={"initial_cash": account.variants[name].capital})
            self._broker.open_book(account.name, name, config, instruments)
        refuse_passed(desk, intents)
        self._ledger.record_intents(list(intents))
        self._fault("intents_recorded")
        return SessionPlay(desk, references, self._health).run()
