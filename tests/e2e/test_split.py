"""A split in the middle of a market, through the graph: bars as traded, everything made from them as if it had not been."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import pytest
from harness.home import make_home

from jobs.groups import MARKET_DATA_JOB, RESEARCH_JOB
from resources.lake import open_lake
from resources.lake.reading import Snapshot
from trading_assets.definitions import build_defs
from trading_assets.history import History
from trading_assets.runs import local_instance, run_job
from trading_assets.settings import Settings


@dataclass
class Market:
    history: History
    sessions: list[dt.date]
    symbol: str
    split: dt.date

    @property
    def before(self) -> dt.date:
        return self.sessions[self.sessions.index(self.split) - 1]

    def closes(self, dataset: str = "d1_bars") -> dict[dt.date, float]:
        rows = self.history.frame(dataset, self.sessions).filter(Symbol=self.symbol)
        return dict(rows.select("session", "Close").iter_rows())


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    home = tmp_path_factory.mktemp("split")
    sessions = make_home(home, sessions=6, symbols=3)
    actions = pl.read_csv(home / "corporate_actions.csv", try_parse_dates=True).row(0, named=True)
    assert (actions["kind"], actions["ratio"]) == ("split", 4.0)
    settings = Settings.load(home, env={})
    defs = build_defs(settings)
    first, last = sessions[0].isoformat(), sessions[-1].isoformat()
    with local_instance(settings) as instance:
        assert run_job(defs.resolve_job_def(MARKET_DATA_JOB), instance, first, last).success
        variants = [f"{first}|risk1", f"{last}|risk1"]
        assert run_job(defs.resolve_job_def(RESEARCH_JOB), instance, *variants).success
    with open_lake(settings.lake_uri) as lake:
        yield Market(History(Snapshot(lake, lake.resolve("main@"))), sessions, actions["Symbol"], actions["ex_date"])


def test_bars_stay_as_traded(market: Market) -> None:
    closes = market.closes()
    assert 0.22 < closes[market.split] / closes[market.before] < 0.28


def test_features_know_the_split_on_its_day_and_not_before(market: Market) -> None:
    closes = market.closes()
    figures = {
        day: market.history.frame("daily_features", [day]).filter(Symbol=market.symbol).row(0, named=True)
        for day in (market.before, market.split)
    }
    assert figures[market.split]["last_close"] == closes[market.before] / 4
    day_before = market.sessions[market.sessions.index(market.before) - 1]
    assert figures[market.before]["last_close"] == closes[day_before]


def test_no_signal_stands_on_the_old_share_count(market: Market) -> None:
    """The average true range of the split's session, warmed up on the session before, is that of the new shares."""
    fixed = {"variant": "risk1"}
    signals = market.history.frame("signals", [market.split], fixed).filter(Symbol=market.symbol)
    close = market.closes()[market.split]
    assert signals.height == 1
    row = signals.row(0, named=True)
    assert all(0.9 < row[level] / close < 1.1 for level in ("long_entry", "short_entry"))
    assert row["meta_atr"] < 0.02 * close  # a gap of three quarters of the price would show here
    made = market.history.snapshot.lake.get_commit(market.history.made_by("signals", market.split, fixed))
    assert "corporate_actions" in made.metadata["inputs"]


def test_a_backtest_over_the_split_has_no_loss_from_it(market: Market) -> None:
    last = market.sessions[-1]
    trades = market.history.frame("backtest", [last], {"variant": "risk1"}, file="trades.parquet")
    own = trades.filter(Symbol=market.symbol)
    assert own.height > 0
    sizes = own.select(pl.col("qty") * pl.col("entry_price")).to_series()
    assert sizes.max() < 1.05 * 2000  # a fifth of the equity at the most, before the split as after it
    entries = own.sort("entry_time")["entry_price"]
    assert entries.max() / entries.min() < 1.5  # all on the share count of the session that looks back
