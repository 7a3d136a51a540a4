"""Appending to the ledger within one transaction."""

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Date, Float, Table, select

from resources.ledger import queries, schema
from resources.ledger.chain import head, row_hash
from resources.ledger.errors import LedgerConflict, LedgerError
from resources.ledger.records import Approval, Fill, KillSwitch, Position, RiskEvent, Worth, to_json
from trading.orders.intents import OrderIntent, intent_to_row
from trading.orders.lifecycle import OrderState, check_transition

_PROGRAMS = frozenset({"auto", "breaker", "router", "sensor", "system"})
SCOPE = re.compile(r"^(global|account:[\w-]+|variant:[\w-]+|book:[\w-]+/[\w-]+)$")


class LedgerWriter:
    """Appends of one transaction: all or none of them are there afterwards. Given by :meth:`Ledger.write`."""

    def __init__(self, connection: Connection, now: dt.datetime) -> None:
        self.connection = connection
        self._now = now
        self._heads: dict[str, tuple[int, str]] = {}

    def record_intents(self, intents: Sequence[OrderIntent]) -> int:
        """Append the intents whose key is not there, each with its event ``intended``; the number of new ones.

        A wish that is there stays as it was first recorded, whatever the new one says.
        """
        known = queries.known_keys(self.connection, [intent.idempotency_key for intent in intents])
        fresh = {i.idempotency_key: i for i in intents if i.idempotency_key not in known}
        self._append(schema.order_intents, [intent_to_row(intent) for intent in fresh.values()])
        self._append(
            schema.order_events,
            [_event_row(i, OrderState.INTENDED, "batch", i.valid_from, {}, None) for i in fresh.values()],
        )
        return len(fresh)

    def record_event(
        self,
        intent: OrderIntent,
        state: OrderState,
        *,
        at: dt.datetime,
        reason: str = "",
        payload: Mapping[str, Any] | None = None,
        broker_seq: int | None = None,
    ) -> None:
        """Move an order to ``state``.

        Raises:
            IllegalTransition: the order cannot go there from where it is.
            LedgerError: the intent was never recorded.
        """
        current = queries.state_of(self.connection, intent.idempotency_key)
        if current is None:
            raise LedgerError(f"order {intent.order_ref} has no recorded intent; record_intents comes first")
        check_transition(current, state, order_ref=intent.order_ref)
        self._append(schema.order_events, [_event_row(intent, state, reason, at, payload or {}, broker_seq)])

    def state_of(self, key: str) -> OrderState | None:
        """State of the order of that idempotency key, with what this transaction has recorded; None = never recorded."""
        return queries.state_of(self.connection, key)

    def filled_qty(self, order_ref: str) -> float:
        """What was filled of an entry, with what this transaction has recorded."""
        return queries.filled_qty(self.connection, order_ref)

    def known_executions(self, account: str, execution_ids: Sequence[str]) -> set[str]:
        """Which of the ids are recorded."""
        return queries.known_executions(self.connection, account, execution_ids)

    def record_fill(self, fill: Fill) -> bool:
        """Append an execution; False where its id is there already.

        Raises:
            LedgerConflict: another execution was recorded under this id.
        """
        f = schema.fills.c
        found = self.connection.execute(
            select(f.order_ref, f.qty, f.price).where(f.account == fill.account, f.execution_id == fill.execution_id)
        ).first()
        if found is not None:
            if tuple(found) != (fill.order_ref, fill.qty, fill.price):
                raise LedgerConflict(
                    f"execution {fill.execution_id} of account {fill.account} is recorded as {tuple(found)} (order_ref, "
                    f"qty, price), now it says {(fill.order_ref, fill.qty, fill.price)}"
                )
            return False
        self._append(schema.fills, [vars(fill)])
        return True

    def record_risk_event(self, event: RiskEvent) -> bool:
        """Append a risk event; False where one with its ``dedupe_key`` is there already."""
        if event.dedupe_key is not None and self._has(schema.risk_events, dedupe_key=event.dedupe_key):
            return False
        self._append(schema.risk_events, [{**vars(event), "figures": to_json(event.figures)}])
        return True

    def engage(
        self, scope: str, reason: str, by: str, at: dt.datetime, breach_id: str | None = None, *, flatten: bool = False
    ) -> bool:
        """Engage the kill switch of ``scope``; False where this breach engaged it before.

        Args:
            scope: ``global``, ``account:<name>``, ``variant:<name>`` or ``book:<account>/<variant>``.
            breach_id: id of the occurrence, so that the same breach engages once even after a release.
            flatten: positions in scope are to be closed too.
        """
        _check_scope(scope)
        if breach_id is not None and self._has(schema.kill_switch_events, breach_id=breach_id):
            return False
        self._switch("flatten" if flatten else "engaged", scope, reason, by, at, breach_id)
        return True

    def kill_switches(self, account: str, variants: Iterable[str]) -> dict[str, KillSwitch]:
        """The switch in force for each book, with what this transaction has engaged; raises where it cannot be read."""
        return queries.switches(self.connection, account, variants)

    def last_release(self, scope: str) -> dt.datetime | None:
        """When a person last released the kill switch of ``scope``; None = never."""
        return queries.last_release(self.connection, scope)

    def release(self, scope: str, by: str, reason: str, at: dt.datetime) -> None:
        """Release the kill switch of ``scope``, by a person with a reason.

        Raises:
            LedgerError: no reason, no name, or the switch of that scope is not engaged.
        """
        _check_scope(scope)
        if not by.strip() or not reason.strip():
            raise LedgerError(f"releasing the kill switch of {scope} needs the person's name and a reason")
        if by.strip().lower() in _PROGRAMS:
            raise LedgerError(f"the kill switch of {scope} is released by a person, not by {by.strip()!r}")
        if scope not in {switch.scope for switch in queries.engaged_switches(self.connection, [scope])}:
            raise LedgerError(f"the kill switch of {scope} is not engaged")
        self._switch("released", scope, reason, by, at, None)

    def record_decision(self, decision: Mapping[str, Any], at: dt.datetime) -> bool:
        """Append a promotion decision; False where its ``decision_id`` is there already.

        Args:
            decision: JSON-able record with at least decision_id, variant, strategy_version, from_stage, to_stage, session
                (date or ISO text), decided_by, reason.

        Raises:
            LedgerConflict: another content was recorded under this id.
        """
        content = to_json(decision)
        d = schema.promotion_decisions.c
        known = self.connection.execute(select(d.content).where(d.decision_id == decision["decision_id"])).scalar()
        if known is not None:
            if known != content:
                raise LedgerConflict(f"decision {decision['decision_id']} is recorded with another content")
            return False
        names = ("decision_id", "variant", "strategy_version", "from_stage", "to_stage", "decided_by", "reason")
        session = decision["session"]
        row = {
            **{name: decision[name] for name in names},
            "session": dt.date.fromisoformat(session) if isinstance(session, str) else session,
            "at": at,
            "content": content,
        }
        self._append(schema.promotion_decisions, [row])
        return True

    def record_approval(self, approval: Approval) -> bool:
        """Append a person's approval; False where the same one is there already."""
        if not approval.person.strip() or approval.person == "auto":
            raise LedgerError(f"an approval of {approval.variant} needs the name of a person, got {approval.person!r}")
        row = dict(vars(approval))
        if self._has(
            schema.approvals,
            **{name: row[name] for name in ("variant", "strategy_version", "commit_id", "person")},
        ):
            return False
        self._append(schema.approvals, [row])
        return True

    def record_backtest(
        self,
        variant: str,
        strategy_version: str,
        session: dt.date,
        horizon: str,
        commit_id: str,
        metrics: Mapping[str, Any],
    ) -> bool:
        """Append a backtest's metrics; False where the same ones are there already."""
        row = {
            "variant": variant,
            "strategy_version": strategy_version,
            "session": session,
            "horizon": horizon,
            "commit_id": commit_id,
            "metrics": to_json(metrics),
        }
        digest = _content_hash(row)
        if self._has(schema.backtest_results, content_hash=digest):
            return False
        self._append(schema.backtest_results, [{**row, "content_hash": digest}])
        return True

    def record_worth(self, worth: Worth, positions: Sequence[Position] | None = None) -> bool:
        """Append what a book is worth; False where the newest record of that book and session says the same.

        A correction is a further row; the newest one counts.

        Args:
            positions: all that the book holds then; None = not said. What an earlier record held and these do not is taken
                back by a row of quantity 0.
        """
        if positions is not None:
            self._record_positions(worth, positions)
        recorded = queries.worth(self.connection, worth.account, worth.variant, None, worth.session)
        if recorded and replace(recorded[0], at=worth.at) == worth:
            return False
        content = {name: value for name, value in vars(worth).items() if name != "at" and value is not None}
        digest = _content_hash(content)
        if self._has(schema.portfolio_worth, content_hash=digest):
            # what was so before, was corrected, and is corrected back
            digest = _content_hash(content | {"row": self._next_id(schema.portfolio_worth)})
        self._append(schema.portfolio_worth, [{**vars(worth), "content_hash": digest}])
        return True

    def _record_positions(self, worth: Worth, positions: Sequence[Position]) -> None:
        for position in positions:
            if (position.account, position.variant, position.session) != (worth.account, worth.variant, worth.session):
                raise LedgerError(
                    f"position {position.order_ref} is of {position.account}/{position.variant} in {position.session}, the "
                    f"worth of {worth.account}/{worth.variant} in {worth.session}"
                )
        known = {
            p.order_ref: p for p in queries.positions(self.connection, worth.account, worth.session, worth.variant)
        }
        gone = [replace(known[ref], qty=0.0, at=worth.at) for ref in known.keys() - {p.order_ref for p in positions}]
        fresh = [p for p in positions if p.order_ref not in known or replace(known[p.order_ref], at=p.at) != p]
        self._append(
            schema.positions,
            [
                {**vars(p), "unrealised": p.unrealised, "exposure": p.exposure}
                for p in [*fresh, *sorted(gone, key=lambda p: p.order_ref)]
            ],
        )

    def _switch(self, action: str, scope: str, reason: str, by: str, at: dt.datetime, breach: str | None) -> None:
        row = {"at": at, "action": action, "scope": scope, "reason": reason, "by": by, "breach_id": breach}
        self._append(schema.kill_switch_events, [row])

    def _has(self, table: Table, **values: Any) -> bool:
        found = select(table.c.id).where(*(table.c[name] == value for name, value in values.items())).limit(1)
        return self.connection.execute(found).first() is not None

    def _next_id(self, table: Table) -> int:
        return (self._heads.get(table.name) or head(self.connection, table))[0] + 1

    def _append(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        last_id, last_hash = self._heads.get(table.name) or head(self.connection, table)
        full = []
        for values in rows:
            last_id += 1
            row = {column.name: _typed(values.get(column.name), column) for column in table.columns}
            row |= {"id": last_id, "recorded_at": self._now, "prev_hash": last_hash}
            row["row_hash"] = last_hash = row_hash(table.name, row, last_hash)
            full.append(row)
        self.connection.execute(table.insert(), full)
        self._heads[table.name] = (last_id, last_hash)

    def seal(self) -> None:
        """Note the heads that this transaction moved; called once, last."""
        if self._heads:
            self._append(schema.checkpoints, [{"heads": to_json(dict(self._heads))}])


def _content_hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(to_json(content).encode()).hexdigest()


def _typed(value: Any, column: Any) -> Any:
    """``value`` as the database will give it back, so that the row's hash is the same then."""
    if value is None:
        return None
    if isinstance(column.type, Float):
        return float(value) + 0.0
    if isinstance(column.type, schema.UtcDateTime):
        if value.tzinfo is None:
            raise LedgerError(f"{column.table.name}.{column.name}: {value} needs a time zone")
        return value.astimezone(dt.UTC)
    if isinstance(column.type, Date) and isinstance(value, dt.datetime):
        raise LedgerError(f"{column.table.name}.{column.name} is a date, got the instant {value}")
    return str(value) if isinstance(value, OrderState) else value


def _event_row(
    intent: OrderIntent,
    state: OrderState,
    reason: str,
    at: dt.datetime,
    payload: Mapping[str, Any],
    broker_seq: int | None,
) -> dict[str, Any]:
    return {
        "at": at,
        "account": intent.account,
        "variant": intent.variant,
        "idempotency_key": intent.idempotency_key,
        "order_ref": intent.order_ref,
        "state": state,
        "reason": reason,
        "broker_seq": broker_seq,
        "payload": to_json(payload),
    }


def _check_scope(scope: str) -> None:
    if not SCOPE.match(scope):
        raise LedgerError(
            f"kill switch scope {scope!r} is unknown; use global, account:<name>, variant:<name> or "
            "book:<account>/<variant>"
        )
