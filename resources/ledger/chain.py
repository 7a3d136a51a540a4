"""The hash chain of each table: computed on the way in, checked on demand."""

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Table, select

from resources.ledger.schema import METADATA, checkpoints

GENESIS = "0" * 64


@dataclass(frozen=True)
class Problem:
    """One place where the ledger is not what was written.

    Attributes:
        table, row: where; ``row`` is the id of the first row concerned.
        kind: ``changed`` the content does not give the row's hash; ``missing`` the row is not there; ``reordered`` the
            row does not follow the one before it, although it is unchanged in itself.
    """

    table: str
    row: int
    kind: Literal["changed", "missing", "reordered"]
    detail: str


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
    """SHA-256 over the table's name, the row before and every column of ``row`` except the hashes themselves."""
    content = {name: canonical(value) for name, value in row.items() if name not in ("prev_hash", "row_hash")}
    text = json.dumps([table, prev_hash, content], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def head(connection: Connection, table: Table) -> tuple[int, str]:
    """Id and hash of the last row; (0, GENESIS) of an empty table."""
    row = connection.execute(select(table.c.id, table.c.row_hash).order_by(table.c.id.desc()).limit(1)).first()
    return (0, GENESIS) if row is None else (row[0], row[1])


def verify(connection: Connection) -> Iterator[Problem]:
    """Every problem of every table, in order of id; reads all rows."""
    expected: dict[str, dict[int, str]] = {}
    for row in connection.execute(select(checkpoints).order_by(checkpoints.c.id)).mappings():
        for name, (row_id, digest) in json.loads(row["heads"]).items():
            expected.setdefault(name, {})[row_id] = digest
    for table in METADATA.sorted_tables:
        yield from _verify_table(connection, table, expected.get(table.name, {}))


def _verify_table(connection: Connection, table: Table, expected: Mapping[int, str]) -> Iterator[Problem]:
    follows, last_id = GENESIS, 0
    result = connection.execution_options(stream_results=True, yield_per=2000).execute(
        select(table).order_by(table.c.id)
    )
    for row in result.mappings():
        row_id = int(row["id"])
        for lost in range(last_id + 1, row_id):
            yield Problem(table.name, lost, "missing", f"{table.name} has no row {lost}")
        own = row_hash(table.name, dict(row), row["prev_hash"])
        if own != row["row_hash"]:
            yield Problem(table.name, row_id, "changed", f"{table.name} row {row_id} is not what was written")
        elif row_id == last_id + 1 and row["prev_hash"] != follows:
            yield Problem(
                table.name, row_id, "reordered", f"{table.name} row {row_id} was not written after the row before it"
            )
        elif expected.get(row_id, own) != own:
            yield Problem(
                table.name, row_id, "changed", f"{table.name} row {row_id} is not the one that its checkpoint knows"
            )
        follows, last_id = row["row_hash"], row_id
    for lost in range(last_id + 1, max(expected, default=0) + 1):
        yield Problem(table.name, lost, "missing", f"{table.name} has no row {lost}, its checkpoint knows it")
