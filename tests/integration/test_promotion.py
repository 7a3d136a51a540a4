"""From signals to live by evidence, on the lake and ledger of a home: approvals, ways around them, decisions taken again."""

import dataclasses
import datetime as dt
import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml
from click.testing import CliRunner, Result
from harness.home import make_home

from resources.lake import open_lake
from resources.lake.publish import Publisher
from resources.lake.reading import Snapshot
from resources.ledger import Approval, Ledger
from trading.bars import assemble_m1, resample
from trading.errors import DataError
from trading.lab.parity import ParityReport
from trading.lab.vectorbt_artefacts import ALONE
from trading.promotion import Decision, EngineParity
from trading.synthetic import SyntheticMarket
from trading_assets import stages
from trading_assets.cli import trading
from trading_assets.configured import variant as load_variant
from trading_assets.definitions import build_defs
from trading_assets.live import live_standing
from trading_assets.parity import Compared, figures
from trading_assets.persons import approve, open_desk
from trading_assets.promotion import DecisionDesk
from trading_assets.replayed_decisions import replay_recorded
from trading_assets.runs import RunOutcome, local_instance, run_job
from trading_assets.schemas import COLUMNS
from trading_assets.settings import CONFIGS, Settings
from trading_assets.stages import stage_at

NAME = "risk1"
SESSIONS = 28
JOBS = {
    "signals": 'key:"signals"',
    "backtest": 'key:"backtest"',
    "decide": 'key:"promotion_decision"',
    "trade": 'key:"order_batch" or key:"order_routing" or key:"reconciliation" or key:"portfolio_worth"',
    "parity": 'key:"paper_parity"',
}


@dataclass
class Home:
    settings: Settings
    sessions: list[dt.date]

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.settings.ledger_url)

    @property
    def lake(self) -> Any:
        return open_lake(self.settings.lake_uri)

    @cached_property
    def definitions(self) -> dg.Definitions:
        jobs = [
            dg.define_asset_job(f"these_{name}", selection=selection, executor_def=dg.in_process_executor)
            for name, selection in JOBS.items()
        ]
        return dg.Definitions.merge(build_defs(self.settings), dg.Definitions(jobs=jobs))

    def run(self, what: str, first: str, last: str | None = None) -> RunOutcome:
        with local_instance(self.settings) as instance:
            done = run_job(self.definitions.resolve_job_def(f"these_{what}"), instance, first, last or first)
        assert done.success, (done.failures, done.refused)
        return done

    def desk(self, at: dt.datetime | None = None) -> DecisionDesk:
        return open_desk(self.settings, self.lake, self.ledger, at or dt.datetime.now(dt.UTC))

    def decide(self, session: dt.date) -> list[Decision]:
        """What the promotion job adds for a session."""
        before = {row.decision_id for row in self.ledger.decisions(NAME)}
        self.run("decide", f"{session}|{NAME}")
        rows = [row for row in self.ledger.decisions(NAME) if row.decision_id not in before]
        return [Decision.from_dict(row.content) for row in rows]

    def trading(self, *arguments: str) -> Result:
        home = ("--home", str(self.settings.home))
        return CliRunner().invoke(trading, [*arguments, *home], env={"TRADING_CONFIGS": str(self.settings.configs)})

    def publisher(self) -> Publisher:
        made_at = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
        return Publisher(self.lake, run_id="before", code_version="1", clock=lambda: made_at)

    def copy(self, folder: Path) -> "Home":
        """The same home elsewhere, to be spoiled."""
        shutil.copytree(self.settings.home, folder / "home")
        shutil.copytree(self.settings.configs, folder / "configs")
        return Home(Settings.load(folder / "home", env={"TRADING_CONFIGS": str(folder / "configs")}), self.sessions)


