"""Alembic's entry: runs the revisions on the connection, and within the transaction, that the caller holds."""

from alembic import context

from resources.ledger.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
