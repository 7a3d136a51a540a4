"""A session comes again with other bars: what differs is kept, told once, turns stale what was made of it, and names its users.

One story on one small home, in the order in which a desk lives it; each test looks at one chapter of it.
"""

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml
from click.testing import CliRunner
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from harness.home import make_home

from resources.configurable import ClockResource
from resources.lake import Lake, open_lake
from resources.ledger import Ledger
from sensors.alerts import alerts_of_run
from trading_assets.cli import trading
from trading_assets.definitions import build_defs, configured_resources
from trading_assets.old_bars import OldBarsUsers, confirmations, users_of_old_bars
from trading_assets.revisions import UNREVISED_CHECK
from trading_assets.runs import RunOutcome, local_instance, run_job
from trading_assets.settings import CONFIGS, Settings

pytestmark = pytest.mark.slow

VARIANT, ACCOUNT = "fixed1", "paper"
REVISED = dt.date(2023, 10, 6)  # the first session with orders
MINUTES = ("m1_raw", "m1_bars", "bar_revisions")
BARS = ("bar_quality", "m5_bars", "m15_bars", "h1_bars", "d1_bars", "daily_features", "universe")
STAGES = {
    "minutes": MINUTES,
    "bars": BARS,
    "signals": ("signals",),
    "backtest": ("backtest",),
    "decision": ("promotion_decision",),
    "orders": ("order_batch", "order_routing", "reconciliation", "portfolio_worth"),
}


def small_configs(folder: Path) -> Path:
    """The configs with one variant and one book."""
    shutil.copytree(CONFIGS, folder)
    for file in (folder / "runs").iterdir():
        if file.stem != VARIANT:
            file.unlink()
    account = folder / "accounts" / f"{ACCOUNT}.yml"
    content = yaml.safe_load(account.read_text())
    account.write_text(yaml.safe_dump({**content, "variants": {VARIANT: {"capital": 10000}}}))
    return folder


@dataclass
class Chapter:
    """What was seen after one event: the check, the alerts so far, what is stale, who used old bars."""

    outcome: RunOutcome
    check: dg.AssetCheckEvaluation | None
    rung: list[dict[str, Any]]
    stale: set[tuple[str, str]] | None  # None: not looked at
    used: OldBarsUsers
    used_by_the_lake_alone: OldBarsUsers