def _policy() -> dict[str, Any]:
    """Every figure asked for is one that a month of a random market can give; a step to live is permitted."""
    policy = yaml.safe_load((CONFIGS / "demo" / "promotion.yaml").read_text())
    strict = yaml.safe_load((CONFIGS / "promotion.yaml").read_text())
    policy["lab_to_paper"]["allow_partial_horizons"] = []
    to_live = {**strict["paper_to_live"], "min_sessions": 1, "min_trades": 1}
    symbols = {"horizon": "1m", "min_trades": 1, "min_expectancy": -1e6}
    return {**policy, "name": "test", "paper_to_live": to_live, "live_symbols": symbols}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Bars, universe, signals and the newest backtests on main; the newest but two sessions decided, the next traded."""
    folder = tmp_path_factory.mktemp("promotion")
    configs = folder / "configs"
    shutil.copytree(CONFIGS, configs)
    shutil.rmtree(configs / "sweeps")
    (configs / "promotion.yaml").write_text(yaml.safe_dump(_policy()))
    (configs / "accounts" / "paper.yml").write_text(
        yaml.safe_dump(
            {
                "variants": {NAME: {"capital": 10000}},
                "limits": {"cooldown_minutes": 0, "dedupe_seconds": 0, "hard_stop_pct": 100},
            }
        )
    )
    sessions = make_home(folder / "home", sessions=SESSIONS, symbols=2, settings={"promotion_policy": "promotion.yaml"})
    made = Home(Settings.load(folder / "home", env={"TRADING_CONFIGS": str(configs)}), sessions)
    market = SyntheticMarket(seed=7, symbols=2, sessions=SESSIONS)
    raw = pl.concat(frame.with_columns(Symbol=pl.lit(symbol)) for symbol, frame in market.frames())
    columns = ["Symbol", "Timestamp", "Open", "High", "Low", "Close", "Volume"]
    minutes = assemble_m1([raw.select(columns)]).bars
    bars = resample(minutes, "5m", policy="keep")
    publisher = made.publisher()
    for session in sessions:
        key = {"session": session.isoformat()}
        of_session = bars.filter(pl.col("session") == session)
        symbols = of_session.select("Symbol", "session").unique().sort("Symbol")
        publisher.publish("m5_bars", key, of_session, audit=None, inputs={})
        publisher.publish("m1_bars", key, minutes.filter(pl.col("session") == session), audit=None, inputs={})
        publisher.publish("universe", key, symbols.with_columns(admitted=True), audit=None, inputs={})
        publisher.publish("bar_quality", key, symbols.with_columns(passed=True), audit=None, inputs={})
    made.run("signals", f"{sessions[0]}|{NAME}", f"{sessions[-1]}|{NAME}")
    made.run("backtest", f"{sessions[-3]}|{NAME}", f"{sessions[-2]}|{NAME}")
    climbed = made.decide(sessions[-3])
    assert [d.to_stage for d in climbed][:2] == ["lab", "paper"], climbed[-1].reason
    made.run("trade", f"paper|{sessions[-2]}")
    made.run("parity", f"paper|{sessions[-2]}")
    yield made
    made.ledger.close()


def _shown(home: Home, session: dt.date) -> dict[str, Any]:
    lake = home.lake
    frame = Snapshot(lake, lake.resolve("main@")).frame(
        "paper_parity", {"session": session.isoformat(), "account": "paper"}
    )
    return frame.row(0, named=True)


def test_the_paper_account_does_what_the_replay_says(home: Home) -> None:
    found = _shown(home, home.sessions[-2])
    assert found["trades"] > 0 and found["missed"] == found["extra"] == 0, found
    assert found["max_price_difference_bps"] == 0.0
    assert found["slippage_bps"] == found["assumed_slippage_bps"] == 1.0 and found["slippage_fills"] > 0
    assert (found["differences"], found["error_events"]) == (0, 0)


def test_the_other_engine_s_verdict_is_evidence_of_its_very_version(home: Home, tmp_path: Path) -> None:
    compared = home.copy(tmp_path / "engine")
    session, configured = home.sessions[-2], load_variant(home.settings, NAME)
    before, _ = compared.desk().collected(configured, session)
    assert before.engine_parity is None
    report = ParityReport(2, 50, 10.0, 10.0, 0.004, pl.DataFrame({"found": ["qty"]}))
    alone = Compared(
        NAME, str(session), configured.strategy_version, configured.config_hash, "c", {ALONE: report, "other": report}
    )
    frame = figures(alone)
    shown = {name: str(dtype) for name, dtype in frame.schema.items()}
    assert shown == {name: dtype for name, dtype, _ in COLUMNS["engine_parity"]}
    key = {"session": str(session), "variant": NAME}
    compared.publisher().publish("engine_parity", key, frame, audit=None, inputs={})
    evidence, _ = compared.desk().collected(configured, session)
    assert evidence.engine_parity == EngineParity(trades=50, unmatched=1, max_pnl_difference=0.004)
    assert evidence.commits["engine_parity"]["session"] == str(session)
    assert compared.desk().collected(configured, home.sessions[-3])[0].engine_parity is None, "not known then"
    other = figures(dataclasses.replace(alone, config_hash="another"))
    compared.publisher().publish("engine_parity", key, other, audit=None, inputs={})
    assert compared.desk().collected(configured, session)[0].engine_parity is None, "another version's"


def test_only_the_approval_is_missing_and_the_ways_around_it_lead_nowhere(home: Home, tmp_path: Path) -> None:
    session, after = home.sessions[-2], home.sessions[-1]
    (stay,) = home.decide(session)
    assert (stay.from_stage, stay.to_stage) == ("paper", "paper")
    assert [gate.name for gate in stay.missing] == ["approval"], stay.reason

    # the asset materialised directly decides the same again
    assert home.decide(session) == []
    # no automation, no nobody, no silence
    for by, reason, says in (("dagster", "x", "names no person"), ("", "x", "names no person"), ("Ada", " ", "reason")):
        with pytest.raises(DataError, match=says):
            approve(home.desk(), NAME, by=by, reason=reason)
    # an approval of other evidence, or of another version, is none of this
    row = {"variant": NAME, "strategy_version": stay.strategy_version, "person": "Ada", "reason": "x"}
    now = dt.datetime.now(dt.UTC)
    spoiled = home.copy(tmp_path / "rows")
    spoiled.ledger.record_approval(Approval(**row, commit_id="0" * 64, at=now))
    other = {**row, "strategy_version": "other"}
    spoiled.ledger.record_approval(Approval(**other, commit_id=stay.evidence.content_hash, at=now))
    assert spoiled.desk().decide(NAME, session)[-1].to_stage == "paper"
    # a stage written by hand, as well as it can be written
    hand_made = Decision.model_validate({**stay.model_dump(), "to_stage": "live", "decided_by": "Ada"})
    spoiled.ledger.record_decision(hand_made.to_dict(), now)
    assert spoiled.ledger.verify() == []
    standing = stage_at(spoiled.settings, spoiled.ledger, NAME)
    assert standing.stage == "paper" and "differs" in standing.doubts[0]
    assert live_standing(spoiled.settings, spoiled.ledger, NAME, after + dt.timedelta(days=3)).stage == "paper"
    # a row changed in the database: nothing is believed any more
    _change_a_row(spoiled)
    standing = stage_at(spoiled.settings, spoiled.ledger, NAME)
    assert standing.stage == "suspended" and "changed" in standing.doubts[0]


def _change_a_row(home: Home) -> None:
    with sqlite3.connect(home.settings.home / "ledger.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("UPDATE promotion_decisions SET to_stage = 'live' WHERE id = 2")
    stages._looked_at.clear()  # as a new process


def test_an_approval_leads_to_live_once_and_for_this_version_alone(home: Home, tmp_path: Path) -> None:
    """Runs after the one above; the rest of the file goes on from here."""
    session, after = home.sessions[-2], home.sessions[-1]
    early = dt.datetime.now(dt.UTC)
    late = home.copy(tmp_path / "late")
    approve(late.desk(early - dt.timedelta(days=8)), NAME, by="Ada", reason="read the report")
    assert late.desk().decide(NAME, session)[-1].to_stage == "paper", "void after approval_days"
    config = {"variant": NAME, "by": "Bob", "reason": "read it too"}
    with local_instance(late.settings) as instance:
        job = late.definitions.resolve_job_def("approve_job")
        run_config = {"ops": {"record_approval": {"config": config}}}
        assert job.execute_in_process(run_config=run_config, instance=instance).success
    assert late.desk().decide(NAME, session)[0].decided_by == "Bob"

    said = home.trading("approve", NAME, "--by", "Ada", "--reason", "read the report")
    assert said.exit_code == 0, said.output
    assert "Ada approves risk1" in said.output and f"promotion_decision --partition '{session}|{NAME}'" in said.output
    again = home.trading("approve", NAME, "--by", "Ada", "--reason", "read it again")
    assert isinstance(again.exception, DataError), again.output

    twice = home.copy(tmp_path / "twice")
    with ThreadPoolExecutor(4) as pool:  # the job run several times at once
        desks = [twice.desk() for _ in range(4)]
        commit = desks[0].history.pinned
        made = [pool.submit(lambda d=d: d.record(d.decide(NAME, session), commit, d.at)) for d in desks]
        new = [[decision.to_stage for decision in future.result()] for future in made]
    assert sorted(stage for stages in new for stage in stages) == ["live", "live"], "the step, and the staying"
    rows = [row.to_stage for row in twice.ledger.decisions(NAME) if row.session == session]
    assert rows == ["paper", "live", "live"] and twice.ledger.verify() == []

    moved = home.decide(session)
    assert (moved[0].from_stage, moved[0].to_stage, moved[0].decided_by) == ("paper", "live", "Ada")
    standing = live_standing(home.settings, home.ledger, NAME, after)
    assert standing.stage == "live" and len(standing.approvals) == 1
    assert standing.symbols == frozenset(moved[0].live_symbols) != frozenset()

    # the used approval stays part of the session, however often that is decided again
    assert home.decide(session) == []
    # one parameter more or less is another version, which nobody has approved
    edited = home.copy(tmp_path / "edited")
    file = edited.settings.configs / "runs" / f"{NAME}.yml"
    file.write_text(file.read_text().replace("risk_reward: 2.0", "risk_reward: 2.1"))
    assert load_variant(edited.settings, NAME).strategy_version != moved[0].strategy_version
    assert stage_at(edited.settings, edited.ledger, NAME).stage == "experiment"
    assert live_standing(edited.settings, edited.ledger, NAME, after).approvals == ()
    with pytest.raises(DataError, match="it stands on experiment"):
        approve(edited.desk(), NAME, by="Ada", reason="the same, nearly")


def test_taken_again_a_hundred_commits_later_nothing_differs(home: Home, tmp_path: Path) -> None:
    later = home.copy(tmp_path / "later")
    decided = [Decision.from_dict(row.content) for row in later.ledger.decisions(NAME)]
    publisher = later.publisher()
    first = {"session": home.sessions[0].isoformat()}
    for number in range(100):
        noise = pl.DataFrame({"Symbol": ["S"], "session": [home.sessions[0]], "passed": [True], "n": [number]})
        publisher.publish("bar_quality", first, noise, audit=None, inputs={})
    (later.settings.configs / "promotion.yaml").write_text(
        yaml.safe_dump({**_policy(), "name": "another", "paper_to_live": None})
    )
    file = later.settings.configs / "runs" / f"{NAME}.yml"
    file.write_text(file.read_text().replace("risk_reward: 2.0", "risk_reward: 2.1"))
    later.ledger.engage(f"variant:{NAME}", "later than all of it", "Ada", dt.datetime.now(dt.UTC))
    assert {d.to_stage for d in decided} >= {"lab", "paper", "live"}
    for decision in decided:
        found = replay_recorded(later.settings, later.lake, later.ledger, decision.decision_id)
        assert found.differences == (), decision.to_stage
    said = later.trading("decision", "replay", decided[1].decision_id[:10])
    assert said.exit_code == 0 and "no difference" in said.output, said.output


def test_a_correction_shows_what_it_changes_and_demotes(home: Home, tmp_path: Path) -> None:
    corrected = home.copy(tmp_path / "corrected")
    session = home.sessions[-3]
    paper = next(Decision.from_dict(r.content) for r in corrected.ledger.decisions(NAME) if r.to_stage == "paper")
    day = {"session": home.sessions[-5].isoformat()}
    publisher = corrected.publisher()
    bars = publisher.read_frame(publisher.pin(), "m5_bars", day)
    prices = [pl.col(name) * 1.5 for name in ("Open", "High", "Low", "Close")]
    publisher.publish("m5_bars", day, bars.with_columns(prices), audit=None, inputs={})
    corrected.run("signals", f"{home.sessions[-5]}|{NAME}", f"{home.sessions[-1]}|{NAME}")
    corrected.run("backtest", f"{session}|{NAME}", f"{home.sessions[-1]}|{NAME}")

    as_it_was = replay_recorded(corrected.settings, corrected.lake, corrected.ledger, paper.decision_id)
    assert as_it_was.differences == ()
    said = corrected.trading("decision", "replay", paper.decision_id, "--on-main")
    assert said.exit_code == 1, said.output
    assert "evidence.commits.m5_bars.commits_sha256" in said.output and "evidence.horizons[0].metrics" in said.output

    made = corrected.decide(home.sessions[-1])
    assert [(d.from_stage, d.to_stage) for d in made] == [("live", "suspended")]
    assert "data superseded" in made[0].reason
    # and a person alone brings it back, to the lab
    assert (
        corrected.trading("decision", "move", NAME, "lab", "--by", "Ada", "--reason", "looked into it").exit_code == 0
    )
    assert stage_at(corrected.settings, corrected.ledger, NAME).stage == "lab"
    # on evidence that a person has looked into it climbs again, and each step is recorded once
    again = corrected.decide(home.sessions[-1])
    assert [(d.from_stage, d.to_stage) for d in again] == [("lab", "paper"), ("paper", "paper")], again[-1].reason
    assert corrected.decide(home.sessions[-1]) == []
    for row in corrected.ledger.decisions(NAME):
        found = replay_recorded(corrected.settings, corrected.lake, corrected.ledger, row.decision_id)
        assert found.differences == (), (row.from_stage, row.to_stage, row.decided_by)
    assert corrected.ledger.verify() == []
