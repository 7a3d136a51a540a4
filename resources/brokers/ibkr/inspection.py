"""What is right and wrong with a running TWS or IB Gateway, for the one who set it up. Reads only."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from resources.brokers.ibkr.access import LIVE_PORTS, PAPER_PORTS, Access, AccountRefused
from resources.brokers.ibkr.market_rules import Tradable, qualify
from resources.brokers.ibkr.said import Said
from resources.brokers.ibkr.session import Address
from resources.brokers.ibkr.trading_link import TradingLink
from trading.accounts import AccountConfig
from trading.errors import TradingError
from trading.ports.broker import BrokerError, BrokerUnavailable

_CLOCK_SECONDS = 2.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``says`` has the cure where it is wrong."""

    what: str
    right: bool
    says: str


def inspect(
    account: AccountConfig, env: Mapping[str, str], clock: Callable[[], dt.datetime], symbol: str
) -> Iterator[Finding]:
    """Findings in the order in which they matter; it ends early where nothing more can be known.

    Args:
        symbol: whose contract and market data are asked for.
    """
    settings = account.ibkr_settings
    try:
        access = Access.of(account, settings, env)
    except AccountRefused as error:
        yield Finding("account and port", False, str(error))
        return
    kind = "live" if access.port in LIVE_PORTS else "paper" if access.port in PAPER_PORTS else "not one of TWS's own"
    yield Finding("account and port", True, f"mode {account.mode}, port {access.port} ({kind})")
    link = TradingLink(Address(settings.host, access.port, settings.client_id), access, settings.answer_seconds)
    try:
        try:
            link.connect()
        except (BrokerUnavailable, AccountRefused) as error:
            yield Finding("connection", False, str(error))
            return
        version = link.call(_version)
        yield Finding(
            "connection", True, f"client id {settings.client_id}, server version {version}; manages the account"
        )
        yield _clock(link, clock)
        yield _answer(link, "orders", _orders)
        yield _answer(link, "money", lambda ib, said: _money(ib, said, account))
        yield from _market(link, account, symbol, clock)
    finally:
        link.close()


async def _version(ib: Any, _: Said) -> int:
    return int(ib.client.serverVersion())


def _clock(link: TradingLink, clock: Callable[[], dt.datetime]) -> Finding:
    async def ask(ib: Any, _: Said) -> dt.datetime:
        answer: dt.datetime = await ib.reqCurrentTimeAsync()
        return answer

    try:
        theirs = link.call(ask)
    except BrokerError as error:
        return Finding("clock", False, str(error))
    apart = (clock() - theirs).total_seconds()
    right = abs(apart) <= _CLOCK_SECONDS + 1  # TWS tells whole seconds
    cure = "" if right else "; set this machine's clock by NTP: orders are valid until an instant"
    return Finding("clock", right, f"{apart:+.0f} s against TWS{cure}")


def _answer(link: TradingLink, what: str, work: Callable[[Any, Said], Any]) -> Finding:
    try:
        return Finding(what, True, link.call(work))
    except TradingError as error:
        return Finding(what, False, str(error))


async def _orders(_: Any, said: Said) -> str:
    await said.list_orders()
    fills, held = await said.list_fills(), await said.list_positions()
    live = [order for order in said.orders.values() if not order.ended]
    return f"{len(live)} open orders of all clients, {len(fills)} executions today, {len(held)} positions"


async def _money(ib: Any, said: Said, account: AccountConfig) -> str:
    values = await ib.accountSummaryAsync(said.account)
    net = [v for v in values if v.tag == "NetLiquidation"]
    if not net:
        raise BrokerError("TWS tells no NetLiquidation of the account: see the login's rights")
    books = f"the books' capital is {account.capital:,.2f} {account.currency}"
    return f"net liquidation {float(net[0].value):,.2f} {net[0].currency}; {books}"


def _market(
    link: TradingLink, account: AccountConfig, symbol: str, clock: Callable[[], dt.datetime]
) -> Iterator[Finding]:
    found: list[Tradable] = []

    async def contract(ib: Any, _: Said) -> str:
        tradable = await qualify(ib, account.ibkr_settings.spec(symbol))
        found.append(tradable)
        details = await ib.reqContractDetailsAsync(tradable.for_order())
        zone = details[0].timeZoneId
        ZoneInfo(zone)  # an unknown name makes executions vanish
        return f"{tradable.contract}, tick {tradable.grid.steps[-1][1]}, size {tradable.grid.size}, time zone {zone}"

    try:
        yield Finding("contract and time zone", True, link.call(contract))
    except KeyError as error:
        yield Finding("contract and time zone", False, f"{error}: install tzdata")
    except TradingError as error:
        yield Finding("contract and time zone", False, str(error))
    if not found:
        return

    async def data(ib: Any, _: Said) -> str:
        bars = await ib.reqHistoricalDataAsync(
            found[0].for_order(), clock(), "1 D", "1 min", "TRADES", False, formatDate=2, timeout=0
        )
        return (
            f"{len(bars)} minutes of {symbol}, the last of {bars[-1].date}"
            if bars
            else f"no minutes of {symbol} in a day"
        )

    try:
        yield Finding("market data", True, link.call(data, 30))
    except TradingError as error:
        yield Finding(
            "market data", False, f"{error}; subscribe to this market's data for the login, or share the live login's"
        )
