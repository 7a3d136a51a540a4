"""What somebody with the database in hand can do to a ledger, and what of it is found: triggers off first, then the harm."""

import dataclasses
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness.ledger_records import a_fill, an_intent, fill_every_table
from sqlalchemy import Connection, create_engine, select, text

from resources.ledger import Ledger
from resources.ledger.chain import row_hash
from resources.ledger.schema import METADATA
from resources.ledger.triggers import protect

TABLES = sorted(METADATA.tables)
Harm = Callable[[Connection, str], None]


@contextmanager
def attack(url: str, *tables: str) -> Iterator[Connection]:
    """A connection on which every row of ``tables`` can be changed; the triggers are back in place afterwards."""
    engine = create_engine(url)
    try:
        with engine.begin() as c:
            for table in tables:
                if c.dialect.name == "postgresql":
                    c.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
                    continue
                triggers = text(f"SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{table}'")
                for name in list(c.execute(triggers).scalars()):
                    c.execute(text(f"DROP TRIGGER {name}"))
            yield c
            protect(c, tables)
    finally:
        engine.dispose()


def rows_of(c: Connection, table: str) -> list[dict[str, Any]]:
    found = METADATA.tables[table]
    return [dict(row) for row in c.execute(select(found).order_by(found.c.id)).mappings()]


def written_anew(c: Connection, table: str, rows: list[dict[str, Any]]) -> None:
    """The table with ``rows`` alone, its chain made to fit: what a forger with this very code can do."""
    c.execute(text(f"DELETE FROM {table}"))
    follows = "0" * 64
    for number, row in enumerate(rows, start=1):
        row |= {"id": number, "prev_hash": follows}
        row["row_hash"] = follows = row_hash(table, row, follows)
        c.execute(METADATA.tables[table].insert(), [row])


def changed(c: Connection, table: str) -> None:
    c.execute(text(f"UPDATE {table} SET recorded_at = '2020-01-01 00:00:00.000000' WHERE id = 2"))


def deleted(c: Connection, table: str) -> None:
    c.execute(text(f"DELETE FROM {table} WHERE id = 2"))


def inserted(c: Connection, table: str) -> None:
    """A forged row 2 with a hash that fits it and the row before; those after it move up by one."""
    first, second, *_ = rows = rows_of(c, table)
    for row in reversed(rows[1:]):
        c.execute(text(f"UPDATE {table} SET id = {row['id'] + 1} WHERE id = {row['id']}"))
    free = {col.name: f"forged-{col.name}" for col in METADATA.tables[table].columns if col.unique}
    names = ("execution_id", "commit_id")
    free |= {name: f"forged-{name}" for name in names if name in second}
    forged = second | free | {"id": 2, "recorded_at": first["recorded_at"]}
    forged["row_hash"] = row_hash(table, forged, first["row_hash"])
    c.execute(METADATA.tables[table].insert(), [forged])


def reordered(c: Connection, table: str) -> None:
    for old, new in ((1, -1), (2, 1), (-1, 2)):
        c.execute(text(f"UPDATE {table} SET id = {new} WHERE id = {old}"))


def cut_off(c: Connection, table: str) -> None:
    c.execute(text(f"DELETE FROM {table} WHERE id = (SELECT max(id) FROM {table})"))


# After two rounds of fill_every_table each table has at least two rows.
EXPECTED: dict[Harm, tuple[int | str, set[str]]] = {
    changed: (2, {"changed"}),
    deleted: (2, {"missing"}),
    inserted: (2, {"changed", "inserted"}),
    reordered: (1, {"changed"}),
    cut_off: ("last", {"missing"}),
}


@pytest.fixture
def filled_url(ledger_url: str) -> str:
    ledger = Ledger(ledger_url)
    fill_every_table(ledger)
    second = dataclasses.replace(an_intent(10, -1), qty=7.0)
    ledger.record_intents([second])
    ledger.record_fill(a_fill(second, 3))
    worth = ledger.worth("paper")[0]
    position = dataclasses.replace(ledger.positions("paper", worth.session)[0], order_ref=second.order_ref)
    ledger.record_worth(dataclasses.replace(worth, equity=1.0), [position])
    ledger.close()
    return ledger_url


@pytest.mark.parametrize("harm", list(EXPECTED), ids=lambda harm: harm.__name__)
def test_verify_names_table_and_row_of_every_kind_of_harm(filled_url: str, harm: Harm) -> None:
    """Each table in turn, mended in between by rolling the attack back."""
    row, kinds = EXPECTED[harm]
    ledger = Ledger(filled_url)
    for table in TABLES:
        kept = ledger.heads()
        assert kept[table][0] >= 2 and ledger.verify(kept) == []
        with attack(filled_url, table) as c:
            before = rows_of(c, table)
            harm(c, table)
        problems = ledger.verify()
        if (harm, table) == (cut_off, "checkpoints"):
            # the rows that this checkpoint alone knew have none now
            assert {p.kind for p in problems} == {"inserted"}
            problems = [p for p in ledger.verify(kept) if p.table == table]
        first = next(p for p in problems if p.table == table)
        at = kept[table][0] if row == "last" else row
        if harm is inserted:  # a forged row that fits its neighbour shows at the latest in the one that was pushed away
            assert first.row in (2, 3) and first.kind in kinds, (table, problems)
        else:
            assert (first.row, first.kind) == (at, *kinds), (table, problems)
        assert f"{table} row {first.row} " in str(first)
        with attack(filled_url, table) as c:
            c.execute(text(f"DELETE FROM {table}"))
            c.execute(METADATA.tables[table].insert(), before)
    assert ledger.verify() == []
    ledger.close()


