"""The tables of the first ledger. One made before revisions were counted has them and is taken to stand here."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from resources.ledger.triggers import protect

revision = "0001"
down_revision = None

_INSTANT = sa.DateTime(timezone=True)
_MONEY = sa.Float(53)


def _table(name: str, *parts: Any) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("recorded_at", _INSTANT, nullable=False),
        *parts,
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("row_hash", sa.String(64), nullable=False),
    )


def _column(name: str, kind: Any, *, nullable: bool = False) -> "sa.Column[Any]":
    return sa.Column(name, kind, nullable=nullable)


def _names(*names: str) -> "list[sa.Column[Any]]":
    return [_column(name, sa.String(200)) for name in names]


def upgrade() -> None:
    _table(
        "order_intents",
        *_names("account", "variant"),
        _column("session", sa.Date),
        sa.Column("idempotency_key", sa.String(64), nullable=False, unique=True),
        sa.Column("order_ref", sa.String(64), nullable=False, unique=True),
        *_names("oco_id", "strategy_version", "symbol"),
        _column("side", sa.Integer),
        *(_column(name, _MONEY) for name in ("qty", "entry", "stop")),
        _column("target", _MONEY, nullable=True),
        _column("setup_time", _INSTANT),
        _column("valid_sessions", sa.Integer),
        *(_column(name, _INSTANT) for name in ("valid_from", "valid_to")),
        *_names("tif"),
        _column("lineage", sa.Text),
    )
    op.create_index("order_intents_by_session", "order_intents", ["account", "session"])
    op.create_index("order_intents_by_oco", "order_intents", ["oco_id"])

    _table(
        "order_events",
        _column("at", _INSTANT),
        *_names("account", "variant"),
        *(_column(name, sa.String(64)) for name in ("idempotency_key", "order_ref")),
        *_names("state"),
        _column("reason", sa.Text),
        _column("broker_seq", sa.Integer, nullable=True),
        _column("payload", sa.Text),
    )
    op.create_index("order_events_by_key", "order_events", ["idempotency_key", "id"])
    op.create_index("order_events_by_broker_seq", "order_events", ["account", "broker_seq"])

    _table(
        "fills",
        _column("at", _INSTANT),
        *_names("account", "variant"),
        _column("session", sa.Date),
        *_names("execution_id"),
        *(_column(name, sa.String(64)) for name in ("idempotency_key", "order_ref")),
        *_names("symbol", "leg"),
        _column("side", sa.Integer),
        *(_column(name, _MONEY) for name in ("qty", "price", "fee", "realised")),
        *_names("reason"),
        _column("broker_seq", sa.Integer, nullable=True),
        sa.UniqueConstraint("account", "execution_id", name="fills_once"),
    )
    op.create_index("fills_by_ref", "fills", ["order_ref"])
    op.create_index("fills_by_book", "fills", ["account", "variant", "session"])
    op.create_index("fills_by_broker_seq", "fills", ["account", "broker_seq"])

    _table(
        "risk_events",
        _column("at", _INSTANT),
        *_names("account", "variant"),
        _column("session", sa.Date, nullable=True),
        *_names("kind", "severity"),
        *(_column(name, sa.Text) for name in ("detail", "figures")),
        sa.Column("dedupe_key", sa.String(200), unique=True),
    )
    op.create_index("risk_events_by_kind", "risk_events", ["account", "kind", "session"])

    _table(
        "kill_switch_events",
        _column("at", _INSTANT),
        *_names("action", "scope"),
        _column("reason", sa.Text),
        *_names("by"),
        sa.Column("breach_id", sa.String(200), unique=True),
    )
    op.create_index("kill_switch_events_by_scope", "kill_switch_events", ["scope", "id"])

    _table(
        "promotion_decisions",
        _column("at", _INSTANT),
        sa.Column("decision_id", sa.String(200), nullable=False, unique=True),
        *_names("variant", "strategy_version", "from_stage", "to_stage"),
        _column("session", sa.Date),
        *_names("decided_by"),
        *(_column(name, sa.Text) for name in ("reason", "content")),
    )
    op.create_index("promotion_decisions_by_variant", "promotion_decisions", ["variant", "session"])

    _table(
        "approvals",
        _column("at", _INSTANT),
        *_names("variant", "strategy_version", "commit_id", "person"),
        _column("reason", sa.Text),
        sa.UniqueConstraint("variant", "strategy_version", "commit_id", "person", name="approvals_once"),
    )

    _table(
        "backtest_results",
        *_names("variant", "strategy_version"),
        _column("session", sa.Date),
        *_names("horizon", "commit_id"),
        _column("metrics", sa.Text),
        sa.Column("content_hash", sa.String(64), nullable=False, unique=True),
    )
    op.create_index("backtest_results_by_variant", "backtest_results", ["variant", "session"])

    _table(
        "portfolio_worth",
        _column("at", _INSTANT),
        *_names("account", "variant"),
        _column("session", sa.Date),
        *(_column(name, _MONEY) for name in ("capital", "realised", "unrealised", "equity", "pnl")),
        _column("trades", sa.Integer),
        *(_column(name, _MONEY) for name in ("peak", "drawdown")),
        sa.Column("content_hash", sa.String(64), nullable=False, unique=True),
    )
    op.create_index("portfolio_worth_by_session", "portfolio_worth", ["account", "variant", "session"])

    _table("checkpoints", _column("heads", sa.Text))
    protect(
        op.get_bind(),
        [
            "order_intents", "order_events", "fills", "risk_events", "kill_switch_events", "promotion_decisions",
            "approvals", "backtest_results", "portfolio_worth", "checkpoints",
        ],
    )  # fmt: skip
