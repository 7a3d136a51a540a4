"""The hash chain of each table: computed on the way in, checked on demand.

What it finds by itself: any change to what was written, short of writing the whole rest of a table and its checkpoints anew.
That, and a tail cut off together with its checkpoints, only heads that were kept outside of the ledger can tell.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, Select, Table, inspect, select

from resources.ledger.schema import METADATA, checkpoints
from resources.ledger.triggers import unprotected

GENESIS = "0" * 64

Heads: TypeAlias = Mapping[str, tuple[int, str]]
"""Last id and its hash, by table."""

_ADDED = {table.name: {c.name for c in table.columns if c.info.get("added")} for table in METADATA.sorted_tables}


@dataclass(frozen=True)
class Problem:
    """One place where the ledger is not what was written.

    Attributes:
        table, row: where; ``row`` is the id of the first row concerned, 0 = the table itself.
        kind: ``changed`` the content does not give the row's hash, or not the one that was noted for it; ``missing`` the
            row is not there; ``reordered`` the row does not follow the one before it, although it is unchanged in itself;
            ``inserted`` the row was not written by the ledger; ``unprotected`` rows could be changed now.
    """

    table: str
    row: int
    kind: Literal["changed", "missing", "reordered", "inserted", "unprotected"]
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


def canonical(value: Any) -> Any:
    """A column's value as JSON takes it, the same on every database."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="microseconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value + 0.0)  # minus zero is zero
    return value


def row_hash(table: str, row: Mapping[str, Any], prev_hash: str) -> str:
    """SHA-256 over the table's name, the row before and every column of ``row`` except the hashes themselves.

    A column that came to the table later is left out where it is null.
    """
    added = _ADDED.get(table, set())
    content = {
        name: canonical(value)
        for name, value in row.items()
        if name not in ("prev_hash", "row_hash") and not (value is None and name in added)
    }
    text = json.dumps([table, prev_hash, content], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _last_row(table: Table) -> Select[Any]:
    return select(table.c.id, table.c.row_hash).order_by(table.c.id.desc()).limit(1)


def head(connection: Connection, table: Table) -> tuple[int, str]:
    """Id and hash of the last row; (0, GENESIS) of an empty table."""
    row = connection.execute(_last_row(table)).first()
    return (0, GENESIS) if row is None else (row[0], row[1])


def verify(
    connection: Connection, kept: Heads | None = None, tables: Collection[str] | None = None
) -> Iterator[Problem]:
    """Every problem of every table, in order of id; reads all rows.

    Args:
        tables: look at these alone; None = all.
        kept: heads that were noted outside of the ledger: every row up to them must be what it was then.
    """
    present = set(inspect(connection).get_table_names())
    noted: dict[str, dict[int, str]] = {}
    if checkpoints.name in present:
        for row in connection.execute(select(checkpoints).order_by(checkpoints.c.id)).mappings():
            for name, (row_id, digest) in _heads_of(row["heads"]).items():
                noted.setdefault(name, {})[row_id] = digest
    outside = {name: (row_id, digest) for name, (row_id, digest) in (kept or {}).items() if row_id}
    for name in sorted((noted.keys() | outside.keys()) - METADATA.tables.keys()):
        yield Problem(name, 0, "missing", f"the ledger has no table {name}, heads were noted for it")
    looked_at = [table for table in METADATA.sorted_tables if tables is None or table.name in tables]
    for table in looked_at:
        if table.name not in present:
            yield Problem(table.name, 0, "missing", f"the table {table.name} is not there")
        else:
            yield from _verify_table(connection, table, noted.get(table.name, {}), outside.get(table.name))
    for name in unprotected(connection, [table.name for table in looked_at if table.name in present]):
        yield Problem(name, 0, "unprotected", f"{name} is not append only: its triggers are missing or changed")


def _heads_of(text: str) -> dict[str, tuple[int, str]]:
    """Heads of a checkpoint; none where somebody has spoilt the text, which its row's own hash tells."""
    try:
        return {str(name): (int(row_id), str(digest)) for name, (row_id, digest) in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _verify_table(
    connection: Connection, table: Table, noted: Mapping[int, str], outside: tuple[int, str] | None
) -> Iterator[Problem]:
    def problem(row: int, kind: Any, says: str) -> Problem:
        return Problem(table.name, row, kind, f"{table.name} row {row} {says}")

    follows, last_id = GENESIS, 0
    sealed = max(noted, default=0)
    result = connection.execution_options(stream_results=True, yield_per=2000).execute(
        select(table).order_by(table.c.id)
    )
    for row in result.mappings():
        row_id = int(row["id"])
        if row_id < 1:
            yield problem(row_id, "inserted", "was not written by the ledger, whose rows count from 1")
            continue
        if row_id > last_id + 1:
            upto = f" (up to {row_id - 1})" if row_id > last_id + 2 else ""
            yield problem(last_id + 1, "missing", f"is not there{upto}")
        own = row_hash(table.name, dict(row), row["prev_hash"])
        if own != row["row_hash"]:
            yield problem(row_id, "changed", "is not what was written")
        elif row_id == last_id + 1 and row["prev_hash"] != follows:
            yield problem(row_id, "reordered", "was not written after the row before it")
        elif noted.get(row_id, own) != own:
            yield problem(row_id, "changed", "is not the one that its checkpoint knows")
        elif outside is not None and outside[0] == row_id and outside[1] != own:
            yield problem(row_id, "changed", "or one before it is not the one of the head that was kept")
        follows, last_id = row["row_hash"], row_id
    if last_id < sealed:
        yield problem(last_id + 1, "missing", "is not there, its checkpoint knows it")
    elif outside is not None and last_id < outside[0]:
        yield problem(last_id + 1, "missing", f"is not there, the head that was kept is row {outside[0]}")
    if table is not checkpoints and last_id > sealed:
        yield problem(sealed + 1, "inserted", "was not written by the ledger: no checkpoint knows it")