def test_a_table_written_anew_does_not_fit_its_checkpoints(filled_url: str) -> None:
    ledger = Ledger(filled_url)
    with attack(filled_url, "fills") as c:
        rows = rows_of(c, "fills")
        rows[0]["price"] = 1.0
        written_anew(c, "fills", rows)
    assert {(p.table, p.row, p.kind) for p in ledger.verify()} >= {("fills", 1, "changed")}
    ledger.close()


def test_a_ledger_written_anew_is_found_by_heads_that_were_kept_outside_and_by_nothing_else(filled_url: str) -> None:
    ledger = Ledger(filled_url)
    kept = ledger.heads()
    with attack(filled_url, "fills", "checkpoints") as c:
        rows = rows_of(c, "fills")[:-1]
        written_anew(c, "fills", rows)
        heads = {table: [len(found), found[-1]["row_hash"]] for table in TABLES if (found := rows_of(c, table))}
        del heads["checkpoints"]
        only = rows_of(c, "checkpoints")[:1]
        only[0]["heads"] = json.dumps(heads)
        written_anew(c, "checkpoints", only)
    assert ledger.verify() == []  # a chain proves order, not who wrote it
    found = {(p.table, p.row, p.kind) for p in ledger.verify(kept)}
    assert {("fills", len(rows) + 1, "missing"), ("checkpoints", 2, "missing")} <= found
    ledger.close()


def test_rows_that_the_ledger_did_not_write_are_found(filled_url: str) -> None:
    """An INSERT needs no trigger off; each row carries a hash that fits."""
    ledger = Ledger(filled_url)
    last, digest = ledger.heads()["fills"]
    engine = create_engine(filled_url)
    with engine.begin() as c:
        template = rows_of(c, "fills")[-1]
        for number, row_id in enumerate((0, -5, last + 1)):
            forged = template | {"id": row_id, "execution_id": f"forged{number}", "prev_hash": digest}
            forged["row_hash"] = row_hash("fills", forged, digest)
            c.execute(METADATA.tables["fills"].insert(), [forged])
    engine.dispose()
    found = [(p.table, p.row, p.kind) for p in ledger.verify()]
    assert found == [("fills", -5, "inserted"), ("fills", 0, "inserted"), ("fills", last + 1, "inserted")]
    ledger.close()


def test_a_table_that_is_gone_and_one_that_is_not_protected_are_named(filled_url: str) -> None:
    ledger = Ledger(filled_url)
    ledger.close()
    engine = create_engine(filled_url)
    with engine.begin() as c:
        c.execute(text("DROP TABLE risk_events"))
        on_postgresql = c.dialect.name == "postgresql"
        c.execute(
            text(
                "ALTER TABLE fills DISABLE TRIGGER fills_append_only"
                if on_postgresql
                else "DROP TRIGGER fills_no_update"
            )
        )
    engine.dispose()
    again = Ledger(filled_url)  # opening does not make good what somebody took away, or nobody would know
    assert [(p.table, p.row, p.kind) for p in again.verify()] == [
        ("risk_events", 0, "missing"), ("fills", 0, "unprotected"),
    ]  # fmt: skip
    again.close()


def test_protection_is_put_back_on_demand(filled_url: str) -> None:
    ledger = Ledger(filled_url)
    engine = create_engine(filled_url)
    with engine.begin() as c:
        names = list(c.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars()) if (
            c.dialect.name == "sqlite"
        ) else []  # fmt: skip
        for name in names:
            c.execute(text(f"DROP TRIGGER {name}"))
        if not names:
            c.execute(
                text(
                    "CREATE OR REPLACE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN RETURN NULL; END $$"
                )
            )
    engine.dispose()
    assert {p.table for p in ledger.verify() if p.kind == "unprotected"} == set(TABLES)
    ledger.protect()
    assert ledger.verify() == []
    ledger.close()


def test_no_program_replaces_a_row_by_its_key(tmp_path: Path) -> None:
    """INSERT OR REPLACE deletes what is in its way without a DELETE trigger, unless a program asks for recursive ones."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    fill_every_table(ledger)
    ledger.close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
        for table, key in (("order_intents", "idempotency_key"), ("fills", "execution_id"), ("approvals", "id")):
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            row = dict(zip(names, db.execute(f"SELECT * FROM {table} WHERE id = 1").fetchone(), strict=True))
            row |= {} if key == "id" else {"id": 99}
            if table == "order_intents":
                row["order_ref"] = "another"
            with pytest.raises(sqlite3.IntegrityError, match="append only"):
                db.execute(
                    f"INSERT OR REPLACE INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                    [row[name] for name in names],
                )
