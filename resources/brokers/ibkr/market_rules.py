"""A contract's grid: price steps by market rule, and the size increment."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from resources.brokers.ibkr.contracts import ContractSpec
from resources.brokers.ibkr.history import Contract, one_contract
from resources.brokers.ibkr.library import library
from trading.ticks import Direction, exact, round_to_tick

_NO_SECURITY = 200
_RULE_SECONDS = 2.5
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Grid:
    """What TWS takes of one contract.

    Attributes:
        steps: price from which on a tick holds, and the tick; ascending.
        size: quantities are whole multiples of it.
        smallest: quantity of one order.
    """

    steps: tuple[tuple[Decimal, Decimal], ...]
    size: Decimal
    smallest: Decimal

    def tick(self, price: float) -> Decimal:
        """The price step at ``price``."""
        found = [tick for edge, tick in self.steps if edge <= Decimal(repr(price))]
        return found[-1] if found else self.steps[0][1]

    def price(self, price: float, direction: Direction) -> float:
        """``price`` on the grid."""
        return round_to_tick(price, self.tick(price), direction)

    def quantity(self, qty: float) -> float:
        """``qty`` down to the size increment; 0.0 below the smallest order."""
        whole = (exact(qty) / exact(self.size)) // 1 * exact(self.size)
        return float(whole) if whole >= exact(self.smallest) else 0.0


@dataclass(frozen=True)
class Tradable:
    """One contract, found out and ready for orders; ``contract`` is routed as it was asked for."""

    contract: Contract
    grid: Grid

    def for_order(self) -> Any:
        """The library's contract. Not the listing exchange that positions name: orders there are refused (10311)."""
        c = self.contract
        return library().Contract(
            conId=c.con_id, symbol=c.symbol, secType=c.sec_type, exchange=c.exchange, currency=c.currency,
            lastTradeDateOrContractMonth=c.expiry, multiplier=c.multiplier, localSymbol=c.local_symbol,
            tradingClass=c.trading_class, primaryExchange=c.primary_exchange,
        )  # fmt: skip


async def qualify(ib: Any, spec: ContractSpec) -> Tradable:
    """The one contract that ``spec`` describes, with its grid.

    Raises:
        ContractRefused: there is none, or more than one; the message names them.
    """
    try:
        listed = await ib.reqContractDetailsAsync(library().Contract(**spec.fields()))
    except library().RequestError as error:
        if error.code != _NO_SECURITY:
            raise
        listed = []
    contract = one_contract(spec, [details.contract for details in listed])
    details = listed[0]
    steps = [(Decimal(0), _decimal(details.minTick, Decimal("0.01")))]
    rule = _rule_of(details.marketRuleIds, details.validExchanges, contract.exchange)
    if rule is not None:
        try:
            increments = await _increments(ib, rule)
            steps = sorted((_decimal(i.lowEdge), _decimal(i.increment)) for i in increments) or steps
        except TimeoutError:
            # The contract's smallest tick: a price off a coarser grid is refused by TWS, nothing worse.
            _log.warning(
                "ibkr: no answer about market rule %d of %s; its tick is taken for %s", rule, contract, steps[0][1]
            )
    size = _decimal(details.sizeIncrement, Decimal(1))
    return Tradable(contract, Grid(tuple(steps), size, max(_decimal(details.minSize, size), size)))


async def _increments(ib: Any, rule: int) -> Sequence[Any]:
    future = ib.wrapper.startReq(f"marketRule-{rule}")
    ib.client.reqMarketRule(rule)
    found: Sequence[Any] = await asyncio.wait_for(future, _RULE_SECONDS)
    return found


def _rule_of(rules: str, exchanges: str, exchange: str) -> int | None:
    """The market rule of ``exchange``: both lists go side by side."""
    numbers, names = _list(rules), _list(exchanges)
    found = [number for name, number in zip(names, numbers, strict=False) if name == exchange]
    return int(found[0]) if found else int(numbers[0]) if numbers else None


def _list(text: str) -> Sequence[str]:
    return [part for part in (text or "").split(",") if part]


def _decimal(number: float, otherwise: Decimal = Decimal(0)) -> Decimal:
    return Decimal(repr(number)) if 0 < number < 1e300 else otherwise
