"""The lake's commands where the lake is a lakeFS server: the same answers, and what a server does by itself left to it."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from harness.lakefs_server import LakeFSServer, lakefs_server

from resources.lake import open_lake
from resources.lake.publish import AuditFailed, Publisher
from trading.errors import DataError
from trading_assets.cli import main

PATH = "m5_bars/session=2024-01-02/data.parquet"


def frame(close: float) -> pl.DataFrame:
    at = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
    return pl.DataFrame({"Symbol": ["A", "B"], "Timestamp": [at, at], "Close": [close, 2.0]})


def refuse(_: object) -> None:
    raise DataError("m5_bars: price_not_positive (1 row): Close must be above 0\n  Symbol=A Close=-1.0")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LakeFSServer]:
    """A server with one repository: a partition published twice and refused once."""
    with lakefs_server(tmp_path / "server") as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        uri = running.create_repository("desk")
        monkeypatch.setenv("LAKE_URI", f"{uri}?cache={tmp_path / 'cache'}")
        with open_lake(f"{uri}?cache={tmp_path / 'cache'}") as lake:
            publisher = Publisher(lake, run_id="run-1", code_version="1", clock=lambda: dt.datetime.now(dt.UTC))
            for close in (1.0, 1.5):
                publisher.publish("m5_bars", "session=2024-01-02", frame(close), audit=None, inputs={})
            with pytest.raises(AuditFailed):
                publisher.publish("m5_bars", "session=2024-01-02", frame(-1.0), audit=refuse, inputs={})
        yield running


def trading(tmp_path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--home", str(tmp_path / "home")])
    shown = capsys.readouterr()
    return int(ended.value.code or 0), shown.out, shown.err


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()


def test_looking_into_a_server(server: LakeFSServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = trading(tmp_path, capsys, "lake", "log", "--dataset", "m5_bars")
    assert status == 0 and len(out.splitlines()) == 2
    newest = json.loads(trading(tmp_path, capsys, "lake", "log", "--limit", "1", "--json")[1])
    assert newest["metadata"]["run_id"] == "run-1"
    status, out, _ = trading(tmp_path, capsys, "lake", "diff", "main")
    assert (status, out.splitlines()[:2]) == (
        0,
        ["m5_bars/session=2024-01-02: 1 changed", "  ~ Symbol=A Timestamp=2024-01-02T14:30:00Z: Close 1.0 -> 1.5"],
    )
    assert "2 rows" in trading(tmp_path, capsys, "lake", "show", "main", PATH)[1]
    status, out, _ = trading(tmp_path, capsys, "lake", "show", "main@")
    assert status == 0 and any(line.split()[:3] == ["m5_bars", "1", "1"] for line in out.splitlines())
    status, _, err = trading(tmp_path, capsys, "lake", "show", "mian")
    assert status == 1 and "Did you mean main?" in err


def test_what_was_refused_on_a_server(server: LakeFSServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = trading(tmp_path, capsys, "lake", "quarantine")[1].splitlines()
    assert lines[0].startswith("quarantine-m5_bars-session-2024-01-02-run-1") and lines[1].endswith("open")
    text = trading(tmp_path, capsys, "lake", "show", lines[0])[1]
    assert "price_not_positive (1 row)" in text and "Symbol=A Close=-1.0" in text
    sql = "SELECT Symbol, Close FROM refused WHERE Close < 0"
    assert trading(tmp_path, capsys, "query", sql, "--as-of", lines[0], "--csv")[1] == "Symbol,Close\nA,-1.0\n"


def test_export_from_a_server(server: LakeFSServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, _ = trading(tmp_path, capsys, "lake", "export", "main@", str(tmp_path / "out"))
    assert status == 0
    assert pl.read_parquet(tmp_path / "out" / PATH).equals(frame(1.5))
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["files"][0]["path"] == PATH


def test_verify_reads_what_the_server_serves(
    server: LakeFSServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trading(tmp_path, capsys, "lake", "verify")[:2] == (0, "every object is there and has its hash\n")
    stored = server.behind("desk").local_path("main", PATH)
    data = bytearray(stored.read_bytes())
    data[10] ^= 1
    stored.chmod(0o644)
    stored.write_bytes(data)
    status, out, err = trading(tmp_path, capsys, "lake", "verify")
    assert status == 1, err
    for part in ("m5_bars", "session=2024-01-02", "main", "1 problem found"):
        assert part in out


def test_a_server_collects_by_itself(server: LakeFSServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = trading(tmp_path, capsys, "lake", "gc", "--days", "0")
    assert status == 2
    assert "is a server that collects by itself" in err and "lakectl gc set-config" in err
