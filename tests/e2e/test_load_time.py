"""Loading the definitions stays near the time that Dagster itself needs, so that every tick, run and command starts quickly."""

import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from harness.home import make_home
from harness.processes import BIN, ROOT, clean_environment

pytestmark = pytest.mark.slow

LIMIT = 1.5
HEAVY = (
    "great_expectations",
    "vectorbt",
    "pandera",
    "dagster_postgres",
    "exchange_calendars",
    "matplotlib",
    "numba",
    "pandas",
    "ib_insync",
    "lakefs_sdk",
    "slack_sdk",
)


def _cpu_seconds(target: list[str], environment: dict[str, str], folder: Path) -> float:
    """Processor time of one `dagster definitions validate`, which other work on the machine does not lengthen."""
    process = subprocess.Popen(
        [str(BIN / "dagster"), "definitions", "validate", "--log-level", "warning", *target],
        env=environment,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    assert process.returncode == 0, said[-3000:]
    return usage.ru_utime + usage.ru_stime


@pytest.mark.timeout(1200)
def test_validating_the_definitions_costs_little_more_than_validating_none(tmp_path: Path) -> None:
    make_home(tmp_path / "home", sessions=2, symbols=1)
    (tmp_path / "dagster").mkdir()
    (tmp_path / "nothing.py").write_text("import dagster as dg\n\ndefs = dg.Definitions()\n")
    environment = clean_environment(TRADING_HOME=str(tmp_path / "home"), DAGSTER_HOME=str(tmp_path / "dagster"))
    ours, nothing = ["-m", "trading_assets.definitions"], ["-f", "nothing.py"]
    _cpu_seconds(ours, environment, tmp_path)  # compiles what has no bytecode yet
    pairs = [[_cpu_seconds(target, environment, tmp_path) for target in (ours, nothing)] for _ in range(3)]
    platform, empty = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert platform <= LIMIT * empty, (
        f"{platform:.2f} s against {empty:.2f} s of processor time, {platform / empty:.2f}x"
    )


def test_loading_imports_none_of_the_heavy_packages(tmp_path: Path) -> None:
    make_home(tmp_path / "home", sessions=2, symbols=1)
    code = (
        "import sys, trading_assets.definitions\n"
        f"print(*sorted(set({HEAVY!r}) & {{name.split('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(TRADING_HOME=str(tmp_path / "home")),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == []
