"""The whole chain in one process, on a small synthetic package with one wrong bar: what is on main, what was sent, and why."""

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from resources.lake import open_lake
from resources.lake.embedded import EmbeddedLake
from resources.lake.reading import Snapshot
from resources.ledger import Ledger
from resources.sources.synthetic_package import write_package
from trading.errors import ConfigError
from trading.replay import replay
from trading.synthetic import Injection, SyntheticMarket
from trading_assets.commands.explain import explanation
from trading_assets.configured import variant
from trading_assets.demo import DemoResult, run_demo
from trading_assets.history import History
from trading_assets.schemas import COLUMNS

BAD_SYMBOL, BAD_SESSION = "SYNB", dt.date(2023, 11, 22)


@dataclass
class Played:
    first: DemoResult
    home: Path
    data: Path

    @property
    def history(self) -> History:
        lake = open_lake(self.first.settings.lake_uri)
        return History(Snapshot(lake, lake.resolve("main@")))

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.first.settings.ledger_url)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("chain")
    market = SyntheticMarket(
        seed=3,
        symbols=["SYNA", "SYNB", "SYNC"],
        first_session=dt.date(2023, 11, 15),
        sessions=10,
        injections=[Injection("bad_bar", BAD_SYMBOL, BAD_SESSION)],
    )
    write_package(folder / "data", market)
    result = run_demo(folder / "home", folder / "data", Console(quiet=True))
    yield Played(result, folder / "home", folder / "data")


def test_one_wrong_bar_refuses_its_session_and_no_other(played: Played) -> None:
    sessions = played.first.sessions
    assert BAD_SESSION in sessions and len(sessions) == 10
    good = [day for day in sessions if day != BAD_SESSION]
    history = played.history
    assert history.sessions("m1_raw", {"universe": "demo"}) == sessions
    for dataset in ("m1_bars", "m5_bars", "m15_bars", "h1_bars", "d1_bars", "bar_quality", "universe"):
        assert history.sessions(dataset) == good, dataset
    assert history.sessions("signals", {"variant": "risk1"}) == good


def test_the_refusal_names_file_symbol_minute_and_rule(played: Played) -> None:
    refused = {key: reason for outcome in played.first.outcomes for key, reason in outcome.refused.items()}
    assert list(refused) == [("m1_bars", BAD_SESSION.isoformat())]
    reason = refused["m1_bars", BAD_SESSION.isoformat()]
    assert f"{BAD_SYMBOL}.parquet" in reason
    assert BAD_SYMBOL in reason
    assert f"{BAD_SESSION} " in reason  # the minute
    assert "High" in reason
    assert "trading lake show quarantine-" in reason
    assert any(not outcome.success for outcome in played.first.outcomes), "the run must not pass for complete"


def test_the_refused_rows_are_in_quarantine(played: Played) -> None:
    lake = open_lake(played.first.settings.lake_uri)
    tags = lake.list_tags("quarantine-")
    assert len(tags) == 1
    rows = Snapshot(lake, next(iter(tags.values()))).frame(
        "m1_bars", {"session": BAD_SESSION.isoformat()}, "refused.parquet"
    )
    wrong = rows.filter(pl.col("High") < pl.max_horizontal("Open", "Close", "Low"))
    assert wrong["Symbol"].to_list() == [BAD_SYMBOL]


def test_the_refusal_reaches_the_person_on_call(played: Played) -> None:
    text = (played.home / "alerts" / "alerts.txt").read_text()
    assert "Check contract failed on m1_bars" in text
    assert f"{BAD_SYMBOL}.parquet" in text
    assert f"trading materialise m1_bars --partition '{BAD_SESSION}'" in text


def test_no_order_before_the_session_after_the_decision(played: Played) -> None:
    decisions = played.ledger.decisions("risk1")
    to_paper = next(found for found in decisions if found.to_stage == "paper" and found.from_stage == "lab")
    intents = [intent for intent in played.ledger.intents(None, "paper") if intent.variant == "risk1"]
    assert intents
    assert min(intent.session for intent in intents) > to_paper.session


@pytest.mark.parametrize("name", ["fixed1", "pos10pct", "risk1"])
def test_paper_trades_are_the_replays(played: Played, name: str) -> None:
    configured = variant(played.first.settings, name)
    history = played.history
    traded = sorted({intent.session for intent in played.ledger.intents(None, "paper") if intent.variant == name})
    bars = history.frame("m5_bars", traded).sort("Symbol", "Timestamp")
    signals = history.frame("signals", traded, {"variant": name})
    expected = replay(bars, signals, configured.replay).trades
    fills = played.ledger.fills("paper", name)
    entries = {fill.order_ref: fill for fill in fills if fill.leg == "entry"}
    exits = [fill for fill in fills if fill.leg == "exit"]
    found = sorted(
        (exit_.at, exit_.symbol, entries[exit_.order_ref].at, exit_.side, exit_.qty, exit_.price, exit_.reason)
        for exit_ in exits
    )
    columns = ("exit_time", "Symbol", "entry_time", "side", "qty", "exit_price", "exit_reason")
    assert expected.height > 5
    assert [row[:5] + row[6:] for row in found] == [
        row[:5] + row[6:] for row in sorted(expected.select(columns).iter_rows())
    ]
    assert [row[5] for row in found] == pytest.approx([row[5] for row in sorted(expected.select(columns).iter_rows())])
    realised = sum(fill.realised for fill in fills)
    assert realised == pytest.approx(expected["pnl"].sum(), abs=1e-6)


