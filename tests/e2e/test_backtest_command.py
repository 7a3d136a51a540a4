"""`trading backtest` on a small home: the asset's own artefacts, experiments of one's own, and what is refused."""

import datetime as dt
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml
from harness.home import make_home

from resources.lake import Lake, open_lake
from trading.lab.artefacts import NAMES
from trading.replay import ReplayConfig, ReplayResult, replay
from trading_assets.cli import main
from trading_assets.definitions import build_defs
from trading_assets.settings import CONFIGS, Settings

UPSTREAM = (
    "key:m1_raw or key:m1_bars or key:m5_bars or key:d1_bars or key:daily_features or key:universe",
    "key:signals or key:backtest",
)
RUN = CONFIGS / "runs" / "risk1.yml"
SESSIONS = 4


@dataclass
class Ended:
    status: int
    out: str
    err: str


Trading = Callable[..., Ended]


@dataclass
class Home:
    path: Path
    days: list[dt.date]

    @property
    def lake(self) -> Lake:
        return open_lake(Settings.load(self.path, env={}).lake_uri)

    def asset(self, variant: str, as_of: dt.date) -> dict[str, bytes]:
        """The files of the asset's partition on main."""
        folder = f"backtest/session={as_of}/variant={variant}/"
        paths = [found.path for found in self.lake.list("main", folder)]
        return {path.removeprefix(folder): self.lake.get("main", path) for path in paths}