@dataclass
class Desk:
    home: Path
    settings: Settings
    days: list[dt.date]
    instance: dg.DagsterInstance
    defs: dg.Definitions
    chapters: dict[str, Chapter] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        return open_lake(self.settings.lake_uri)

    def run(self, stage: str, first: str, last: str) -> RunOutcome:
        outcome = run_job(self.defs.resolve_job_def(stage), self.instance, first, last)
        assert outcome.success, (outcome.failures, outcome.refused)
        alerts = configured_resources(self.settings)["alerts"]
        run = self.instance.get_run_by_id(outcome.run_id)
        assert run is not None
        for alert in alerts_of_run(self.instance, run, alerts.ui_url, ClockResource()):
            alerts.open().send(alert)
        return outcome

    def of_sessions(self, stage: str, *, since: dt.date = REVISED) -> RunOutcome:
        return self.run(stage, str(since), str(self.days[-1]))

    def of_variant(self, stage: str, *, since: dt.date = REVISED) -> RunOutcome:
        return self.run(stage, f"{since}|{VARIANT}", f"{self.days[-1]}|{VARIANT}")

    def deliver(self, minutes: pl.DataFrame) -> None:
        minutes.write_parquet(self.home / "data" / "SYNA.parquet")

    def see(self, name: str, outcome: RunOutcome, *, stale: bool = True) -> None:
        self.chapters[name] = Chapter(
            outcome,
            self._check(outcome),
            self._rung(),
            self._stale() if stale else None,
            self.users(),
            self.users(with_events=False),
        )

    def users(self, *, with_events: bool = True) -> OldBarsUsers:
        how = {"confirmed": confirmations(self.instance)} if with_events else {}
        return users_of_old_bars(self.lake, Ledger(self.settings.ledger_url), REVISED, **how)

    def _check(self, outcome: RunOutcome) -> dg.AssetCheckEvaluation | None:
        found = [
            entry.dagster_event.asset_check_evaluation_data
            for entry in self.instance.all_logs(outcome.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
            if entry.dagster_event is not None
            and entry.dagster_event.asset_check_evaluation_data.check_name == UNREVISED_CHECK
        ]
        return found[0] if found else None

    def _rung(self) -> list[dict[str, Any]]:
        file = self.home / "alerts" / "alerts.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [line for line in lines if UNREVISED_CHECK in line["title"]]

    def _stale(self) -> set[tuple[str, str]]:
        graph = self.defs.resolve_asset_graph()
        resolver = CachingStaleStatusResolver(self.instance, graph, LoadingContextForTest(self.instance))
        looked_at = (self.days[-2], REVISED)
        by_session = {
            (name, str(day)): resolver.get_status(dg.AssetKey(name), str(day))
            for name in (*MINUTES, *BARS)
            for day in looked_at
        }
        by_variant = {
            (name, str(day)): resolver.get_status(
                dg.AssetKey(name), dg.MultiPartitionKey({"session": str(day), "variant": VARIANT})
            )
            for name in ("signals", "backtest")
            for day in looked_at
        }
        assert StaleStatus.MISSING not in {**by_session, **by_variant}.values()
        return {where for where, status in {**by_session, **by_variant}.items() if status is StaleStatus.STALE}


def revised(first: pl.DataFrame, *, close: float) -> pl.DataFrame:
    """The delivery with one Close in the middle of the session moved up."""
    of_day = first.with_row_index("row").filter(pl.col("Timestamp").dt.date() == REVISED).sort("Timestamp")["row"]
    at = pl.int_range(pl.len()) == of_day[len(of_day) // 2]
    moved = pl.col("Close") + close
    return first.with_columns(
        Close=pl.when(at).then(moved).otherwise("Close"),
        High=pl.when(at).then(pl.max_horizontal("High", moved)).otherwise("High"),
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("revisions")
    days = make_home(home / "home", sessions=5, symbols=2)
    settings = Settings.load(home / "home", env={"TRADING_CONFIGS": str(small_configs(home / "configs"))})
    jobs = [
        dg.define_asset_job(stage, selection=list(names), executor_def=dg.in_process_executor)
        for stage, names in STAGES.items()
    ]
    defs = dg.Definitions.merge(build_defs(settings), dg.Definitions(jobs=jobs))
    with local_instance(settings) as instance:
        story = Desk(home / "home", settings, days, instance, defs)
        first = pl.read_parquet(story.home / "data" / "SYNA.parquet")

        outcome = story.of_sessions("minutes", since=days[0])
        story.of_sessions("bars", since=days[0])
        for stage in ("signals", "backtest", "decision"):
            story.of_variant(stage, since=days[0])
        story.run("orders", f"{ACCOUNT}|{days[0]}", f"{ACCOUNT}|{days[-1]}")
        story.see("first delivery", outcome)

        story.see("the same bytes again", story.of_sessions("minutes"), stale=False)

        story.deliver(revised(first, close=1.0))
        story.see("another price", story.of_sessions("minutes", since=days[-2]))
        story.see("run again", story.of_sessions("minutes"), stale=False)

        story.see("bars made again", story.of_sessions("bars"))
        story.see("signals made again", story.of_variant("signals"))
        story.see("all made again", story.of_variant("backtest"))

        story.deliver(first)
        story.see("corrected back", story.of_sessions("minutes"), stale=False)
        yield story


DAY = str(REVISED)


def test_the_same_bytes_again_are_no_revision(desk: Desk) -> None:
    for name in ("first delivery", "the same bytes again"):
        seen = desk.chapters[name]
        assert seen.check is not None and seen.check.passed
        assert (seen.rung, seen.used.versions) == ([], 1)
    assert desk.chapters["first delivery"].stale == set()
    assert desk.chapters["the same bytes again"].outcome.published == {}


def test_another_price_is_told_once_with_what_differs_and_what_to_do(desk: Desk) -> None:
    seen = desk.chapters["another price"]
    assert seen.outcome.published == {"m1_raw": 1, "m1_bars": 1, "bar_revisions": 1}, (
        "the session before was not revised"
    )
    assert seen.check is not None and not seen.check.passed and not seen.check.blocking
    assert seen.check.severity is dg.AssetCheckSeverity.WARN
    [alert] = seen.rung
    assert alert["severity"] == "warning"
    assert (alert["figure"], alert["limit"]) == ("1 row of 1 Symbol, prices by up to 231.8 bps", "0 rows")
    assert alert["command"] == f"trading revisions show {DAY}"
    [revision] = seen.check.metadata["revisions"].value
    for part in (
        f"session {DAY} came again with other bars",
        f"commit {revision['commit_before'][:12]} to {revision['commit_after'][:12]}",
        "4 backtests, 1 decision, 4 orders used the old ones",
        f"trading revisions used {DAY}",
    ):
        assert part in alert["what"]
    again = desk.chapters["run again"]
    assert again.check is not None and again.check.passed
    assert again.rung == seen.rung and again.outcome.published == {}


def test_what_was_made_of_the_session_turns_stale_step_by_step_and_nothing_else(desk: Desk) -> None:
    of_minutes = {(name, DAY) for name in ("bar_quality", "m5_bars", "m15_bars", "h1_bars", "d1_bars")}
    # a session's features name its minutes' Symbols
    assert desk.chapters["another price"].stale == of_minutes | {("daily_features", DAY)}
    assert desk.chapters["bars made again"].stale == {("signals", DAY), ("backtest", DAY)}
    assert desk.chapters["signals made again"].stale == {("backtest", DAY)}
    assert desk.chapters["all made again"].stale == set()


def test_users_of_the_old_bars_leave_the_list_when_they_are_made_again_records_stay(desk: Desk) -> None:
    used = desk.chapters["another price"].used
    assert [(one.variant, one.session, one.horizon) for one in used.backtests] == [
        (VARIANT, REVISED, horizon) for horizon in ("1m", "3m", "6m", "1y")
    ]
    [decision] = used.decisions
    assert (decision.variant, decision.session, decision.from_stage) == (VARIANT, REVISED, "paper")
    recorded = Ledger(desk.settings.ledger_url).intents(REVISED, ACCOUNT)
    assert [order.order_ref for order in used.orders] == [intent.order_ref for intent in recorded] != []
    assert {(order.account, order.session) for order in used.orders} == {(ACCOUNT, REVISED)}
    assert {order.state for order in used.orders} <= {"filled", "cancelled"}
    for name in ("run again", "bars made again", "signals made again"):
        assert desk.chapters[name].used == used, name
    after = desk.chapters["all made again"].used
    assert after.backtests == ()
    assert (after.decisions, after.orders) == (used.decisions, used.orders)


def test_what_came_out_the_same_from_the_new_bars_is_known_by_its_events(desk: Desk) -> None:
    assert desk.chapters["signals made again"].outcome.published == {}
    seen = desk.chapters["all made again"]
    assert seen.used.counts["backtests"] == 0
    assert seen.used_by_the_lake_alone.counts["backtests"] == 4, "the commit of the signals names the old bars for ever"


def test_a_correction_back_is_a_revision_and_what_was_made_before_the_fault_is_right_again(desk: Desk) -> None:
    seen = desk.chapters["corrected back"]
    assert seen.check is not None and not seen.check.passed
    assert len(seen.rung) == 2
    assert seen.used.versions == 3
    assert seen.used.counts == {"backtests": 4, "decisions": 0, "orders": 0}


@pytest.fixture
def command(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)

    def run(*arguments: str) -> str:
        ended = CliRunner().invoke(trading, ["revisions", *arguments, "--home", str(desk.home)])
        assert ended.exception is None, ended.output
        return ended.stdout

    return run


def test_the_list_has_the_newest_first_and_can_be_narrowed(command: Callable[..., str]) -> None:
    rows = [json.loads(line) for line in command("--json").splitlines()]
    assert [(row["session"], row["revision"], row["rows_changed"]) for row in rows] == [(DAY, 2, 1), (DAY, 1, 1)]
    assert rows[0]["commit_before"] == rows[1]["commit_after"]
    assert command("--symbol", "SYNA", "--json").count("\n") == 2
    assert command("--symbol", "SYNB").strip() == "no revision that fits"
    assert command("--since", "2100-01-01").strip() == "no revision that fits"
    assert "2 revisions" in command()


def test_show_has_every_value_that_differs_and_the_file_that_brought_it(
    desk: Desk, command: Callable[..., str], tmp_path: Path
) -> None:
    found = json.loads(command("show", DAY, "--json"))
    first, second = found["revisions"]
    assert [(cell["column"], cell["old"], cell["new"]) for cell in first["differences"]] == [
        (cell["column"], cell["new"], cell["old"]) for cell in second["differences"]
    ]
    assert {cell["column"] for cell in first["differences"]} <= {"Close", "High"}
    assert {cell["Symbol"] for cell in first["differences"]} == {"SYNA"}
    digest = hashlib.sha256((desk.home / "data" / "SYNA.parquet").read_bytes()).hexdigest()
    [(name, (before, after))] = first["files"].items()
    assert name.endswith("SYNA.parquet") and before == digest != after
    text = command("show", DAY, "--csv", str(tmp_path / "rows.csv"))
    assert "revision 2 of" in text and digest[:12] in text
    assert pl.read_csv(tmp_path / "rows.csv").height == len(first["differences"]) + len(second["differences"])
    assert "delivered once" in command("show", str(desk.days[0]))


def test_used_names_each_user(desk: Desk, command: Callable[..., str]) -> None:
    assert json.loads(command("used", DAY, "--json")) == desk.chapters["corrected back"].used.as_dict()
    assert f"{VARIANT}  as of {DAY}  1m" in command("used", DAY)
    assert "delivered once" in command("used", str(desk.days[0]))


def test_a_session_without_bars_is_refused_with_a_reason(desk: Desk) -> None:
    ended = CliRunner().invoke(trading, ["revisions", "show", "2001-01-02", "--home", str(desk.home)])
    assert ended.exit_code == 2 and "has no bars in this lake" in ended.output
