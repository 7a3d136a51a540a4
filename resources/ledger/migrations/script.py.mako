"""${message}"""

from alembic import op

from resources.ledger.triggers import protect

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
