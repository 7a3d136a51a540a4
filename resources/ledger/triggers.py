"""The triggers that make a table of the ledger append only, on SQLite and PostgreSQL."""

from collections.abc import Iterable

from sqlalchemy import Connection, inspect, text

_REFUSAL = "the ledger is append only: rows are never updated or deleted"
_TAKEN = "the ledger is append only: a row of this id or key is there"
_BODY = f" BEGIN RAISE EXCEPTION '{_REFUSAL}'; END "
_FUNCTION = f"CREATE OR REPLACE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $${_BODY}$$"
_ACTIVE = (
    "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE p.proname = 'ledger_append_only' AND p.prosrc = :body AND t.tgname = c.relname || '_append_only' "
    "AND t.tgenabled IN ('O', 'A') AND c.relnamespace = current_schema()::regnamespace"
)


def protect(connection: Connection, tables: Iterable[str]) -> None:
    """Install the triggers of ``tables`` as they are to be; safe to repeat."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(_FUNCTION))
        for table in tables:
            connection.execute(
                text(
                    f"CREATE OR REPLACE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                    "FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()"
                )
            )
            connection.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER {table}_append_only"))
        return
    for table in tables:
        for name, statement in _on_sqlite(connection, table).items():
            connection.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
            connection.execute(text(statement))


def unprotected(connection: Connection, tables: Iterable[str]) -> list[str]:
    """Those of ``tables`` whose rows could be changed now: a trigger is missing, switched off or another one."""
    if connection.dialect.name == "postgresql":
        active = set(connection.execute(text(_ACTIVE), {"body": _BODY}).scalars())
        return [table for table in tables if table not in active]
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    present = {str(name): str(sql) for name, sql in rows}
    return [
        table
        for table in tables
        if any(present.get(name) != statement for name, statement in _on_sqlite(connection, table).items())
    ]


def _on_sqlite(connection: Connection, table: str) -> dict[str, str]:
    """Statements by trigger; SQLite knows no TRUNCATE."""
    statements = {
        f"{table}_no_{verb.lower()}": f"BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        for verb in ("UPDATE", "DELETE")
    }
    # INSERT OR REPLACE deletes the row in its way without firing a DELETE trigger, so nothing may be in its way
    keys = [["id"], *(found["column_names"] for found in inspect(connection).get_unique_constraints(table))]
    in_the_way = " OR ".join("(" + " AND ".join(f"{name} = NEW.{name}" for name in key) + ")" for key in sorted(keys))
    statements[f"{table}_no_replace"] = (
        f"BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {in_the_way}) "
        f"BEGIN SELECT RAISE(ABORT, '{_TAKEN}'); END"
    )
    return {name: f"CREATE TRIGGER {name} {body}" for name, body in statements.items()}
