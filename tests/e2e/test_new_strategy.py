"""From nothing to a backtest of one's own strategy, by the commands that `trading strategy new` gives, without a network."""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import dagster as dg
import pytest
from harness.home import make_home
from harness.processes import BIN, ROOT, clean_environment

from resources.lake import open_lake
from resources.lake.reading import Snapshot
from trading_assets.runs import local_instance
from trading_assets.settings import CONFIGS, Settings

pytestmark = pytest.mark.slow

_TRADING = "from trading_assets.cli import main; main()"


class Desk:
    """A working folder with an environment on top of this one, so that nothing is installed beside the other tests."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.configs = folder, folder / "home", folder / "configs"
        shutil.copytree(CONFIGS, self.configs)
        self.environment = clean_environment(
            TRADING_HOME=str(self.home),
            TRADING_CONFIGS=str(self.configs),
            UV_OFFLINE="1",
            UV_CACHE_DIR=str(folder / "cache"),
        )
        self.shell(f"{ROOT / '.tools' / 'uv'} venv --quiet --python {BIN / 'python'} .venv")
        (site,) = (folder / ".venv" / "lib").glob("python*/site-packages")
        (site / "platform.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
        for name, code in (("trading", _TRADING), ("pytest", "import sys, pytest; sys.exit(pytest.main())")):
            script = folder / ".venv" / "bin" / name
            script.write_text(f"#!{folder / '.venv' / 'bin' / 'python'}\n{code}\n")
            script.chmod(0o755)

    def shell(self, command: str) -> str:
        done = subprocess.run(
            command, shell=True, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.mark.timeout(280)
def test_ten_minutes_from_nothing_to_an_own_strategy(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.home.mkdir()
    first, *_, last = (day.isoformat() for day in make_home(desk.home, sessions=2, symbols=2))
    desk.shell(
        f".venv/bin/trading materialise 'group:market_data or group:bars or group:features' --from {first} --to {last}"
    )

    told = desk.shell(".venv/bin/trading strategy new gap_fade")
    readme = (tmp_path / "gap_fade" / "README.md").read_text()
    block = re.search(r"^```\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert block is not None
    install, test, listed, copy, check, ui = block[1].splitlines()
    assert all(command in told for command in (install, test, listed, copy, check, ui))
    assert ui == ".venv/bin/trading ui"

    desk.shell(install)
    assert "2 passed" in desk.shell(f"{test} -p no:cacheprovider")
    shown = desk.shell(listed)
    assert "gap_fade (5m, 15m, 1h, 1d)" in shown
    assert re.search(r"lookback +int >= 1 and <= 500 +20 +bars before this one", shown)
    desk.shell(copy)
    checked = desk.shell(check)
    assert "gap_fade with its defaults on 5m, on m5_bars of 2 Symbols, 2 sessions to" in checked
    assert "variant gap_fade (gap_fade) on 5m" in checked
    assert checked.count("no look-ahead found in ") == 2

    made = desk.shell(
        f".venv/bin/trading materialise 'group:signals or group:backtests' --from '{first}|gap_fade' --to '{last}|gap_fade'"
    )
    assert made.splitlines() == ["backtest: 2 published, 0 unchanged", "signals: 2 published, 0 unchanged"]
    settings = Settings.load(desk.home, env={})
    lake = open_lake(settings.lake_uri)
    backtest = Snapshot(lake, lake.resolve("main@")).frame("backtest", {"session": last, "variant": "gap_fade"})
    assert backtest["num_trades"].max() > 0
    with local_instance(settings) as instance:  # what the pages of the UI are made of
        event = instance.get_latest_materialization_event(dg.AssetKey("signals"))
        (evaluated,) = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey("signals"), "causality_gap_fade"), limit=1
        )
    assert event is not None and event.asset_materialization is not None
    assert event.asset_materialization.partition == f"{last}|gap_fade"
    parameters = str(event.asset_materialization.metadata["parameters"].value)
    assert "| lookback | 20 | 20 | int >= 1 and <= 500 | bars before this one" in parameters
    assert evaluated.event is not None
    assert evaluated.event.dagster_event.asset_check_evaluation_data.passed  # type: ignore[union-attr]