def end_of(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    return code if isinstance(code, int) else 0


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Bars, universe, signals and backtests of one variant, but for the last session: that has bars and universe."""
    path = tmp_path_factory.mktemp("backtest-command")
    days = make_home(path, sessions=SESSIONS, symbols=3)
    at = ["--home", str(path)]
    assert end_of("materialise", "corporate_actions", *at) == 0
    assert end_of("materialise", UPSTREAM[0], "--from", str(days[0]), "--to", str(days[-1]), *at) == 0
    assert end_of("materialise", UPSTREAM[1], "--from", f"{days[0]}|risk1", "--to", f"{days[-2]}|risk1", *at) == 0
    return Home(path, days)


@pytest.fixture
def trading(home: Home, capsys: pytest.CaptureFixture[str]) -> Trading:
    """Run a command on the home; what it printed, and its status."""

    def call(*arguments: str | Path, at: Path | None = None) -> Ended:
        capsys.readouterr()
        status = end_of(*map(str, arguments), "--home", str(at or home.path))
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return Ended(status, shown.out, " ".join(shown.err.split()))

    return call


def run_file(folder: Path, name: str = "mine", **changes: object) -> Path:
    file = folder / f"{name}.yml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(RUN.read_text()), **changes}))
    return file


@pytest.mark.parametrize("session", [1, 2])
def test_every_file_is_byte_for_byte_that_of_the_asset(
    home: Home, trading: Trading, tmp_path: Path, session: int
) -> None:
    day = home.days[session]
    done = trading("backtest", RUN, "--as-of", str(day), "--out", tmp_path / "out")
    assert done.status == 0, done.err
    assert "the signals are those on main" in done.out
    expected, got = home.asset("risk1", day), content(tmp_path / "out")
    assert set(got) == set(expected) == set(NAMES)
    assert [name for name in NAMES if got[name] != expected[name]] == []
    label = got["label.txt"].decode().strip()
    assert label.startswith("IB · Risk 1% · 10k · fees 2bps · ")
    assert label in done.out


def test_a_session_that_has_no_signals_on_main_is_replayed_and_a_second_run_changes_nothing(
    home: Home, trading: Trading
) -> None:
    done = trading("backtest", RUN)
    assert done.status == 0, done.err
    folder = home.path / "backtests" / "risk1" / str(home.days[-1])
    assert "signals made here" in done.out
    assert f"9 files written to {folder}" in done.out
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest["as_of"] == str(home.days[-1])
    assert set(manifest["inputs"]) == {"m5_bars", "universe", "signals", "corporate_actions"}
    assert manifest["inputs"]["signals"]["rows"] > 0
    assert manifest["inputs"]["m5_bars"]["partitions"] == SESSIONS
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    again = trading("backtest", RUN)
    assert f"9 files as they were in {folder}" in again.out
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_experiment_of_ones_own_needs_no_partition_of_its_own(home: Home, trading: Trading, tmp_path: Path) -> None:
    file = run_file(tmp_path, params={"risk_reward": 1.0})
    done = trading("backtest", file, "--horizon", "3m", "--horizon", "1m", "--out", tmp_path / "out")
    assert done.status == 0, done.err
    metrics = pl.read_parquet(tmp_path / "out" / "data.parquet")
    assert metrics["horizon"].to_list() == ["1m", "3m"]
    assert metrics["variant"].unique().to_list() == ["mine"]
    trades = pl.read_parquet(tmp_path / "out" / "trades.parquet").filter(horizon="3m")
    assert trades.height == metrics["num_trades"][1] > 0
    assert trades.select("currency", "unit").unique().rows() == [("USD", "shares")]
    assert (trades["notional"] == trades["qty"] * trades["entry_price"]).all()
    assert set(home.lake.list_branches()) == {"main"}
    assert not any("variant=mine" in found.path for found in home.lake.list("main", "signals/"))


def test_an_older_commit_gives_what_was_known_then(home: Home, trading: Trading, tmp_path: Path) -> None:
    first = next(
        commit
        for commit in reversed(list(home.lake.log("main", first_parent=True)))
        if commit.metadata.get("asset_key") == "universe"
    )
    done = trading("backtest", RUN, "--at", first.id, "--out", tmp_path / "then")
    assert done.status == 0, done.err
    assert "signals made here" in done.out
    assert json.loads((tmp_path / "then" / "manifest.json").read_bytes())["as_of"] == first.metadata["partition"][-10:]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["nowhere.yml"], 1, "nowhere.yml is missing"),
        (["broken.yml"], 1, "broken.yml is not YAML"),
        (["list.yml"], 1, "list.yml must hold a mapping"),
        (["unknown.yml"], 1, "unknown.yml: variant 'unknown': colour is unknown; the settings are name, label"),
        (["parameter.yml"], 1, "parameter.yml: variant 'parameter', params: atr_perod"),
        (["Capital.yml"], 1, "Capital.yml: variant 'Capital': name"),
        (["universe.yml"], 1, "has no universe 'nobody'; there are demo"),
        (["."], 1, "is a folder; give a run file, such as configs/runs/risk1.yml"),
        ([str(RUN), "--as-of", "2023-10-07"], 1, "2023-10-07 is no session of XNYS; the nearest are 2023-10-06 and 2023-10-09"),
        ([str(RUN), "--as-of", "2023-12-29"], 1, "m5_bars of that session is not at commit"),
        ([str(RUN), "--as-of", "yesterday"], 2, "Invalid value for '--as-of'"),
        ([str(RUN), "--horizon", "2m"], 2, "'2m' is not one of '1m', '3m', '6m', '1y'"),
        ([str(RUN), "--at", "nothing"], 1, "nothing"),
        ([str(RUN), "--out", "notes"], 1, "notes holds todo.txt"),
        ([], 2, "Missing argument 'RUN_FILE'"),
    ],
)  # fmt: skip
def test_bad_input_is_told_with_what_would_be_right(
    trading: Trading,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.yml").write_text("strategy: [")
    Path("list.yml").write_text("- strategy")
    run_file(Path(), "unknown", colour="red")
    run_file(Path(), "parameter", params={"atr_perod": 3})
    run_file(Path(), "Capital")
    run_file(Path(), "universe", universe="nobody")
    Path("notes").mkdir()
    Path("notes/todo.txt").write_text("mine")
    done = trading("backtest", *arguments)
    assert (done.status, said in done.err) == (status, True), done.err
    assert [path.name for path in Path("notes").iterdir()] == ["todo.txt"]


def test_a_home_without_a_lake_bars_or_a_universe_says_what_to_make(
    home: Home, trading: Trading, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in ("platform.yaml", "universes"):
        found = home.path / name
        (shutil.copytree if found.is_dir() else shutil.copy)(found, empty / name)
    assert "there is no lake at" in trading("backtest", RUN, at=empty).err
    root = next(reversed(list(home.lake.log("main", first_parent=True))))
    no_bars = trading("backtest", RUN, "--at", root.id)
    assert (no_bars.status, "there are no m5_bars at commit" in no_bars.err) == (1, True), no_bars.err
    bars = next(
        commit
        for commit in reversed(list(home.lake.log("main", first_parent=True)))
        if commit.metadata.get("asset_key") == "m5_bars"
    )
    no_universe = trading("backtest", RUN, "--at", bars.id)
    assert "key:daily_features or key:universe" in no_universe.err


def test_vectorbt_trades_the_same_and_adds_its_statistics(home: Home, trading: Trading, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    plain = trading("backtest", RUN, "--as-of", str(home.days[2]), "--out", folder)
    done = trading("backtest", RUN, "--as-of", str(home.days[2]), "--out", folder, "--vectorbt")
    assert (plain.status, done.status) == (0, 0), done.err
    assert "vectorbt trades the same: " in done.out
    files = content(folder)
    assert set(files) == {
        *NAMES,
        "parity.json",
        "parity_differences.parquet",
        "vectorbt_stats.json",
        "vectorbt_portfolio.html",
    }
    found = json.loads(files["parity.json"])
    assert set(found) == {"each Symbol and side alone, fixed size", "as configured"}
    for report in found.values():
        assert report["passed"]
        assert report["trades"] > 0
        assert report["replay_pnl"] == pytest.approx(report["vectorbt_pnl"], abs=1e-6)
    metrics = json.loads(files["metrics.json"])["horizons"]["1y"]
    figures = json.loads(files["vectorbt_stats.json"])
    assert figures["End Value"] == pytest.approx(metrics["final_cash"], abs=1e-6)
    assert figures["Total Trades"] == metrics["num_trades"]
    again = trading("backtest", RUN, "--as-of", str(home.days[2]), "--out", folder, "--vectorbt")
    assert "files as they were in" in again.out  # the same bytes


def test_a_trade_that_vectorbt_does_not_confirm_ends_the_command_with_an_error(
    home: Home, trading: Trading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the replay had been given other costs than vectorbt."""

    def dearer(bars: Any, signals: Any, config: ReplayConfig, instruments: Any) -> ReplayResult:
        costs = config.costs.model_copy(update={"fees_bps": 9.0})
        return replay(bars, signals, config.model_copy(update={"costs": costs}), instruments)

    monkeypatch.setattr("trading.lab.parity.replay", dearer)
    done = trading("backtest", RUN, "--as-of", str(home.days[2]), "--out", tmp_path / "out", "--vectorbt")
    assert done.status == 1
    assert "vectorbt trades otherwise: " in done.out
    rows = pl.read_parquet(tmp_path / "out" / "parity_differences.parquet")
    assert set(rows["found"]) == {"fees, pnl"}


def test_the_parity_check_runs_in_its_own_job_alone(home: Home) -> None:
    defs = build_defs(Settings.load(home.path, env={}))
    with dg.DagsterInstance.ephemeral() as instance:
        done = defs.resolve_job_def("parity_job").execute_in_process(instance=instance)
    (check,) = done.get_asset_check_evaluations()
    assert check.check_name == "parity"
    assert check.asset_key == dg.AssetKey("engine_parity")
    assert check.passed, check.description
    assert not check.blocking
    assert "trades of 1 variants are the same" in (check.description or "")
    research = {node.name for node in defs.resolve_job_def("research_job").nodes}
    assert "backtest" in research
    assert "engine_parity" not in research
