"""Two universes on two calendars from two vendors, through Dagster: both arrive, and one that is down pauses alone."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml
from harness.binance_server import Binance, binance_server, klines
from harness.eodhd_server import KEY, Eodhd, eodhd_server
from harness.vendor_bars import day_bars, minute_bars
from harness.vendor_server import Reply, VendorServer

from resources.configurable import ClockResource
from resources.lake import open_lake
from resources.lake.reading import Snapshot
from trading_assets.definitions import build_defs
from trading_assets.runs import RunOutcome, local_instance, run_job
from trading_assets.schemas import COLUMNS
from trading_assets.settings import Settings

FRIDAY, SATURDAY, SUNDAY, MONDAY = (dt.date(2024, 1, day) for day in (5, 6, 7, 8))
LATER = dt.datetime(2024, 1, 12, tzinfo=dt.UTC)
ASSETS = ("m1_raw", "d1_raw", "m1_bars")


@dataclass
class Installation:
    settings: Settings
    shares: VendorServer
    crypto: VendorServer

    def run(self, first: dt.date, last: dt.date) -> tuple[RunOutcome, list[Any]]:
        """The outcome, and the checks that failed."""
        defs = build_defs(self.settings, overrides={"clock": ClockResource(fixed=LATER.isoformat())})
        job = dg.define_asset_job("market", dg.AssetSelection.assets(*ASSETS))
        resolved = dg.Definitions(
            assets=defs.assets, resources=defs.resources, jobs=[job], executor=dg.in_process_executor
        ).resolve_job_def("market")
        with local_instance(self.settings) as instance:
            outcome = run_job(resolved, instance, first.isoformat(), last.isoformat())
            records = instance.all_logs(outcome.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
            checks = [entry.dagster_event.asset_check_evaluation_data for entry in records if entry.dagster_event]
        return outcome, [check for check in checks if not check.passed]

    @property
    def snapshot(self) -> Snapshot:
        lake = open_lake(self.settings.lake_uri)
        return Snapshot(lake, lake.resolve("main@"))

    def minutes(self, session: dt.date) -> dict[str, int]:
        bars = self.snapshot.frame("m1_bars", {"session": session.isoformat()})
        return dict(bars.group_by("Symbol").len().sort("Symbol").iter_rows())


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    monkeypatch.setenv("EODHD_API_KEY", KEY)
    sessions = [FRIDAY, MONDAY]
    days = Eodhd({"SPY.US": minute_bars(sessions, 470.0)}, {"SPY.US": day_bars(sessions, 470.0)})
    hours = Binance({"BTCUSDT": klines(dt.datetime(2024, 1, 4, tzinfo=dt.UTC), 6 * 1440, 44_000.0)}, LATER)
    with eodhd_server(days) as shares, binance_server(hours) as crypto:
        vendor = {
            "kind": "eodhd",
            "base_url": shares.url,
            "patience_seconds": 30,
            "requests_per_minute": 6000,
        }
        universes: dict[str, dict[str, Any]] = {
            "shares": {
                "calendar": "XNYS",
                "symbols": ["SPY"],
                "source": vendor,
                "daily": {**vendor, "step": "1d"},
            },
            "crypto": {
                "calendar": "24/7",
                "symbols": ["BTC-USDT"],
                "source": {"kind": "ccxt", "base_url": crypto.url, "requests_per_minute": 6000},
            },
        }
        (tmp_path / "universes").mkdir()
        for name, content in universes.items():
            (tmp_path / "universes" / f"{name}.yaml").write_text(yaml.safe_dump(content))
        settings = Settings(
            home=tmp_path, calendar="24/7", first_session=FRIDAY, last_session=MONDAY + dt.timedelta(days=1)
        )
        yield Installation(settings, shares, crypto)


def test_each_universe_has_the_sessions_of_its_calendar(installation: Installation) -> None:
    outcome, failed = installation.run(FRIDAY, MONDAY)
    assert outcome.success and not failed, (outcome.failures, failed)
    assert installation.minutes(FRIDAY) == {"BTC-USDT": 1440, "SPY": 390}
    assert installation.minutes(SATURDAY) == {"BTC-USDT": 1440}
    assert installation.minutes(MONDAY) == {"BTC-USDT": 1440, "SPY": 390}
    snapshot = installation.snapshot
    daily = snapshot.frame("d1_raw", {"session": "2024-01-08", "universe": "shares"})
    assert daily.columns == [name for name, _, _ in COLUMNS["d1_raw"]]
    assert daily.select("Symbol", "Timestamp").rows() == [("SPY", dt.datetime(2024, 1, 8, 14, 30, tzinfo=dt.UTC))]
    stored = {item.path: item for item in snapshot.files("m1_raw", {"session": "2024-01-05", "universe": "shares"})}
    assert sum(path.rpartition("/")[2].startswith("payload-SPY-") for path in stored) == 1
    later = snapshot.files("m1_raw", {"session": "2024-01-08", "universe": "shares"})
    assert [item.path.rpartition("/")[2] for item in later] == [
        "data.parquet"
    ]  # the answer is kept once, with the first
    again, _ = installation.run(FRIDAY, MONDAY)
    assert not any(again.published.values())


def test_a_vendor_that_is_down_pauses_its_own_universe(installation: Installation) -> None:
    installation.shares.answer = lambda _: Reply(503, b"maintenance", {"Retry-After": "3600"}, "text/plain")
    asked = len(installation.crypto.asked)
    outcome, failed = installation.run(FRIDAY, FRIDAY)
    assert "m1_raw" not in outcome.failures and installation.minutes(FRIDAY) == {"BTC-USDT": 1440}
    paused = [check for check in failed if check.check_name == "vendors" and check.asset_key == dg.AssetKey("m1_raw")]
    assert [check.severity for check in paused] == [dg.AssetCheckSeverity.ERROR]
    assert "universe shares pauses: " in paused[0].description and "eodhd" in paused[0].description
    assert KEY not in paused[0].description
    # daily bars come from that vendor alone: nothing of them is there, and their step says so
    assert "eodhd" in outcome.failures["d1_raw"]
    assert len(installation.crypto.asked) > asked

    has = Eodhd({"SPY.US": minute_bars([FRIDAY], 470.0)}, {"SPY.US": day_bars([FRIDAY], 470.0)})
    installation.shares.answer = has.answer
    outcome, failed = installation.run(FRIDAY, FRIDAY)
    assert outcome.success and not failed
    assert installation.minutes(FRIDAY) == {"BTC-USDT": 1440, "SPY": 390}


def test_a_universe_with_sessions_that_are_no_partitions_is_refused(installation: Installation) -> None:
    settings = installation.settings.model_copy(update={"calendar": "XNYS"})
    outcome, _ = Installation(settings, installation.shares, installation.crypto).run(FRIDAY, MONDAY)
    assert "2024-01-06 is a session of 24/7 and none of XNYS" in outcome.failures["m1_raw"]


def test_only_listed_symbols_of_a_shared_folder_count(tmp_path: Path) -> None:
    from harness.home import make_home

    sessions = make_home(tmp_path, sessions=2, symbols=3)
    market = yaml.safe_load((tmp_path / "universes" / "demo.yaml").read_text())
    (tmp_path / "universes" / "demo.yaml").write_text(yaml.safe_dump({**market, "symbols": ["SYNB"]}))
    settings = Settings.load(tmp_path, env={})
    unreachable = VendorServer(lambda _: Reply(500))
    installation = Installation(settings, unreachable, unreachable)
    defs = build_defs(settings)
    job = dg.define_asset_job("market", dg.AssetSelection.assets("m1_raw", "m1_bars"))
    resolved = dg.Definitions(
        assets=defs.assets, resources=defs.resources, jobs=[job], executor=dg.in_process_executor
    ).resolve_job_def("market")
    with local_instance(settings) as instance:
        outcome = run_job(resolved, instance, sessions[0].isoformat(), sessions[-1].isoformat())
    assert outcome.success, outcome
    raw = pl.concat(
        installation.snapshot.frame("m1_raw", {"session": day.isoformat(), "universe": "demo"}) for day in sessions
    )
    assert raw["Symbol"].unique().to_list() == ["SYNB"]
