"""A download that is killed at any point goes on where it stopped, and ends as an undisturbed one."""

import datetime as dt
import gzip
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from harness.polygon_server import KEY, Polygon, polygon_server
from harness.spawner import Spawner
from harness.vendor_accounts import SetClock, account
from harness.vendor_bars import minute_bars
from harness.vendor_server import VendorServer

SESSIONS = [dt.date(2024, 7, 8), dt.date(2024, 7, 9)]
AFTER = dt.datetime(2024, 7, 13, 8, tzinfo=dt.UTC)
SYMBOLS = ["AAPL", "MSFT"]  # as download_spawner.py has them
PAGES = 6  # three of each


@dataclass
class Downloads:
    """Downloads to folders of their own, in processes that may be killed or in this one."""

    server: VendorServer
    spawner: Spawner
    folder: Path

    def killed(self, home: str, before: int) -> tuple[bool, int]:
        """Whether it was killed, and else how many calls to the disk it made."""
        days = [session.isoformat() for session in SESSIONS]
        return self.spawner.run(
            "download", self.server.url, str(self.folder / home), AFTER.isoformat(), days, kill_before=before
        )

    def finished(self, home: str) -> tuple[pl.DataFrame, list[bytes]]:
        """All rows and all bodies, once what is missing has been asked for."""
        store = self.folder / home / "polygon-1m"
        source = account("polygon", self.server).source(store, SYMBOLS, SetClock(AFTER))
        source.fetch(SESSIONS)
        sessions = [source.read_session(session) for session in SESSIONS]
        assert not [skip for raw in sessions for skip in raw.skips]
        payloads = sorted({(name[:4], path) for raw in sessions for name, path in raw.payloads.items()})
        frame = pl.concat([raw.frame.drop("source_file") for raw in sessions])
        return frame, [gzip.decompress(path.read_bytes()) for _, path in payloads]

    def asked(self) -> list[str]:
        """What was asked since the last call."""
        asked = [request.target for request in self.server.asked]
        self.server.asked.clear()
        return asked


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Downloads]:
    monkeypatch.setenv("POLYGON_API_KEY", KEY)
    here = Path(__file__)
    has = Polygon({name: minute_bars(SESSIONS, 100.0 + n) for n, name in enumerate(SYMBOLS)}, most_per_page=700)
    with polygon_server(has) as server, Spawner(here.with_name("download_spawner.py"), here.parents[3]) as spawner:
        yield Downloads(server, spawner, tmp_path)


@pytest.mark.slow
def test_it_asks_no_more_than_one_page_twice_and_ends_the_same(downloads: Downloads) -> None:
    expected = downloads.finished("undisturbed")
    assert len(set(downloads.asked())) == PAGES
    killed, calls = downloads.killed("counted", 0)
    assert not killed
    downloads.asked()

    chance = random.Random(20240713)
    for point in sorted(chance.sample(range(1, calls + 1), 4)):
        home = f"killed-{point}"
        assert downloads.killed(home, point)[0]
        frame, bodies = downloads.finished(home)
        assert frame.equals(expected[0]) and bodies == expected[1], point
        asked = downloads.asked()
        assert len(set(asked)) == PAGES and len(asked) <= PAGES + 1, point


@pytest.mark.slow
def test_killed_again_and_again_it_comes_to_its_end(downloads: Downloads) -> None:
    expected = downloads.finished("undisturbed")
    downloads.asked()
    chance = random.Random(20240714)
    kills = 0
    while downloads.killed("killed", chance.randint(30, 45))[0]:
        kills += 1
        assert kills < 10
    asked = downloads.asked()
    assert kills >= 2
    assert len(set(asked)) == PAGES and len(asked) <= PAGES + kills
    frame, bodies = downloads.finished("killed")
    assert frame.equals(expected[0]) and bodies == expected[1]
    assert downloads.asked() == []
