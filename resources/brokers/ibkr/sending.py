"""Brackets onto the wire, and what TWS makes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resources.brokers.ibkr.brackets import Levels, bracket
from resources.brokers.ibkr.journal import Sent
from resources.brokers.ibkr.library import library
from resources.brokers.ibkr.market_rules import Tradable
from resources.brokers.ibkr.said import Key, OrderSaid, Said
from trading.accounts import AccountConfig
from trading.orders.intents import OrderIntent
from trading.ports.broker import BrokerError


@dataclass(frozen=True)
class Outgoing:
    """A bracket ready to go: what the journal has of it, and its legs as fields of the library's Order."""

    intent: OrderIntent
    sent: Sent
    tradable: Tradable
    legs: Sequence[Mapping[str, Any]]

    @property
    def ids(self) -> list[int]:
        return [leg["orderId"] for leg in self.legs]


@dataclass(frozen=True)
class Outcome:
    """By order_ref: confirmed, refused with the reason, or without a word; and all orders as last said."""

    acknowledged: Sequence[str]
    refused: Mapping[str, str]
    missing: Sequence[str]
    orders: Mapping[Key, OrderSaid]


def outgoing(intents: Sequence[OrderIntent], account: AccountConfig) -> Sequence[OrderIntent]:
    """``intents``, where they are the sides of one setup of the account.

    Raises:
        BrokerError: they are not; says why.
    """
    if not intents:
        raise BrokerError("a bracket has at least one side")
    first = intents[0]
    if any(i.oco_id != first.oco_id or i.symbol != first.symbol or i.variant != first.variant for i in intents):
        raise BrokerError("the sides of one setup share oco_id, Symbol and variant")
    if len({intent.side for intent in intents}) != len(intents):
        raise BrokerError(f"setup {first.oco_id} has a side twice")
    if first.account != account.name or any(intent.account != first.account for intent in intents):
        raise BrokerError(f"this is the broker of account {account.name}, not of {first.account}")
    if first.variant not in account.variants:
        raise BrokerError(f"the book of {first.variant} is not open in account {account.name}")
    return intents


def prepare(
    intent: OrderIntent, tradable: Tradable, ids: Sequence[int], account: str, limit_ticks: int | None
) -> Outgoing:
    """``intent`` on the contract's grid."""
    levels = Levels.of(intent, tradable.grid)
    sent = Sent(
        intent.order_ref, intent.account, intent.variant, intent.symbol, tradable.contract.con_id, intent.side, levels.qty,
        intent.qty, levels.entry, levels.stop, levels.target, intent.oco_id, intent.session.isoformat(),
        intent.valid_to.isoformat(), ",".join(map(str, ids)),
    )  # fmt: skip
    legs = bracket(intent, levels, ids, tradable.grid, account=account, limit_ticks=limit_ticks)
    return Outgoing(intent, sent, tradable, legs)


async def send_brackets(ib: Any, said: Said, going: Sequence[Outgoing], seconds: float) -> Outcome:
    """Send, and wait until TWS has said something of every leg, or asked in vain.

    A bracket with a leg that is refused is cancelled whole: an entry without its stop must not rest.
    """
    for out in going:
        contract = out.tradable.for_order()
        for leg in out.legs:
            ib.client.placeOrder(leg["orderId"], contract, library().Order(**leg))
    answered = await said.answers([order_id for out in going for order_id in out.ids], seconds)
    refused = {}
    for out in going:
        against = [said.refused[order_id] for order_id in out.ids if order_id in said.refused]
        if against:
            code, text = against[0]
            refused[out.intent.order_ref] = f"{text} (message code {code})"
            for order_id in out.ids:
                ib.client.cancelOrder(order_id)
    if refused:
        # An order that TWS has spoken against may be live all the same: only its list of open orders says.
        mine = [(ib.wrapper.clientId, i) for out in going if out.intent.order_ref in refused for i in out.ids]
        await said.list_orders()
        await said.ends(list(mine), seconds)
        live = {key for key, order in said.orders.items() if not order.ended}
        stuck = [out.intent.order_ref for out in going if live.intersection((ib.wrapper.clientId, i) for i in out.ids)]
        refused = {ref: why for ref, why in refused.items() if ref not in stuck}
    refs = [out.intent.order_ref for out in going]
    if not answered or not {order.ref for order in said.orders.values()}.issuperset(refs):
        await said.list_orders()
    there = {order.ref for order in said.orders.values()}
    acknowledged = [ref for ref in refs if ref in there or ref in refused]
    missing = [ref for ref in refs if ref not in acknowledged]
    return Outcome(acknowledged, refused, missing, dict(said.orders))
