"""Interactive Brokers through a running TWS or IB Gateway; only :mod:`.library` names the package that speaks to it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.brokers.ibkr.broker import IbkrBroker
    from trading.accounts import AccountConfig


def open_broker(account: "AccountConfig", journal: Path, env: Mapping[str, str] = os.environ) -> "IbkrBroker":
    """The account's broker, connected; ``journal`` is the file that it keeps.

    Raises:
        AccountRefused: number or port are missing from ``env``, do not fit the mode, or the login does not manage the account.
        BrokerUnavailable: no way to Interactive Brokers now.
    """
    from resources.brokers.ibkr.access import Access
    from resources.brokers.ibkr.broker import IbkrBroker
    from resources.brokers.ibkr.journal import Journal
    from resources.clock import SystemClock
    from trading.sessions import get_calendar

    settings = account.ibkr_settings
    access = Access.of(account, settings, env)
    broker = IbkrBroker(account, access, Journal(journal), get_calendar(settings.calendar), SystemClock().now)
    try:
        broker.connect()
    except BaseException:
        broker.close()
        raise
    return broker
