"""Reading history at one commit: enough warm-up for every Symbol, and pins that change only with the data."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from resources.lake import open_lake
from resources.lake.publish import Publisher
from trading.strategies import get_strategy
from trading_assets.history import History

NOW = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
DAYS = [dt.date(2023, 11, day) for day in (13, 14, 15, 16, 17, 20, 21, 22)]


def daily(day: dt.date, complete: dict[str, bool], close: float = 10.0) -> pl.DataFrame:
    rows = [
        {
            "Symbol": symbol,
            "Timestamp": dt.datetime.combine(day, dt.time(14, 30), dt.UTC),
            "Open": 10.0,
            "High": 11.0,
            "Low": 9.0,
            "Close": close,
            "Volume": 1000,
            "session": day,
            "minutes": 390,
            "complete": whole,
        }
        for symbol, whole in sorted(complete.items())
    ]
    return pl.DataFrame(rows, schema_overrides={"Timestamp": pl.Datetime("us", "UTC"), "minutes": pl.Int32})


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(open_lake(f"file://{tmp_path}/lake"), run_id="r", code_version="c", clock=lambda: NOW)


def publish(publisher: Publisher, day: dt.date, frame: pl.DataFrame) -> str:
    partition = {"session": day.isoformat()}
    return publisher.publish("d1_bars", partition, frame, audit=None, inputs={}).commit_id


def test_each_symbol_gets_its_warm_up_however_rarely_it_trades(publisher: Publisher) -> None:
    for number, day in enumerate(DAYS):
        publish(publisher, day, daily(day, {"OFTEN": True, **({"RARE": True} if number in (0, 7) else {})}))
    bars = History(publisher.snapshot()).bars_with_warmup("d1_bars", DAYS[-1:], warmup=1)
    assert bars.filter(pl.col("Symbol") == "RARE")["session"].to_list() == [DAYS[0], DAYS[7]]
    assert bars["session"].max() == DAYS[-1]


def test_sessions_without_a_complete_bar_give_no_bars_and_no_signals(publisher: Publisher) -> None:
    for day in DAYS[:-1]:
        publish(publisher, day, daily(day, {"A": True, "B": True}))
    publish(publisher, DAYS[-1], daily(DAYS[-1], {"A": False, "B": False}))
    bars = History(publisher.snapshot()).bars_with_warmup("d1_bars", DAYS[-1:], warmup=15)
    assert bars.is_empty()
    assert get_strategy("insidebar_breakout").signals(bars).is_empty()


def test_a_fingerprint_moves_with_its_own_partitions_only(publisher: Publisher) -> None:
    for day in DAYS[:4]:
        publish(publisher, day, daily(day, {"A": True}))
    before = History(publisher.snapshot()).fingerprint("d1_bars", DAYS[:3])
    publish(publisher, DAYS[4], daily(DAYS[4], {"A": True}))
    assert History(publisher.snapshot()).fingerprint("d1_bars", DAYS[:3]) == before
    corrected = publish(publisher, DAYS[2], daily(DAYS[2], {"A": True}, close=10.5))
    after = History(publisher.snapshot()).fingerprint("d1_bars", DAYS[:3])
    assert after["commits_sha256"] != before["commits_sha256"]
    assert after["last_commit"] == corrected
    assert History(publisher.snapshot()).made_by("d1_bars", DAYS[1]) != corrected
