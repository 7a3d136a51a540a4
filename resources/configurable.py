"""Thin Dagster resources over the adapters of this package; each opens its adapter once per process."""

import datetime as dt
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from trading.errors import ConfigError, TradingError

if TYPE_CHECKING:
    from resources.lake import Lake
    from resources.lake.publish import Publisher
    from resources.ledger import Ledger
    from resources.sources.config import SourceConfig
    from resources.sources.context import SourceContext
    from trading.accounts import AccountConfig
    from trading.ports.alerts import AlertSink
    from trading.ports.broker import Broker, FedBroker
    from trading.ports.sources import BarSource


class ClockResource(dg.ConfigurableResource["ClockResource"]):
    """The only place where assets learn what time it is. ``fixed`` (ISO 8601, UTC) stops it, for tests and replays."""

    fixed: str = ""

    def now(self) -> dt.datetime:
        if self.fixed:
            return dt.datetime.fromisoformat(self.fixed).astimezone(dt.UTC)
        from resources.clock import SystemClock

        return SystemClock().now()


class LakeResource(dg.ConfigurableResource["LakeResource"]):
    """Versioned storage, by URI."""

    uri: str

    def open(self) -> "Lake":
        return _lake(self.uri)

    def publisher(
        self, context: dg.AssetExecutionContext, code_version: str, clock: Callable[[], dt.datetime]
    ) -> "Publisher":
        """Write-audit-publish for one step of one run."""
        from resources.lake.publish import Publisher

        return Publisher(self.open(), run_id=context.run.run_id, code_version=code_version, clock=clock)


class SourcesResource(dg.ConfigurableResource["SourcesResource"]):
    """Where raw bars come from, by universe. Relative paths are below ``home``, and so are downloads."""

    home: str

    def open(
        self,
        universe: str,
        config: "SourceConfig",
        *,
        calendar: str,
        symbols: tuple[str, ...] | None,
        clock: Callable[[], dt.datetime],
    ) -> "BarSource":
        """The source of one universe, opened anew: what has arrived since is seen."""
        return config.open(self.context(universe, calendar=calendar, symbols=symbols, clock=clock))

    def context(
        self, universe: str, *, calendar: str, symbols: tuple[str, ...] | None, clock: Callable[[], dt.datetime]
    ) -> "SourceContext":
        """Surroundings of any source of a universe, one of corporate actions too."""
        from resources.sources.context import SourceContext

        home = Path(self.home)
        return SourceContext(home, home / "downloads" / universe, calendar, symbols, clock)


class LedgerResource(dg.ConfigurableResource["LedgerResource"]):
    """The append-only record of orders, decisions and money. The URL may carry a password: pass it as an EnvVar."""

    url: str

    def open(self) -> "Ledger":
        return _ledger(self.url)


class BrokerResource(dg.ConfigurableResource["BrokerResource"]):
    """Brokers by account; the simulated one keeps its state under ``state_dir``, in this process, or in one of its own where
    the account says at which ``broker_address``. The journal of orders at Interactive Brokers is there as well.
    """

    state_dir: str

    def open(self, account: "AccountConfig") -> "Broker":
        """Connected. BrokerUnavailable where nobody answers: the account pauses, no other broker takes its orders."""
        if account.broker == "ibkr":
            from resources.brokers.ibkr import open_broker

            return open_broker(account, self.state_of(account.name))
        return self.open_fed(account)

    def open_fed(self, account: "AccountConfig") -> "FedBroker":
        """A broker whose market is the bars of past sessions.

        Raises:
            ConfigError: the account's broker follows the real market, which past sessions cannot be played to.
        """
        from resources.brokers.simulated import BrokerAddress, RemoteBroker, SimulatedBroker

        if account.broker != "simulated":
            raise ConfigError(
                f"account {account.name}: broker {account.broker} follows the real market, and past sessions cannot be played to "
                "it; route them with an account whose broker is simulated"
            )
        if account.broker_address is None:
            return SimulatedBroker(self.state_of(account.name))
        remote = RemoteBroker(BrokerAddress.parse(account.broker_address))
        remote.connect()
        return remote

    def state_of(self, account: str) -> Path:
        """File of the simulated broker's state, or of the journal at Interactive Brokers."""
        return Path(self.state_dir) / f"{account}.db"

    def open_all(
        self, accounts: Iterable["AccountConfig"]
    ) -> tuple[list[tuple["AccountConfig", "Broker"]], list[TradingError]]:
        """Each account with its broker, and why others have none: what is wrong with one keeps no other from being stopped."""
        opened, wrong = [], []
        for account in accounts:
            try:
                opened.append((account, self.open(account)))
            except TradingError as error:
                wrong.append(error)
        return opened, wrong


class AlertsResource(dg.ConfigurableResource["AlertsResource"]):
    """Slack where a token is set in ``token_env``, else files under ``folder``."""

    folder: str
    channel: str
    token_env: str
    base_url: str
    ui_url: str

    def open(self) -> "AlertSink":
        from resources.slack import alert_sink

        return alert_sink(
            folder=Path(self.folder), channel=self.channel, token_env=self.token_env, base_url=self.base_url
        )


@cache
def _lake(uri: str) -> "Lake":
    from resources.lake import open_lake

    return open_lake(uri)


@cache
def _ledger(url: str) -> "Ledger":
    from resources.ledger import Ledger

    return Ledger(url)
