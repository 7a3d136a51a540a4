"""The ledger's schema, revision by revision (Alembic). Rows are never rewritten: a revision adds tables and nullable columns.

A new revision is a file in ``versions/`` and a line in :data:`resources.ledger.migration.REVISIONS`; a column that it adds
to a table that may hold rows carries ``info=ADDED`` in :mod:`resources.ledger.schema`, so that the hashes of those rows hold.
"""
