"""Which schema a ledger has, and bringing it to the one that this code knows."""

from importlib import resources

from sqlalchemy import Connection, inspect, text

from resources.ledger.errors import LedgerError, LedgerTooNew

REVISIONS = ("0001", "0002")
"""Every revision of the schema, oldest first; a test holds it against the files in ``migrations/versions``."""

NEWEST = REVISIONS[-1]
_FIRST = REVISIONS[0]


def revision_of(connection: Connection) -> str | None:
    """Revision of the ledger's schema; None of an empty database.

    Raises:
        LedgerTooNew: a revision that this code does not know.
        LedgerError: the database does not say one revision.
    """
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" not in tables:
        return _FIRST if "order_intents" in tables else None
    found = [
        str(revision) for revision in connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
    ]
    if len(found) != 1:
        raise LedgerError(
            f"its table alembic_version must hold one revision, it holds {', '.join(found) or 'none'}; restore the "
            "ledger from a backup"
        )
    if found[0] not in REVISIONS:
        raise LedgerTooNew(
            f"its schema is of revision {found[0]}, this version of trading-assets knows {_FIRST} to {NEWEST}: a newer "
            "version has written it. Use that version, or a later one; nothing was read or changed"
        )
    return found[0]


def upgrade(connection: Connection) -> None:
    """Bring the ledger to :data:`NEWEST` within the caller's transaction; rows and their hashes stay as they are.

    The caller holds the writers' lock, so that of several processes one does it and the others find it done.
    """
    found = revision_of(connection)
    if found == NEWEST:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(resources.files("resources.ledger") / "migrations"))
    config.attributes["connection"] = connection
    if found is not None and not inspect(connection).has_table("alembic_version"):
        command.stamp(config, found)
    command.upgrade(config, NEWEST)
