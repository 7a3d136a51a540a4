"""Reading the ledger: current state derived from what was appended."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, bindparam, case, func, select

from resources.ledger import schema
from resources.ledger.errors import LedgerError
from resources.ledger.records import (
    Approval,
    Decision,
    Fill,
    KillSwitch,
    OpenPosition,
    OrderEvent,
    Position,
    RiskEvent,
    Worth,
)
from trading.orders.intents import OrderIntent, intent_from_row
from trading.orders.lifecycle import OrderState
from trading.portfolio import holdings
from trading.ticks import exact

_CHUNK = 500
_I, _E, _F = schema.order_intents, schema.order_events, schema.fills


def known_keys(connection: Connection, keys: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for i in range(0, len(keys), _CHUNK):
        rows = select(_I.c.idempotency_key).where(_I.c.idempotency_key.in_(keys[i : i + _CHUNK]))
        found.update(connection.execute(rows).scalars())
    return found


def known_executions(connection: Connection, account: str, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for i in range(0, len(ids), _CHUNK):
        rows = select(_F.c.execution_id).where(_F.c.account == account, _F.c.execution_id.in_(ids[i : i + _CHUNK]))
        found.update(connection.execute(rows).scalars())
    return found


# made once: they are asked for every order event, and to put one together costs as much as to answer it
_LAST_STATE = select(_E.c.state).where(_E.c.idempotency_key == bindparam("key")).order_by(_E.c.id.desc()).limit(1)
_ENTRY_QTYS = select(_F.c.qty).where(_F.c.order_ref == bindparam("ref"), _F.c.leg == "entry")


def state_of(connection: Connection, key: str) -> OrderState | None:
    state = connection.execute(_LAST_STATE, {"key": key}).scalar()
    return None if state is None else OrderState(state)


def intents(
    connection: Connection, account: str, session: dt.date | None = None, variant: str | None = None
) -> list[OrderIntent]:
    rows = select(_I).where(_I.c.account == account).order_by(_I.c.id)
    if session is not None:
        rows = rows.where(_I.c.session == session)
    if variant is not None:
        rows = rows.where(_I.c.variant == variant)
    return [intent_from_row(dict(row)) for row in connection.execute(rows).mappings()]


def _with_last_state(*where: ColumnElement[bool]) -> Any:
    newest = (
        select(_E.c.idempotency_key, func.max(_E.c.id).label("last"))
        .join(_I, _I.c.idempotency_key == _E.c.idempotency_key)
        .where(*where)
        .group_by(_E.c.idempotency_key)
        .subquery()
    )
    return (
        select(_I, _E.c.state)
        .select_from(_I)
        .join(newest, newest.c.idempotency_key == _I.c.idempotency_key)
        .join(_E, _E.c.id == newest.c.last)
    )


def states(connection: Connection, account: str, session: dt.date) -> dict[str, tuple[OrderIntent, OrderState]]:
    query = _with_last_state(_I.c.account == account, _I.c.session == session).order_by(_I.c.id)
    return {
        row["idempotency_key"]: (intent_from_row(dict(row)), OrderState(row["state"]))
        for row in connection.execute(query).mappings()
    }


def states_since(connection: Connection, first: dt.date) -> list[tuple[OrderIntent, OrderState]]:
    query = _with_last_state(_I.c.session >= first).order_by(_I.c.id)
    return [(intent_from_row(dict(row)), OrderState(row["state"])) for row in connection.execute(query).mappings()]


def submitted(connection: Connection, account: str, session: dt.date) -> list[OrderIntent]:
    was_sent = select(_E.c.id).where(_E.c.idempotency_key == _I.c.idempotency_key, _E.c.state == OrderState.SUBMITTING)
    rows = (
        select(_I)
        .where(_I.c.account == account, _I.c.session == session, was_sent.correlate(_I).exists())
        .order_by(_I.c.id)
    )
    return [intent_from_row(dict(row)) for row in connection.execute(rows).mappings()]


def _has_ended() -> ColumnElement[bool]:
    # an order that has ended has an event in a final state: the index finds it, the newest need not be looked for
    ended = [state for state in OrderState if state.is_final]
    return (
        select(_E.c.id)
        .where(_E.c.idempotency_key == _I.c.idempotency_key, _E.c.state.in_(ended))
        .correlate(_I)
        .exists()
    )


def first_open(connection: Connection, after: int) -> int:
    """Id of the oldest intent from ``after`` on that has not ended; one past the last where all have."""
    last = int(connection.execute(select(func.coalesce(func.max(_I.c.id), 0))).scalar_one())
    if after > last + 1:  # a server was set back to an earlier state
        after = 0
    oldest = select(func.min(_I.c.id)).where(_I.c.id >= after, ~_has_ended())
    return connection.execute(oldest).scalar() or last + 1


def working(connection: Connection, account: str | None, first: int) -> list[tuple[OrderIntent, OrderState]]:
    """Of the intents from id ``first`` on."""
    where = [_I.c.id >= first, ~_has_ended(), *([] if account is None else [_I.c.account == account])]
    query = _with_last_state(*where).where(_E.c.state != OrderState.INTENDED).order_by(_I.c.id)
    return [(intent_from_row(dict(row)), OrderState(row["state"])) for row in connection.execute(query).mappings()]


def by_refs(connection: Connection, refs: Iterable[str]) -> dict[str, OrderIntent]:
    wanted = list(refs)
    found: dict[str, OrderIntent] = {}
    for i in range(0, len(wanted), _CHUNK):
        rows = select(_I).where(_I.c.order_ref.in_(wanted[i : i + _CHUNK]))
        for row in connection.execute(rows).mappings():
            found[row["order_ref"]] = intent_from_row(dict(row))
    return found


def _begins(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    safe = prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return column.like(f"{safe}%", escape="\\")


def by_prefix(connection: Connection, prefix: str) -> OrderIntent:
    rows = select(_I).where(_begins(_I.c.order_ref, prefix)).limit(3)
    found = connection.execute(rows).mappings().all()
    if not prefix or not found:
        raise LedgerError(f"the ledger knows no order whose order_ref begins with {prefix!r}")
    exact = [row for row in found if row["order_ref"] == prefix]
    if len(found) > 1 and not exact:
        raise LedgerError(
            f"order_ref {prefix!r} is ambiguous: {', '.join(row['order_ref'] for row in found)}, ...; give more digits"
        )
    return intent_from_row(dict((exact or found)[0]))


def events(connection: Connection, key: str) -> list[OrderEvent]:
    return _order_events(connection, select(_E).where(_E.c.idempotency_key == key).order_by(_E.c.id))


def events_between(connection: Connection, account: str, after: dt.datetime, until: dt.datetime) -> list[OrderEvent]:
    rows = select(_E).where(_E.c.account == account, _E.c.at > after, _E.c.at <= until).order_by(_E.c.id)
    return _order_events(connection, rows)


def _order_events(connection: Connection, rows: Select[Any]) -> list[OrderEvent]:
    return [
        OrderEvent(
            id=row["id"],
            at=row["at"],
            account=row["account"],
            variant=row["variant"],
            idempotency_key=row["idempotency_key"],
            order_ref=row["order_ref"],
            state=OrderState(row["state"]),
            reason=row["reason"],
            payload=json.loads(row["payload"]),
        )
        for row in connection.execute(rows).mappings()
    ]


def fills(
    connection: Connection,
    account: str | None = None,
    variant: str | None = None,
    session: dt.date | None = None,
    key: str | None = None,
) -> list[Fill]:
    rows = select(_F).order_by(_F.c.id)
    named = (("account", account), ("variant", variant), ("session", session), ("idempotency_key", key))
    for name, value in named:
        if value is not None:
            rows = rows.where(_F.c[name] == value)
    return _fills(connection, rows)


def fills_of_sessions(connection: Connection, account: str, after: dt.date, until: dt.date) -> list[Fill]:
    where = (_F.c.account == account, _F.c.session > after, _F.c.session <= until)
    return _fills(connection, select(_F).where(*where).order_by(_F.c.id))


def _fills(connection: Connection, rows: Select[Any]) -> list[Fill]:
    names = list(Fill.__dataclass_fields__)
    return [Fill(**{name: row[name] for name in names}) for row in connection.execute(rows).mappings()]


def open_positions(connection: Connection, account: str, variant: str | None = None) -> list[OpenPosition]:
    signed = case((_F.c.leg == "entry", _F.c.qty), else_=-_F.c.qty)
    held = select(_F.c.order_ref).where(_F.c.account == account).group_by(_F.c.order_ref).having(func.sum(signed) > 0)
    rows = select(_F).where(_F.c.order_ref.in_(held)).order_by(_F.c.id)
    if variant is not None:
        rows = rows.where(_F.c.variant == variant)
    executions = _fills(connection, rows)
    first = {fill.order_ref: fill for fill in reversed(executions)}
    return [
        OpenPosition(
            h.account, h.variant, h.order_ref, first[h.order_ref].idempotency_key, h.symbol, h.side, float(h.qty),
            float(h.entry_price), first[h.order_ref].at,
        )
        for h in holdings(executions)
    ]  # fmt: skip


def filled_qty(connection: Connection, order_ref: str) -> float:
    """Of an entry, added up exactly."""
    qtys = connection.execute(_ENTRY_QTYS, {"ref": order_ref}).scalars()
    return float(sum(map(exact, qtys), Fraction(0)))


def rows_after(connection: Connection, table: str, row_id: int) -> list[Mapping[str, Any]]:
    t = schema.METADATA.tables[table]
    return [dict(row) for row in connection.execute(select(t).where(t.c.id > row_id).order_by(t.c.id)).mappings()]


def broker_cursor(connection: Connection, account: str) -> int:
    """Number of the last broker event that left a trace in the ledger; 0 = none."""
    last = 0
    for table in (_E, _F):
        newest = select(func.max(table.c.broker_seq)).where(table.c.account == account)
        last = max(last, connection.execute(newest).scalar() or 0)
    return last


def money_of(connection: Connection, account: str, variant: str) -> list[tuple[float, float]]:
    """Realised change and fee of every fill of the book, in order of recording."""
    rows = select(_F.c.realised, _F.c.fee).where(_F.c.account == account, _F.c.variant == variant).order_by(_F.c.id)
    return [(realised, fee) for realised, fee in connection.execute(rows)]


def kill_switch(connection: Connection, account: str, variant: str) -> KillSwitch:
    """The newest switch in force for a book, of any scope."""
    return switches(connection, account, [variant])[variant]


def switches(connection: Connection, account: str, variants: Iterable[str]) -> dict[str, KillSwitch]:
    """:func:`kill_switch` of several books in one read."""
    engaged = engaged_switches(connection)
    found = {}
    for variant in variants:
        scopes = ("global", f"account:{account}", f"variant:{variant}", f"book:{account}/{variant}")
        mine = [switch for switch in engaged if switch.scope in scopes]
        newest = mine[0] if mine else KillSwitch(False)
        found[variant] = replace(newest, flatten=any(switch.flatten for switch in mine))
    return found


def _engaged(scopes: Sequence[str] | None = None, at: dt.datetime | None = None) -> Select[Any]:
    k = schema.kill_switch_events
    newest = select(func.max(k.c.id)).group_by(k.c.scope)
    if scopes is not None:
        newest = newest.where(k.c.scope.in_(scopes))
    if at is not None:
        newest = newest.where(k.c.at <= at)
    return select(k).where(k.c.id.in_(newest), k.c.action != "released").order_by(k.c.id.desc())


_ENGAGED_NOW = _engaged()


def engaged_switches(
    connection: Connection, scopes: Sequence[str] | None = None, at: dt.datetime | None = None
) -> list[KillSwitch]:
    rows = _ENGAGED_NOW if scopes is None and at is None else _engaged(scopes, at)
    return [
        KillSwitch(True, row["scope"], row["reason"], row["by"], row["at"], row["action"] == "flatten")
        for row in connection.execute(rows).mappings()
    ]


def newest_recording(connection: Connection) -> dt.datetime | None:
    """When the newest transaction was recorded."""
    c = schema.checkpoints.c
    return connection.execute(select(c.recorded_at).order_by(c.id.desc()).limit(1)).scalar()


def last_release(connection: Connection, scope: str) -> dt.datetime | None:
    k = schema.kill_switch_events.c
    newest = select(k.at).where(k.scope == scope, k.action == "released").order_by(k.id.desc()).limit(1)
    return connection.execute(newest).scalar()


def decisions(
    connection: Connection, variant: str | None, before: dt.date | None, strategy_version: str | None = None
) -> list[Decision]:
    d = schema.promotion_decisions
    rows = select(d).order_by(d.c.session, d.c.id)
    if variant is not None:
        rows = rows.where(d.c.variant == variant)
    if strategy_version is not None:
        rows = rows.where(d.c.strategy_version == strategy_version)
    if before is not None:
        rows = rows.where(d.c.session < before)
    return _decisions(connection, rows)


def decisions_by_prefix(connection: Connection, prefix: str) -> list[Decision]:
    """The first few whose id begins so."""
    d = schema.promotion_decisions
    return _decisions(connection, select(d).where(_begins(d.c.decision_id, prefix)).order_by(d.c.id).limit(4))


def _decisions(connection: Connection, rows: Select[Any]) -> list[Decision]:
    names = [name for name in Decision.__dataclass_fields__ if name != "content"]
    return [
        Decision(**{name: row[name] for name in names}, content=json.loads(row["content"]))
        for row in connection.execute(rows).mappings()
    ]


def approvals(connection: Connection, variant: str, strategy_version: str) -> list[Approval]:
    a = schema.approvals
    rows = select(a).where(a.c.variant == variant, a.c.strategy_version == strategy_version).order_by(a.c.id)
    names = list(Approval.__dataclass_fields__)
    return [Approval(**{name: row[name] for name in names}) for row in connection.execute(rows).mappings()]


def risk_events(
    connection: Connection, account: str | None, kind: str | None, session: dt.date | None
) -> list[RiskEvent]:
    r = schema.risk_events
    rows = select(r).order_by(r.c.id)
    for column, value in ((r.c.account, account), (r.c.kind, kind), (r.c.session, session)):
        if value is not None:
            rows = rows.where(column == value)
    names = [name for name in RiskEvent.__dataclass_fields__ if name != "figures"]
    return [
        RiskEvent(**{name: row[name] for name in names}, figures=json.loads(row["figures"]))
        for row in connection.execute(rows).mappings()
    ]


def worth(
    connection: Connection, account: str, variant: str | None, before: dt.date | None, session: dt.date | None
) -> list[Worth]:
    """Newest record of each book and session, in order of (session, variant)."""
    w = schema.portfolio_worth
    where = [w.c.account == account]
    if variant is not None:
        where.append(w.c.variant == variant)
    if before is not None:
        where.append(w.c.session < before)
    if session is not None:
        where.append(w.c.session == session)
    newest = select(func.max(w.c.id)).where(and_(*where)).group_by(w.c.variant, w.c.session)
    rows = select(w).where(w.c.id.in_(newest)).order_by(w.c.session, w.c.variant)
    return [_worth(row) for row in connection.execute(rows).mappings()]


def _worth(row: RowMapping) -> Worth:
    return Worth(**{name: row[name] for name in Worth.__dataclass_fields__})


def last_worth(connection: Connection, account: str, variant: str, before: dt.date) -> Worth | None:
    w = schema.portfolio_worth
    rows = (
        select(w)
        .where(w.c.account == account, w.c.variant == variant, w.c.session < before)
        .order_by(w.c.session.desc(), w.c.id.desc())
        .limit(1)
    )
    row = connection.execute(rows).mappings().first()
    return None if row is None else _worth(row)


def positions(connection: Connection, account: str, session: dt.date, variant: str | None = None) -> list[Position]:
    """Newest record of each bracket of the session that holds something, in order of recording."""
    p = schema.positions
    where = [p.c.account == account, p.c.session == session]
    if variant is not None:
        where.append(p.c.variant == variant)
    newest = select(func.max(p.c.id)).where(and_(*where)).group_by(p.c.variant, p.c.order_ref)
    rows = select(p).where(p.c.id.in_(newest), p.c.qty > 0).order_by(p.c.id)
    names = list(Position.__dataclass_fields__)
    return [Position(**{name: row[name] for name in names}) for row in connection.execute(rows).mappings()]
