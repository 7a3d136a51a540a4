"""The command line as a person meets it: wrong folders, wrong names, and the switch that stops everything."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from resources.ledger import Ledger
from trading_assets.cli import main
from trading_assets.settings import Settings


def minutes(day: dt.date = dt.date(2023, 11, 22), zone: str | None = "UTC") -> pl.DataFrame:
    start = dt.datetime.combine(day, dt.time(14, 30))
    stamps = pl.datetime_range(start, start + dt.timedelta(minutes=389), "1m", eager=True).dt.cast_time_unit("us")
    return pl.DataFrame(
        {
            "Timestamp": stamps.dt.replace_time_zone(zone),
            "Open": 10.0,
            "High": 10.1,
            "Low": 9.9,
            "Close": 10.0,
            "Volume": 100,
        }
    )


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    return code if isinstance(code, int) else 0


def nothing(folder: Path) -> None:
    folder.mkdir()


def wrong_things(folder: Path) -> None:
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(b"no bars")


def lower_case(folder: Path) -> None:
    folder.mkdir()
    minutes().rename(str.lower).write_parquet(folder / "AAA.parquet")


def naive(folder: Path) -> None:
    folder.mkdir()
    minutes(zone=None).write_parquet(folder / "AAA.parquet")


def only_a_holiday(folder: Path) -> None:
    folder.mkdir()
    minutes(dt.date(2023, 11, 23)).write_parquet(folder / "AAA.parquet")


def absent(folder: Path) -> None:
    assert not folder.exists()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (absent, "does not exist"),
        (nothing, "is empty; it must hold {SYMBOL}.parquet"),
        (wrong_things, "photo.jpg"),
        (lower_case, "'timestamp' must be spelled 'Timestamp'"),
        (naive, "column Timestamp is naive"),
        (only_a_holiday, "holds no row on a session of XNYS"),
    ],
)
def test_a_folder_that_cannot_be_used_says_what_would_be_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None], says: str
) -> None:
    make(tmp_path / "data")
    assert run("demo", "--data", str(tmp_path / "data"), "--home", str(tmp_path / "home")) == 1
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error
    assert not (tmp_path / "home" / "lake").exists()


def test_what_can_be_used_runs_and_the_rest_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, home = tmp_path / "data", str(tmp_path / "home")
    folder.mkdir()
    both = pl.concat([minutes(), minutes(dt.date(2023, 11, 23))])  # the second day is Thanksgiving
    both.write_parquet(folder / "GOOD.parquet")
    minutes().head(0).write_parquet(folder / "NOBAR.parquet")
    lower = minutes().rename(str.lower)
    lower.write_parquet(folder / "LOWER.parquet")
    main_ended = run("demo", "--data", str(folder), "--home", home)
    shown = " ".join(capsys.readouterr().out.split())
    assert main_ended == 0
    assert "left out: LOWER.parquet" in shown
    assert "skipped: NOBAR.parquet" in shown
    assert "2023-11-23 is no session of XNYS" in shown
    assert "390" in shown  # minutes of the one good session
    alerts = (tmp_path / "home" / "alerts" / "alerts.txt").read_text()
    assert "Check source_files failed on m1_raw" in alerts

    assert run("materialise", "m1_bars", "--partition", "2023-11-22", "--home", home) == 0
    assert "m1_bars: 0 published, 1 unchanged" in capsys.readouterr().out
    assert run("materialise", "m1_bars", "--partition", "2023-11-23", "--home", home) == 1
    assert "'2023-11-23' is no partition of m1_bars" in capsys.readouterr().err
    assert run("explain", "ffff", "--home", home) == 1
    assert "knows no order" in capsys.readouterr().err

    assert run("query", "SELECT count(*) AS n FROM m5_bars", "--csv", "--home", home) == 0
    assert capsys.readouterr().out.split() == ["n", "78"]
    assert run("query", "SELECT count(*) AS n FROM m5_bars", "--csv", "--as-of", "main", "--home", home) == 0
    assert capsys.readouterr().out.split() == ["n", "78"]
    assert run("lake", "verify", "--home", home) == 0
    assert run("ledger", "verify", "--home", home) == 0


def test_storage_that_fails_is_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert run("demo", "--home", str(tmp_path / "file" / "home")) == 1
    error = capsys.readouterr().err
    assert "storage failed" in error and "run the same command again" in error
    assert "Traceback" not in error


def test_kill_and_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = str(tmp_path)
    ledger = Ledger(Settings.load(tmp_path, env={}).ledger_url)
    assert run("kill", "account:paper", "--reason", "test of the switch", "--by", "Ann", "--home", home) == 0
    assert ledger.is_engaged("paper", "risk1")
    assert run("status", "--home", home) == 0
    assert "KILL SWITCH account:paper: test of the switch (by Ann" in capsys.readouterr().out
    assert run("resume", "account:paper", "--reason", "test is over", "--by", "Ann", "--home", home) == 0
    assert not ledger.is_engaged("paper", "risk1")
    assert run("resume", "account:paper", "--reason", "again", "--by", "Ann", "--home", home) == 1
    assert "is not engaged" in capsys.readouterr().err
    assert run("kill", "account:nobody", "--reason", "x", "--by", "Ann", "--home", home) == 1
    assert "covers no book" in capsys.readouterr().err
