"""The ledger's tables on SQLite and PostgreSQL, as the newest revision of ``migrations/`` leaves them."""

import datetime as dt
from typing import Any

from sqlalchemy import (
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

METADATA = MetaData()

ADDED = {"added": True}
"""Marks a column that came to a table with rows. Where it is null the row's hash leaves it out, so that theirs hold."""


class UtcDateTime(TypeDecorator[dt.datetime]):
    """An instant: timestamptz on PostgreSQL, naive UTC on SQLite, always aware in UTC outside of the database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"the ledger takes times with a time zone only, got {value.isoformat()}")
        value = value.astimezone(dt.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(  # the base class fixes the signature
        self,
        value: dt.datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def _table(name: str, *parts: Any) -> Table:
    """An append-only table: numbered without gaps from 1, each row chained to the one before it."""
    return Table(
        name,
        METADATA,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("recorded_at", UtcDateTime, nullable=False),
        *parts,
        Column("prev_hash", String(64), nullable=False),
        Column("row_hash", String(64), nullable=False),
    )


def _name(column: str, *, nullable: bool = False, **options: Any) -> Column[str]:
    return Column(column, String(200), nullable=nullable, **options)


order_intents = _table(
    "order_intents",
    _name("account"),
    _name("variant"),
    Column("session", Date, nullable=False),
    Column("idempotency_key", String(64), nullable=False, unique=True),
    Column("order_ref", String(64), nullable=False, unique=True),
    _name("oco_id"),
    _name("strategy_version"),
    _name("symbol"),
    Column("side", Integer, nullable=False),
    Column("qty", Float(53), nullable=False),
    Column("entry", Float(53), nullable=False),
    Column("stop", Float(53), nullable=False),
    Column("target", Float(53)),
    Column("setup_time", UtcDateTime, nullable=False),
    Column("valid_sessions", Integer, nullable=False),
    Column("valid_from", UtcDateTime, nullable=False),
    Column("valid_to", UtcDateTime, nullable=False),
    _name("tif"),
    Column("lineage", Text, nullable=False),
    Column("flatten_at", UtcDateTime, info=ADDED),
    _name("flatten_type", nullable=True, info=ADDED),
    Index("order_intents_by_session", "account", "session"),
    Index("order_intents_by_oco", "oco_id"),
)

order_events = _table(
    "order_events",
    Column("at", UtcDateTime, nullable=False),
    _name("account"),
    _name("variant"),
    Column("idempotency_key", String(64), nullable=False),
    Column("order_ref", String(64), nullable=False),
    _name("state"),
    Column("reason", Text, nullable=False),
    Column("broker_seq", Integer),
    Column("payload", Text, nullable=False),
    Index("order_events_by_key", "idempotency_key", "id"),
    Index("order_events_by_broker_seq", "account", "broker_seq"),
)

fills = _table(
    "fills",
    Column("at", UtcDateTime, nullable=False),
    _name("account"),
    _name("variant"),
    Column("session", Date, nullable=False),
    _name("execution_id"),
    Column("idempotency_key", String(64), nullable=False),
    Column("order_ref", String(64), nullable=False),
    _name("symbol"),
    _name("leg"),  # entry or exit
    Column("side", Integer, nullable=False),  # of the position: 1 long, -1 short
    Column("qty", Float(53), nullable=False),
    Column("price", Float(53), nullable=False),
    Column("fee", Float(53), nullable=False),
    Column("realised", Float(53), nullable=False),  # change of realised equity by this fill
    _name("reason"),
    Column("broker_seq", Integer),
    UniqueConstraint("account", "execution_id", name="fills_once"),
    Index("fills_by_ref", "order_ref"),
    Index("fills_by_book", "account", "variant", "session"),
    Index("fills_by_broker_seq", "account", "broker_seq"),
)

risk_events = _table(
    "risk_events",
    Column("at", UtcDateTime, nullable=False),
    _name("account"),
    _name("variant"),
    Column("session", Date),
    _name("kind"),
    _name("severity"),
    Column("detail", Text, nullable=False),
    Column("figures", Text, nullable=False),
    Column("dedupe_key", String(200), unique=True),
    Index("risk_events_by_kind", "account", "kind", "session"),
)

kill_switch_events = _table(
    "kill_switch_events",
    Column("at", UtcDateTime, nullable=False),
    _name("action"),  # engaged, flatten (engaged, and positions are to be closed) or released
    _name("scope"),
    Column("reason", Text, nullable=False),
    _name("by"),
    Column("breach_id", String(200), unique=True),
    Index("kill_switch_events_by_scope", "scope", "id"),
)

promotion_decisions = _table(
    "promotion_decisions",
    Column("at", UtcDateTime, nullable=False),
    Column("decision_id", String(200), nullable=False, unique=True),
    _name("variant"),
    _name("strategy_version"),
    _name("from_stage"),
    _name("to_stage"),
    Column("session", Date, nullable=False),
    _name("decided_by"),
    Column("reason", Text, nullable=False),
    Column("content", Text, nullable=False),
    Index("promotion_decisions_by_variant", "variant", "session"),
)

approvals = _table(
    "approvals",
    Column("at", UtcDateTime, nullable=False),
    _name("variant"),
    _name("strategy_version"),
    Column("commit_id", String(200), nullable=False),
    _name("person"),
    Column("reason", Text, nullable=False),
    UniqueConstraint("variant", "strategy_version", "commit_id", "person", name="approvals_once"),
)

backtest_results = _table(
    "backtest_results",
    _name("variant"),
    _name("strategy_version"),
    Column("session", Date, nullable=False),
    _name("horizon"),
    Column("commit_id", String(200), nullable=False),
    Column("metrics", Text, nullable=False),
    Column("content_hash", String(64), nullable=False, unique=True),
    Index("backtest_results_by_variant", "variant", "session"),
)

portfolio_worth = _table(
    "portfolio_worth",
    Column("at", UtcDateTime, nullable=False),
    _name("account"),
    _name("variant"),
    Column("session", Date, nullable=False),
    Column("capital", Float(53), nullable=False),
    Column("realised", Float(53), nullable=False),
    Column("unrealised", Float(53), nullable=False),
    Column("equity", Float(53), nullable=False),
    Column("pnl", Float(53), nullable=False),
    Column("trades", Integer, nullable=False),
    Column("peak", Float(53), nullable=False),
    Column("drawdown", Float(53), nullable=False),
    Column("fees", Float(53), info=ADDED),
    Column("long_exposure", Float(53), info=ADDED),
    Column("short_exposure", Float(53), info=ADDED),
    Column("content_hash", String(64), nullable=False, unique=True),
    Index("portfolio_worth_by_session", "account", "variant", "session"),
)

# What each book held at the end of a session, one row an open bracket.
positions = _table(
    "positions",
    Column("at", UtcDateTime, nullable=False),
    _name("account"),
    _name("variant"),
    Column("session", Date, nullable=False),
    Column("order_ref", String(64), nullable=False),
    _name("symbol"),
    Column("side", Integer, nullable=False),
    Column("qty", Float(53), nullable=False),
    Column("entry_price", Float(53), nullable=False),
    Column("last_price", Float(53), nullable=False),
    Column("unrealised", Float(53), nullable=False),
    Column("exposure", Float(53), nullable=False),
    Index("positions_by_session", "account", "session"),
)

# One row a transaction: the heads of the chains that it moved. It tells a missing tail from a short table.
checkpoints = _table("checkpoints", Column("heads", Text, nullable=False))
