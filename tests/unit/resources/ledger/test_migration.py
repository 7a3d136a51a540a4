"""A ledger of the first version, as that version's own code left it, and every later schema."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from harness.ledger_records import NOW, a_worth, fill_every_table
from sqlalchemy import create_engine, inspect, text

from resources.ledger import Ledger, LedgerError, LedgerTooNew, triggers
from resources.ledger.migration import NEWEST, REVISIONS
from resources.ledger.schema import METADATA

ROOT = Path(__file__).parents[4]
ANSWERS = ROOT / "tests" / "answers" / "ledger"
APPENDER = Path(__file__).with_name("appender.py")


@pytest.fixture
def first_url(ledger_url: str) -> Iterator[str]:
    """A database as the first version made and filled it."""
    backend = "postgresql" if ledger_url.startswith("postgresql") else "sqlite"
    script = (ANSWERS / f"first_{backend}.sql").read_text()
    if backend == "sqlite":
        with closing(sqlite3.connect(ledger_url.removeprefix("sqlite:///"))) as db:
            db.executescript(script)
    else:
        engine = create_engine(ledger_url)
        with engine.begin() as c:
            c.exec_driver_sql(script)
        engine.dispose()
    yield ledger_url


def test_a_ledger_of_the_first_version_keeps_its_chain(first_url: str) -> None:
    engine = create_engine(first_url)
    with engine.connect() as c:
        before = {t: c.execute(text(f"SELECT max(id), max(row_hash) FROM {t}")).one() for t in ("fills", "checkpoints")}
        old = set(c.execute(text("SELECT row_hash FROM portfolio_worth")).scalars())
    engine.dispose()
    ledger = Ledger(first_url)
    assert ledger.upgraded_from == "0001"
    assert ledger.verify() == []
    assert ledger.heads()["fills"][0] == before["fills"][0] == 2
    assert ledger.heads()["portfolio_worth"][1] in old
    (worth,) = ledger.worth("paper")
    assert worth == a_worth() and worth.long_exposure is None
    (intent,) = ledger.intents(None, "paper")
    assert intent.flatten_at is None
    assert not ledger.record_worth(a_worth())  # what the first version recorded is not recorded again
    assert ledger.record_worth(a_worth(10_050.0), [])
    assert ledger.verify() == []
    ledger.close()
    again = Ledger(first_url)
    assert again.upgraded_from == NEWEST and again.verify() == []
    again.close()


def test_the_first_version_and_this_one_hash_alike(first_url: str, tmp_path: Path) -> None:
    old, new = Ledger(first_url), Ledger(f"sqlite:///{tmp_path / 'new.db'}", clock=lambda: NOW)
    fill_every_table(new)
    differ = {"checkpoints", "positions"}  # there were no positions, so the last checkpoint knew none
    assert {n: h for n, h in old.heads().items() if n not in differ} == {
        n: h for n, h in new.heads().items() if n not in differ
    }
    old.close()
    new.close()


def test_migrations_lead_to_the_schema_that_the_code_uses(ledger_url: str) -> None:
    ledger = Ledger(ledger_url)
    with ledger._engine.connect() as c:
        context = MigrationContext.configure(c, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        assert context.get_current_revision() == NEWEST
    ledger.close()


def test_every_revision_is_listed_in_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "resources" / "ledger" / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS


@pytest.mark.parametrize(
    ("statement", "error", "says"),
    [
        (
            "UPDATE alembic_version SET version_num = '0099'",
            LedgerTooNew,
            r"revision 0099.*Use that version, or a later",
        ),
        ("DELETE FROM alembic_version", LedgerError, "must hold one revision"),
    ],
)
def test_a_ledger_that_this_code_does_not_know_is_left_alone(
    ledger_url: str, statement: str, error: type[LedgerError], says: str
) -> None:
    ledger = Ledger(ledger_url)
    fill_every_table(ledger)
    ledger.close()
    engine = create_engine(ledger_url)
    with engine.begin() as c:
        c.execute(text(statement))
        before = c.execute(text("SELECT count(*) FROM checkpoints")).scalar()
    with pytest.raises(error, match=says) as caught:
        Ledger(ledger_url)
    assert "postgres:***" in str(caught.value) or "ledger" in str(caught.value)
    with engine.begin() as c:
        assert c.execute(text("SELECT count(*) FROM checkpoints")).scalar() == before
    engine.dispose()


def test_an_upgrade_that_is_cut_off_leaves_the_ledger_as_it_was(
    first_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(Exception):
        pass

    def cut(*_: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patched, pytest.raises(PowerCut):
        patched.setattr(triggers, "protect", cut)  # the last thing that the second revision does
        Ledger(first_url)
    engine = create_engine(first_url)
    found = inspect(engine)
    assert not found.has_table("alembic_version") and not found.has_table("positions")
    assert "flatten_at" not in {column["name"] for column in found.get_columns("order_intents")}
    engine.dispose()
    ledger = Ledger(first_url)
    assert ledger.upgraded_from == "0001" and ledger.verify() == []
    ledger.close()


def test_processes_that_open_an_old_ledger_at_once_and_write_make_one_unbroken_chain(first_url: str) -> None:
    workers = [subprocess.Popen([sys.executable, APPENDER, first_url, f"S{n}", "10"]) for n in range(3)]
    try:
        assert [worker.wait(120) for worker in workers] == [0, 0, 0]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    ledger = Ledger(first_url)
    assert ledger.upgraded_from == NEWEST
    assert ledger.verify() == []
    assert len(ledger.intents(None, "paper")) == 1 + 3 * 10 + 10
    ledger.close()


def test_migrations_are_part_of_what_is_installed() -> None:
    """Everything under resources/ goes into the wheel; nothing there may be named so that git or hatch leaves it out."""
    listed = subprocess.run(
        ["git", "ls-files", "resources/ledger/migrations"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = {Path(line).name for line in listed.stdout.splitlines()}
    assert {"env.py", "script.py.mako", "r0001_first_tables.py", "r0002_positions.py"} <= names
