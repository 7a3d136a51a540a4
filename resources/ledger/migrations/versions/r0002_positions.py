"""Positions at the end of each session, exposure of each book, and when an intent's position is flattened.

The triggers are made anew: an INSERT OR REPLACE that takes the key of another row is refused by every SQLite program.
"""

import sqlalchemy as sa
from alembic import op

from resources.ledger.triggers import protect

revision = "0002"
down_revision = "0001"

_INSTANT = sa.DateTime(timezone=True)
_MONEY = sa.Float(53)


def upgrade() -> None:
    op.add_column("order_intents", sa.Column("flatten_at", _INSTANT))
    op.add_column("order_intents", sa.Column("flatten_type", sa.String(200)))
    for name in ("fees", "long_exposure", "short_exposure"):
        op.add_column("portfolio_worth", sa.Column(name, _MONEY))
    op.create_table(
        "positions",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("recorded_at", _INSTANT, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        *(sa.Column(name, sa.String(200), nullable=False) for name in ("account", "variant")),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("order_ref", sa.String(64), nullable=False),
        sa.Column("symbol", sa.String(200), nullable=False),
        sa.Column("side", sa.Integer, nullable=False),
        *(
            sa.Column(name, _MONEY, nullable=False)
            for name in ("qty", "entry_price", "last_price", "unrealised", "exposure")
        ),
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("row_hash", sa.String(64), nullable=False),
    )
    op.create_index("positions_by_session", "positions", ["account", "session"])
    protect(
        op.get_bind(),
        [
            "order_intents", "order_events", "fills", "risk_events", "kill_switch_events", "promotion_decisions",
            "approvals", "backtest_results", "portfolio_worth", "positions", "checkpoints",
        ],
    )  # fmt: skip
