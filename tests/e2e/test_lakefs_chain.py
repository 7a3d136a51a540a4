"""The whole chain on a lakeFS server: nothing but the URI differs, and what comes out is the same to the byte."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness.lake_implementations import Implementation, provided
from harness.lakefs_server import LakeFSServer, lakefs_server
from rich.console import Console

from resources.lake import Lake, open_lake
from resources.lake.reading import Snapshot
from resources.ledger import Ledger
from resources.sources.synthetic_package import write_package
from trading.synthetic import Injection, SyntheticMarket
from trading_assets.commands.explain import explanation
from trading_assets.demo import DemoResult, run_demo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

BAD_SESSION = dt.date(2023, 11, 17)


@dataclass
class Played:
    result: DemoResult
    home: Path
    data: Path

    @property
    def lake(self) -> Lake:
        return open_lake(self.result.settings.lake_uri)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.result.settings.ledger_url)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeFSServer]:
    with lakefs_server(tmp_path_factory.mktemp("server")) as started:
        yield started
        assert started.contract.breaches == []


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, server: LakeFSServer) -> Iterator[dict[Implementation, Played]]:
    """The same market, played on the embedded lake and on the server."""
    folder = tmp_path_factory.mktemp("chain")
    market = SyntheticMarket(
        seed=3,
        symbols=["SYNA", "SYNB"],
        first_session=dt.date(2023, 11, 15),
        sessions=5,
        injections=[Injection("bad_bar", "SYNB", BAD_SESSION)],
    )
    write_package(folder / "data", market)
    played: dict[Implementation, Played] = {}
    with provided("lakefs-http", folder, server) as lakefs, pytest.MonkeyPatch.context() as patch:
        for name, value in lakefs.environment.items():
            patch.setenv(name, value)
        for kind, uri in (("embedded", ""), ("lakefs-http", lakefs.uri)):
            patch.setenv("LAKE_URI", uri)
            home = folder / kind
            played[kind] = Played(run_demo(home, folder / "data", Console(quiet=True)), home, folder / "data")
        yield played


def test_both_lakes_hold_the_same_bytes(both: dict[Implementation, Played]) -> None:
    contents = {
        kind: {
            item.path: (item.checksum, item.size)
            for item in played.lake.list("main")
            if not item.path.startswith(("backtest/", "promotion_decision/", "order_", "report/"))  # they name commits
        }
        for kind, played in both.items()
    }
    assert len(contents["embedded"]) > 40
    assert contents["embedded"] == contents["lakefs-http"]
    paths = {kind: [item.path for item in played.lake.list("main")] for kind, played in both.items()}
    assert paths["embedded"] == paths["lakefs-http"]


def test_both_send_the_same_orders_and_earn_the_same(both: dict[Implementation, Played]) -> None:
    orders = {
        kind: [
            (intent.session, intent.symbol, intent.variant, intent.side, intent.qty, intent.entry, intent.stop)
            for intent in played.ledger.intents(None, "paper")
        ]
        for kind, played in both.items()
    }
    fills = {
        kind: [
            (fill.symbol, fill.leg, fill.side, fill.qty, fill.price, fill.at) for fill in played.ledger.fills("paper")
        ]
        for kind, played in both.items()
    }
    assert orders["embedded"] and fills["embedded"]
    assert orders["embedded"] == orders["lakefs-http"]
    assert fills["embedded"] == fills["lakefs-http"]


def test_the_refused_session_is_under_a_tag_on_the_server(both: dict[Implementation, Played]) -> None:
    lake = both["lakefs-http"].lake
    (tag,) = lake.list_tags("quarantine-")
    rows = Snapshot(lake, tag).frame("m1_bars", {"session": BAD_SESSION.isoformat()}, "refused.parquet")
    assert rows.height
    assert not Snapshot(lake, "main").exists("m1_bars", {"session": BAD_SESSION.isoformat()})
    assert lake.list_branches("wap-") == {}


def test_an_order_is_explained_from_the_server(both: dict[Implementation, Played]) -> None:
    played = both["lakefs-http"]
    intent = played.ledger.intents(None, "paper")[-1]
    text = "\n".join(explanation(played.result.settings, intent.order_ref))
    assert "m1_raw session=" in text and "SHA-256" in text


def test_a_second_run_publishes_nothing(both: dict[Implementation, Played], monkeypatch: pytest.MonkeyPatch) -> None:
    played = both["lakefs-http"]
    before = played.lake.resolve("main")
    again = run_demo(played.home, played.data, Console(quiet=True))
    assert again.total("published") == 0
    assert again.total("unchanged") == played.result.total("published")
    assert played.lake.resolve("main") == before
