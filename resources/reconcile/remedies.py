"""What is done about a difference, by policy. Each remedy is safe to repeat; None = nothing was done.

| difference | protect | flatten | adopt |
|---|---|---|---|
| missing_exit, exit_differs | exits attached | position closed | exits attached |
| orphan_position | stop attached, a person must look | closed | into the ledger, with a stop |
| quantity_differs | exits for what is held, a person must look | closed | the ledger follows the broker |
| missing_position | a person must look | the ledger follows the broker | the ledger follows the broker |
| unknown_order | cancelled | cancelled | into the ledger |
| missing_order | the ledger follows the broker | the same | the same |

Under ``halt`` nothing is ever done.
"""

import datetime as dt
from collections.abc import Callable

from resources.intake import Intake
from resources.ledger import Ledger, LedgerError
from trading.accounts import AccountConfig
from trading.errors import TradingError
from trading.instruments import Instrument
from trading.orders.differences import Difference
from trading.orders.intents import Lineage, OrderIntent, digest
from trading.orders.lifecycle import OrderState
from trading.ports.broker import Broker, BrokerEvent, BrokerPosition, BrokerUnavailable, PlacedOrder
from trading.ticks import round_to_tick

_ADOPTED = "adopted"


class Remedies:
    """The account's policy, difference by difference."""

    def __init__(self, ledger: Ledger, broker: Broker, account: AccountConfig, intake: Intake) -> None:
        self._ledger, self._broker, self._account, self._intake = ledger, broker, account, intake
        policies: dict[str, dict[str, Callable[[Difference, dt.date, dt.datetime], str | None]]] = {
            "protect": {
                "missing_exit": self._attach, "exit_differs": self._attach, "orphan_position": self._attach,
                "quantity_differs": self._attach, "unknown_order": self._cancel, "missing_order": self._forget,
            },
            "flatten": {
                "missing_exit": self._close, "exit_differs": self._close, "orphan_position": self._close,
                "quantity_differs": self._close, "missing_position": self._follow, "unknown_order": self._cancel,
                "missing_order": self._forget,
            },
            "adopt": {
                "missing_exit": self._attach, "exit_differs": self._attach, "orphan_position": self._adopt,
                "quantity_differs": self._follow, "missing_position": self._follow, "unknown_order": self._adopt,
                "missing_order": self._forget,
            },
        }  # fmt: skip
        self._by_kind = policies.get(account.reconcile_policy, {})

    def apply(self, difference: Difference, session: dt.date, at: dt.datetime) -> str | None:
        """What was done, in a sentence. What the broker refuses stays a difference.

        Raises:
            BrokerUnavailable, LedgerError: one of the two sides cannot be worked with.
        """
        remedy = self._by_kind.get(difference.kind)
        if remedy is None:
            return None
        try:
            return remedy(difference, session, at)
        except (BrokerUnavailable, LedgerError):
            raise
        except TradingError as error:
            return f"{difference.order_ref}: {self._account.reconcile_policy} did not succeed: {error}"

    def _attach(self, d: Difference, _: dt.date, at: dt.datetime) -> str | None:
        position, order = self._position(d), self._broker.find(d.order_ref)
        if position is None or order is None:
            return None
        stop, target = self._exits(position, order)
        if order.stop_qty == position.qty and order.target_qty == (0.0 if target is None else position.qty):
            return None
        self._broker.protect(d.order_ref, stop, target, at)
        return f"stop-loss at {stop:g}{f', target at {target:g}' if target else ''} attached to {d.symbol}"

    def _close(self, d: Difference, _: dt.date, at: dt.datetime) -> str | None:
        fills = self._broker.flatten(self._account.name, at, reason="reconcile", order_ref=d.order_ref)
        return f"position in {d.symbol} closed" if fills else None

    def _cancel(self, d: Difference, _: dt.date, at: dt.datetime) -> str | None:
        cancelled = self._broker.cancel(d.order_ref, at, "reconcile")
        return f"order for {d.symbol} cancelled" if cancelled else None

    def _forget(self, d: Difference, _: dt.date, at: dt.datetime) -> str | None:
        """An order that is open in the ledger alone is over."""
        intent = self._ledger.intents_by_ref([d.order_ref])[d.order_ref]
        with self._ledger.write() as w:
            self._intake.move(w, intent, OrderState.CANCELLED, at, "lost_at_broker")
        return f"order for {d.symbol} taken for cancelled"

    def _follow(self, d: Difference, session: dt.date, at: dt.datetime) -> str | None:
        """Book the difference in quantity at the ledger's own price: what it really earned or cost nobody can tell here."""
        held, booked = d.figures.get("broker", 0.0), d.figures.get("ledger", 0.0)
        if held * booked < 0:
            return None
        missing = abs(held) - abs(booked)
        position = self._position(d)
        known = self._intake.positions.held.get(d.order_ref)
        price = position.entry_price if known is None and position is not None else known.price if known else 0.0
        execution = BrokerEvent(
            0, "fill", d.order_ref, "entry" if missing > 0 else "exit", at, session, price, abs(missing), 0.0, _ADOPTED,
            f"{_ADOPTED}-{d.order_ref}-{at.isoformat()}",
        )  # fmt: skip
        with self._ledger.write() as w:
            self._intake.record(w, [execution])
        return f"ledger follows the broker in {d.symbol}: {booked:g} became {held:g} at {price:g}"

    def _adopt(self, d: Difference, session: dt.date, at: dt.datetime) -> str | None:
        """Put an order or position of unknown origin into the ledger; its executions follow with the next intake."""
        if self._ledger.intents_by_ref([d.order_ref]):
            return self._follow(d, session, at)
        order, position = self._broker.find(d.order_ref), self._position(d)
        if order is None or d.variant not in self._account.variants:
            return None
        if position is not None and not order.protected:
            stop, target = self._exits(position, order)
            order = self._broker.protect(d.order_ref, stop, target, at)
        entry = order.entry if order.entry is not None else position.entry_price if position is not None else None
        if entry is None or order.stop is None:
            return None
        key = digest(_ADOPTED, self._account.name, d.order_ref)
        intent = OrderIntent(
            idempotency_key=key, order_ref=d.order_ref, oco_id=d.order_ref, account=self._account.name,
            variant=d.variant, strategy_version=_ADOPTED, symbol=d.symbol, side=order.side, qty=order.qty, entry=entry,
            stop=order.stop, target=order.target, setup_time=at, session=session, valid_sessions=0, valid_from=at,
            valid_to=at, lineage=Lineage(),
        )  # fmt: skip
        with self._ledger.write() as w:
            w.record_intents([intent])
            self._intake.move(w, intent, OrderState.SUBMITTING, at, _ADOPTED)
            self._intake.move(w, intent, OrderState.ACKNOWLEDGED, at, _ADOPTED)
        return f"order {d.order_ref} for {order.side * order.qty:g} {d.symbol} taken into the ledger"

    def _position(self, d: Difference) -> BrokerPosition | None:
        positions = self._broker.positions(self._account.name)
        return next((position for position in positions if position.order_ref == d.order_ref), None)

    def _exits(self, position: BrokerPosition, order: PlacedOrder) -> tuple[float, float | None]:
        """The levels that rest, else those of the intent, else a stop at ``orphan_stop_pct`` from the entry price."""
        intent = self._ledger.intents_by_ref([position.order_ref]).get(position.order_ref)
        if intent is not None:
            return order.stop if order.stop is not None else intent.stop, intent.target
        if order.stop is not None:
            return order.stop, order.target
        away = position.side * self._account.orphan_stop_pct / 100
        tick = Instrument(symbol=position.symbol).tick
        level = round_to_tick(position.entry_price * (1 - away), tick, "down" if position.side > 0 else "up")
        return level, order.target
