"""A sweep on the lake of a home: by command and as an asset, the same bytes; and what decisions make of it."""

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from click.testing import CliRunner, Result
from harness.home import make_home

from resources.lake import open_lake
from resources.lake.publish import Publisher
from resources.lake.reading import Snapshot
from resources.ledger import Ledger
from trading.bars import assemble_m1, resample
from trading.errors import ConfigError
from trading.synthetic import SyntheticMarket
from trading_assets.cli import trading
from trading_assets.configured import variant as load_variant
from trading_assets.definitions import build_defs
from trading_assets.history import History
from trading_assets.promotion import DecisionDesk
from trading_assets.runs import RunOutcome, local_instance, run_job
from trading_assets.settings import CONFIGS, Settings

SWEEP = """
variant: risk1
params:
  risk_reward: [1.0, 2.0, 3.0]
  max_setups_per_window: [1, 2]
walk_forward: {train: 5, test: 2}
cscv: {blocks: 4}
monte_carlo: {runs: 100}
"""
FILES = {
    "heatmap.png",
    "manifest.json",
    "report.txt",
    "robustness.json",
    "session_returns.parquet",
    "walk_forward.parquet",
    "walk_forward_returns.parquet",
}


@dataclass
class Desk:
    settings: Settings
    sessions: list[dt.date]

    @property
    def last(self) -> dt.date:
        return self.sessions[-1]

    @property
    def snapshot(self) -> Snapshot:
        lake = open_lake(self.settings.lake_uri)
        return Snapshot(lake, lake.resolve("main@"))

    def trading(self, *arguments: str) -> Result:
        home = ("--home", str(self.settings.home))
        return CliRunner().invoke(trading, [*arguments, *home], env={"TRADING_CONFIGS": str(self.settings.configs)})

    def materialise(self, asset: str, first: str, last: str) -> tuple[RunOutcome, list[dg.AssetCheckEvaluation]]:
        job = dg.define_asset_job("these", selection=f'key:"{asset}"', executor_def=dg.in_process_executor)
        resolved = dg.Definitions.merge(build_defs(self.settings), dg.Definitions(jobs=[job])).resolve_job_def("these")
        with local_instance(self.settings) as instance:
            outcome = run_job(resolved, instance, first, last)
            events = instance.all_logs(outcome.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        return outcome, [event.dagster_event.asset_check_evaluation_data for event in events if event.dagster_event]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Bars and universe of twelve sessions on main, as the chain would have put them there."""
    folder = tmp_path_factory.mktemp("sweep")
    home, configs = folder / "home", folder / "configs"
    sessions = make_home(home, sessions=12, symbols=2)
    shutil.copytree(CONFIGS, configs)
    shutil.rmtree(configs / "sweeps")
    (configs / "sweeps").mkdir()
    (configs / "sweeps" / "small.yml").write_text(SWEEP)
    settings = Settings.load(home, env={"TRADING_CONFIGS": str(configs)})
    market = SyntheticMarket(seed=7, symbols=2, sessions=12)
    raw = pl.concat(frame.with_columns(Symbol=pl.lit(symbol)) for symbol, frame in market.frames())
    columns = ["Symbol", "Timestamp", "Open", "High", "Low", "Close", "Volume"]
    bars = resample(assemble_m1([raw.select(columns)]).bars, "5m", policy="keep")
    made_at = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    publisher = Publisher(open_lake(settings.lake_uri), run_id="before", code_version="1", clock=lambda: made_at)
    for session in sessions:
        of_session = bars.filter(pl.col("session") == session)
        symbols = of_session.select("Symbol", "session").unique().sort("Symbol")
        for dataset, frame in (("m5_bars", of_session), ("universe", symbols.with_columns(admitted=True))):
            publisher.publish(dataset, {"session": session.isoformat()}, frame, audit=None, inputs={})
    yield Desk(settings, sessions)


@pytest.fixture(scope="module")
def written(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("out")
    result = desk.trading("sweep", str(desk.settings.configs / "sweeps" / "small.yml"), "--out", str(out))
    assert result.exit_code == 0, result.output
    return out, result.output


def test_the_command_writes_what_it_found_and_says_it(desk: Desk, written: tuple[Path, str]) -> None:
    out, said = written
    assert {file.name for file in out.iterdir()} == FILES | {"results.parquet"}
    assert f"as of {desk.last}" in said and "SYNTHETIC" in said
    assert f"to publish it: trading materialise sweep --partition '{desk.last}|small'" in said
    results = pl.read_parquet(out / "results.parquet")
    assert results.height == 6 and results["num_trades"].min() > 5
    returns = pl.read_parquet(out / "session_returns.parquet")
    assert returns.height == 6 * 12
    assert (out / "heatmap.png").read_bytes().startswith(b"\x89PNG")
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["inputs"]["m5_bars"]["partitions"] == 12 and manifest["seed"] == 7
    assert manifest["sweep"]["params"]["risk_reward"]["choice"] == [1.0, 2.0, 3.0]
    assert (out / "report.txt").read_text() in said


def test_again_and_as_an_asset_it_is_the_same_bytes(desk: Desk, written: tuple[Path, str], tmp_path: Path) -> None:
    out, _ = written
    again = desk.trading("sweep", str(desk.settings.configs / "sweeps" / "small.yml"), "--out", str(tmp_path))
    assert again.exit_code == 0, again.output
    key = f"{desk.last}|small"
    outcome, checks = desk.materialise("sweep", key, key)
    assert outcome.success and outcome.published == {"sweep": 1}, outcome.failures
    partition = {"session": desk.last.isoformat(), "sweep": "small"}
    for file in out.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name
        in_lake = "data.parquet" if file.name == "results.parquet" else file.name
        assert desk.snapshot.content("sweep", partition, in_lake) == file.read_bytes(), file.name
    by_name = {check.check_name: check for check in checks}
    assert by_name["contract"].passed
    findings = json.loads((out / "robustness.json").read_text())
    for name, value in (
        ("overfitting", findings["overfitting"]["pbo"]),
        ("deflated_sharpe", findings["best"]["sharpe"]["deflated"]),
    ):
        check = by_name[name]
        assert check.severity is dg.AssetCheckSeverity.WARN
        assert f"{value:.3f}, limit" in str(check.description)
        assert check.passed == (value <= 0.2 if name == "overfitting" else value >= 0.95)
    outcome, _ = desk.materialise("sweep", key, key)
    assert outcome.unchanged == {"sweep": 1} and not outcome.published


def test_the_variants_own_set_is_its_backtest(desk: Desk, written: tuple[Path, str]) -> None:
    """Published signals and swept ones, the backtest's replay and the sweep's: one and the same figures."""
    first, last = f"{desk.sessions[0]}|risk1", f"{desk.last}|risk1"
    assert desk.materialise("signals", first, last)[0].success
    assert desk.materialise("backtest", last, last)[0].success
    backtest = desk.snapshot.frame("backtest", {"session": desk.last.isoformat(), "variant": "risk1"}).row(
        -1, named=True
    )
    own = json.loads((written[0] / "robustness.json").read_text())["base"]["metrics"]
    assert backtest["num_trades"] > 20
    assert own == pytest.approx({name: backtest[name] for name in own})


def test_a_decision_reads_the_sweep_of_its_very_variant(desk: Desk, written: tuple[Path, str]) -> None:
    """Runs after the asset and the backtest above are on main."""
    findings = json.loads((written[0] / "robustness.json").read_text())
    now = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)
    desk_of_decisions = DecisionDesk(desk.settings, History(desk.snapshot), Ledger(desk.settings.ledger_url), now)
    variant = load_variant(desk.settings, "risk1")
    evidence = desk_of_decisions.evidence(variant, desk.last, [])
    found = evidence.robustness
    assert found.pbo == findings["overfitting"]["pbo"]
    assert found.deflated_sharpe == findings["base"]["sharpe"]["deflated"]
    assert found.trials == findings["base"]["sharpe"]["trials"]
    assert found.neighbourhood == findings["base"]["stability"]["earning"]
    assert found.fill_order_expectancy == findings["base"]["fill_order"]["worst_expectancy"] is not None
    assert found.walk_forward_expectancy == findings["walk_forward"]["expectancy"]
    pins: Any = evidence.commits["sweep"]
    assert pins["sweep"] == "small" and pins["session"] == desk.last.isoformat()
    assert desk.snapshot.lake.get_commit(pins["commit"]).metadata["asset_key"] == "sweep"
    sweeps = desk_of_decisions._sweeps
    assert sweeps.of(variant, desk.sessions[-2]) is None, "a sweep as of a later session does not exist yet"
    assert sweeps.of(load_variant(desk.settings, "fixed1"), desk.last) is None, "other sizing is another variant"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("variant: risk1\n", "params and replay name no axis"),
        ("variant: nobody\nparams: {risk_reward: [1.0]}\n", "has no nobody.yml; there are: fixed1"),
        (
            "variant: risk1\nparams: {risk_reward: 2.0}\n",
            "params.risk_reward: Value error, an axis is a list of values",
        ),
        ("variant: risk1\nparams: {risk_reward: [-1.0]}\n", "set 0 (params.risk_reward=-1.0)"),
        ("variant: risk1\nparams: {risk_reward: [1.0]}\nmax_set: 3\n", "max_set: Extra inputs are not permitted"),
    ],
)
def test_wrong_files_are_told_what_is_right(desk: Desk, tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "wrong.yml"
    file.write_text(content)
    result = desk.trading("sweep", str(file))
    assert isinstance(result.exception, ConfigError)
    assert says in str(result.exception)


def test_a_session_that_is_not_there_is_refused(desk: Desk) -> None:
    result = desk.trading("sweep", str(desk.settings.configs / "sweeps" / "small.yml"), "--as-of", "2023-09-01")
    assert "--as-of 2023-09-01: m5_bars of that session is not at commit" in str(result.exception)


def test_an_installation_without_sweeps_has_no_such_asset(desk: Desk, tmp_path: Path) -> None:
    configs = tmp_path / "configs"
    shutil.copytree(desk.settings.configs, configs)
    shutil.rmtree(configs / "sweeps")
    settings = Settings.load(desk.settings.home, env={"TRADING_CONFIGS": str(configs)})
    keys = {key.to_user_string() for key in build_defs(settings).resolve_asset_graph().get_all_asset_keys()}
    assert "sweep" not in keys and "promotion_decision" in keys
