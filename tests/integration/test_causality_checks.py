"""A variant that looks ahead, in a run beside an honest one: its own check says so, and it never leaves experiment."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml
from harness.home import make_home

from resources.configurable import ClockResource
from resources.ledger import Ledger
from sensors.alerts import alerts_of_run
from trading.strategies import LEVELS, Params, Strategy, get_strategy, registry, with_targets
from trading_assets.definitions import build_defs
from trading_assets.runs import RunOutcome, local_instance, run_job
from trading_assets.settings import CONFIGS, Settings


class Peeks(Strategy[Params]):
    """Buys above a bar's High where the next bar closes higher."""

    name = "peeks"
    short_name = "PK"
    timeframes = ("5m",)
    parameters = Params

    def warmup(self, params: Params) -> int:
        return 0

    def compute(self, bars: pl.DataFrame, params: Params, instruments: Any) -> pl.DataFrame:
        ahead = pl.col("Close").shift(-1).over("Symbol") > pl.col("Close")
        none = pl.lit(None, pl.Float64)
        setups = bars.filter(ahead).with_columns(
            long_entry=pl.col("High"), sl_long=pl.col("Low"), short_entry=none, sl_short=none
        )
        return with_targets(setups, 2.0).select("Symbol", "Timestamp", *LEVELS)


@dataclass
class Desk:
    settings: Settings
    instance: dg.DagsterInstance
    sessions: list[str]

    def run(self, job: str, *variants: str) -> RunOutcome:
        first, last = (
            (f"{day}|{variant}" for day, variant in zip((self.sessions[0], self.sessions[-1]), variants, strict=True))
            if variants
            else (self.sessions[0], self.sessions[-1])
        )
        return run_job(build_defs(self.settings).resolve_job_def(job), self.instance, first, last)

    def checks(self, run_id: str) -> Mapping[str, dg.AssetCheckEvaluation]:
        logged = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        found = [entry.get_dagster_event().asset_check_evaluation_data for entry in logged]
        return {one.check_name: one for one in found if one.check_name.startswith("causality")}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("causality")
    configs = folder / "configs"
    shutil.copytree(CONFIGS, configs)
    for old in (configs / "runs").iterdir():
        old.unlink()
    (configs / "runs" / "a-cheat.yml").write_text("strategy: peeks\n")
    (configs / "runs" / "honest.yml").write_text("strategy: marubozu_breakout\nparams: {min_body_ratio: 0.7}\n")
    account = configs / "accounts" / "paper.yml"
    account.write_text(
        yaml.safe_dump({**yaml.safe_load(account.read_text()), "variants": {"a-cheat": {"capital": 10000}}})
    )
    (folder / "home").mkdir()
    sessions = make_home(folder / "home", sessions=2)
    settings = Settings.load(folder / "home", env={"TRADING_CONFIGS": str(configs)})
    with pytest.MonkeyPatch.context() as patch:
        points = [EntryPoint("peeks", f"{__name__}:Peeks", registry.GROUP)]
        patch.setattr(registry, "entry_points", lambda group: points)
        get_strategy.cache_clear()
        with local_instance(settings) as instance:
            desk = Desk(settings, instance, [day.isoformat() for day in sessions])
            assert desk.run("market_data_job").success
            yield desk
    get_strategy.cache_clear()


def test_each_variant_has_a_check_of_its_own_that_blocks(desk: Desk) -> None:
    run = desk.run("research_job", "a-cheat", "honest")
    checks = desk.checks(run.run_id)
    assert sorted(checks) == ["causality_a__cheat", "causality_honest"]
    assert checks["causality_honest"].passed
    assert str(checks["causality_honest"].description).startswith("no look-ahead found in ")
    failed = checks["causality_a__cheat"]
    assert not failed.passed and failed.severity is dg.AssetCheckSeverity.ERROR
    metadata = {name: value.value for name, value in failed.metadata.items()}
    assert "signal of SYN" in str(metadata["first_breach"]) and "over all bars" in str(metadata["first_breach"])
    assert metadata["bars"] == f"m5_bars of 3 Symbols, 2 sessions to {desk.sessions[-1]}"
    assert not run.success
    assert "backtest" not in run.published  # nothing downstream was made


def test_the_person_on_call_reads_what_broke_where_and_what_to_do(desk: Desk) -> None:
    run = desk.run("research_job", "a-cheat", "a-cheat")
    dagster_run = desk.instance.get_run_by_id(run.run_id)
    assert dagster_run is not None
    (alert,) = alerts_of_run(desk.instance, dagster_run, "http://ui", ClockResource(fixed="2024-01-02T22:00:00+00:00"))
    assert alert.title == "Check causality_a__cheat failed on signals"
    assert alert.what.startswith("variant a-cheat: strategy peeks looks ahead: ")
    assert "signal of SYN" in alert.what
    assert (alert.severity, alert.limit) == ("error", "0")
    assert alert.command.startswith("trading kill variant:a-cheat --by NAME --reason 'looks ahead'")
    assert "trading strategy check a-cheat" in alert.command


def test_an_honest_variant_goes_on_by_itself_and_shows_its_parameters(desk: Desk) -> None:
    run = desk.run("research_job", "honest", "honest")
    assert run.success and sorted(desk.checks(run.run_id)) == ["causality_honest"]
    assert run.published["backtest"] == 2
    event = desk.instance.get_latest_materialization_event(dg.AssetKey("signals"))
    assert event is not None and event.asset_materialization is not None
    shown = str(event.asset_materialization.metadata["parameters"].value)
    assert "| min_body_ratio | **0.7** | 0.9 | float >= 0 and <= 1 | least share of the bar's range" in shown
    assert "| risk_reward | 2.0 | 2.0 | float > 0 |" in shown


def test_a_backtest_that_went_round_the_check_ends_at_its_gate(desk: Desk) -> None:
    defs = build_defs(desk.settings)
    alone = dg.define_asset_job("alone", selection="key:backtest", executor_def=dg.in_process_executor)
    job = dg.Definitions.merge(defs, dg.Definitions(jobs=[alone])).resolve_job_def("alone")
    first, last = (f"{day}|a-cheat" for day in (desk.sessions[0], desk.sessions[-1]))
    assert run_job(job, desk.instance, first, last).published == {"backtest": 2}
    assert desk.run("promotion_job", "a-cheat", "a-cheat").success
    decisions = Ledger(desk.settings.ledger_url).decisions("a-cheat")
    assert {decision.to_stage for decision in decisions} == {"experiment"}
    gates = [gate for gate in decisions[-1].content["gates"] if gate["name"] == "causality"]
    assert [gate["status"] for gate in gates] == ["fail"]
