"""A ledger that cannot be read, or is not the one that was opened, counts as an engaged kill switch."""

import datetime as dt
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.ledger_records import NOW
from sqlalchemy import create_engine, make_url, text

from resources.ledger import Ledger, LedgerError, LedgerUnavailable


def _remove(file: Path) -> None:
    for path in file.parent.glob(f"{file.name}*"):
        if path.suffix != ".made":
            path.unlink()


def _replace_by_an_empty_one(file: Path) -> None:
    _remove(file)
    Ledger(f"sqlite:///{file.parent / 'other.db'}").close()
    shutil.copy(file.parent / "other.db", file)


@pytest.mark.parametrize("harm", [_remove, _replace_by_an_empty_one])
def test_a_file_that_is_gone_or_replaced_stops_everything(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    file = tmp_path / "ledger.db"
    ledger = Ledger(f"sqlite:///{file}", clock=lambda: NOW)
    assert not ledger.is_engaged("paper", "v")
    harm(file)
    switch = ledger.kill_switch("paper", "v")
    assert (switch.engaged, switch.scope, switch.by) == (True, "global", "router") and "cannot be read" in switch.reason
    with pytest.raises(LedgerError):
        ledger.engage("global", "drill", "Ada", NOW)
    ledger.close()


def test_a_damaged_file_is_not_opened(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    Ledger(f"sqlite:///{file}").close()
    file.write_bytes(b"\xff" * file.stat().st_size)
    with pytest.raises(LedgerUnavailable, match=r"not a database"):
        Ledger(f"sqlite:///{file}")


def test_a_damaged_switch_stops_everything(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", clock=lambda: NOW)
    ledger.engage("variant:other", "drill", "Ada", NOW)
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("DROP TRIGGER kill_switch_events_no_update")
        db.execute("UPDATE kill_switch_events SET at = 'no time at all'")
    db.close()
    assert ledger.is_engaged("paper", "v")
    ledger.close()


def test_a_start_after_the_file_was_removed_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    Ledger(f"sqlite:///{file}").close()
    _remove(file)
    with pytest.raises(LedgerUnavailable, match=r"is gone. Restore it from a backup"):
        Ledger(f"sqlite:///{file}")
    assert not file.exists()
    (tmp_path / "ledger.db.made").unlink()
    Ledger(f"sqlite:///{file}").close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can become a user without permission")
def test_without_permission_there_is_no_ledger(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    Ledger(f"sqlite:///{file}").close()
    file.chmod(0)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setuid(65534)
            Ledger(f"sqlite:///{file}")
        except LedgerUnavailable:
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_a_server_that_is_gone_stops_everything_and_no_password_is_shown(ledger_url: str) -> None:
    url = make_url(ledger_url)
    ledger = Ledger(ledger_url, clock=lambda: NOW)
    assert not ledger.is_engaged("paper", "v")
    admin = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false"))
        others = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
        connection.execute(others, {"name": url.database})
    admin.dispose()
    switch = ledger.kill_switch("paper", "v")
    assert switch.engaged and switch.scope == "global"
    if url.password:
        assert str(url.password) not in switch.reason
    ledger.close()


@pytest.mark.parametrize("by", ["", "  ", "breaker", "Sensor", " auto "])
def test_only_a_person_releases(ledger: Ledger, by: str) -> None:
    ledger.engage("global", "drill", "breaker", NOW, "breach-1")
    with pytest.raises(LedgerError, match=r"person"):
        ledger.release("global", by, "all is well", NOW)
    with pytest.raises(LedgerError, match=r"reason"):
        ledger.release("global", "Ada", " ", NOW)
    assert ledger.is_engaged("paper", "v")
    ledger.release("global", "Ada", "all is well", NOW)
    assert not ledger.is_engaged("paper", "v")
    assert not ledger.engage("global", "again", "breaker", NOW, "breach-1")


def test_a_switch_says_whether_positions_are_to_be_closed(ledger: Ledger) -> None:
    ledger.engage("book:paper/v", "drill", "Ada", NOW, flatten=True)
    ledger.engage("global", "drill", "Ada", NOW + dt.timedelta(seconds=1))
    assert ledger.kill_switch("paper", "v").flatten and ledger.kill_switch("paper", "v").scope == "global"
    assert not ledger.kill_switch("paper", "w").flatten
    ledger.release("book:paper/v", "Ada", "closed", NOW)
    assert not ledger.kill_switch("paper", "v").flatten and ledger.is_engaged("paper", "v")
    with ledger.write() as w:
        assert (w.last_release("book:paper/v"), w.last_release("global")) == (NOW, None)


def test_rows_from_the_future_are_a_skewed_clock(ledger_url: str) -> None:
    now = dt.datetime.now(dt.UTC)
    ahead = Ledger(ledger_url, clock=lambda: now + dt.timedelta(seconds=30))
    ahead.engage("global", "drill", "Ada", NOW)
    right = Ledger(ledger_url)
    assert 20 < right.clock_skew_seconds() <= 30
    ahead.close()
    right.close()