def test_an_order_explains_itself_back_to_the_hash_of_its_raw_file(played: Played) -> None:
    intent = played.ledger.intents(None, "paper")[-1]
    text = "\n".join(explanation(played.first.settings, intent.order_ref))
    digest = hashlib.sha256((played.data / f"{intent.symbol}.parquet").read_bytes()).hexdigest()
    assert f"SHA-256 {digest}" in text
    for part in (
        "signals session=",
        "m1_bars session=",
        "m1_raw session=",
        intent.lineage.decision_id,
        "backtest at commit",
    ):
        assert part in text
    assert "SYNTHETIC" in text


def test_every_order_of_the_batch_carries_its_lineage(played: Played) -> None:
    lake = open_lake(played.first.settings.lake_uri)
    for intent in played.ledger.intents(None, "paper"):
        assert intent.lineage.decision_id
        assert intent.lineage.code_version
        assert intent.lineage.config_hash
        assert "signals" in intent.lineage.commits and len(intent.lineage.commits) == 2
        for commit in intent.lineage.commits.values():
            assert lake.get_commit(commit).id == commit


def test_the_commits_behind_decisions_and_batches_are_pinned(played: Played) -> None:
    lake = open_lake(played.first.settings.lake_uri)
    decided = {found.decision_id for found in played.ledger.decisions()}
    assert {f"decision-{decision_id}" for decision_id in decided} == set(lake.list_tags("decision-"))
    pinned = set(lake.list_tags("lineage-").values())
    for found in played.ledger.decisions():
        backtest = found.content["evidence"]["commits"]["backtest"]
        assert {backtest, *json.loads(lake.get_commit(backtest).metadata["inputs"]).values()} <= pinned
    sessions = {intent.session.isoformat() for intent in played.ledger.intents(None, "paper")}
    assert {tag.removeprefix("batch-paper-")[:10] for tag in lake.list_tags("batch-")} == sessions


@pytest.mark.parametrize("dataset", sorted(COLUMNS.keys() - {"d1_raw", "engine_parity"}))
def test_the_schema_in_the_ui_is_what_is_on_main(played: Played, dataset: str) -> None:
    """All but d1_raw: the package has no daily bars of a vendor; tests/e2e/test_universes.py has. And but engine_parity, which
    a job of its own makes; tests/integration/test_promotion.py has.
    """
    snapshot = played.history.snapshot
    frame = snapshot.frame(dataset, next(iter(snapshot.partitions(dataset)[-1:]), ""))
    found = {
        name: str(dtype).replace("Datetime(time_unit='us', time_zone='UTC')", "Datetime[us, UTC]")
        for name, dtype in frame.schema.items()
        if not name.startswith("meta_") or name == "meta_strategy_version"
    }
    assert found == {name: dtype for name, dtype, _ in COLUMNS[dataset]}


def test_a_second_run_publishes_nothing_and_sends_nothing(played: Played) -> None:
    before_head = played.history.pinned
    before_orders, before_fills = played.ledger.heads()["order_intents"], played.ledger.heads()["fills"]
    again = run_demo(played.home, played.data, Console(quiet=True))
    assert again.total("published") == 0
    assert again.total("unchanged") == played.first.total("published")
    assert played.history.pinned == before_head
    assert (played.ledger.heads()["order_intents"], played.ledger.heads()["fills"]) == (before_orders, before_fills)


def test_lake_and_ledger_are_whole(played: Played) -> None:
    assert list(open_lake(played.first.settings.lake_uri).verify()) == []  # type: ignore[attr-defined]
    assert played.ledger.verify() == []
    assert open_lake(played.first.settings.lake_uri).list_branches("wap-") == {}


def test_an_order_explains_itself_whatever_retention_removed(played: Played) -> None:
    """Last in this file: it removes what no tag and no branch reaches."""
    lake = open_lake(played.first.settings.lake_uri)
    assert isinstance(lake, EmbeddedLake)
    lake.gc(dt.timedelta(0), grace=dt.timedelta(0))
    for intent in played.ledger.intents(None, "paper")[::20]:
        text = "\n".join(explanation(played.first.settings, intent.order_ref))
        assert "m1_raw session=" in text and "SHA-256" in text


def test_a_demo_leaves_a_home_alone_that_is_not_its_own(played: Played, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds the demo of"):
        run_demo(played.home, None, Console(quiet=True))
    (tmp_path / "platform.yaml").write_text("min_coverage: 0.5\n")
    with pytest.raises(ConfigError, match="was not written by `trading demo`"):
        run_demo(tmp_path, None, Console(quiet=True))
    assert (tmp_path / "platform.yaml").read_text() == "min_coverage: 0.5\n"
