"""The floors: imports go down only, the domain is pure, and heavy packages wait until they are used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FLOORS = ["trading", "resources", "jobs", "sensors", "trading_assets"]  # each may import those before it
HEAVY = [
    "great_expectations",
    "vectorbt",
    "pandera",
    "dagster_postgres",
    "matplotlib",
    "numba",
    "ib_insync",
    "lakefs_sdk",
    "slack_sdk",
    "exchange_calendars",
    "pandas",
    "scipy",
]


def imported_roots(file: Path) -> set[str]:
    roots: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            roots.add(node.module.split(".")[0])
    return roots


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_go_down_only(floor: str) -> None:
    above = set(FLOORS[FLOORS.index(floor) + 1 :])
    files = list((ROOT / floor).rglob("*.py"))
    assert files
    offenders = {
        str(file.relative_to(ROOT)): sorted(imported_roots(file) & above)
        for file in files
        if imported_roots(file) & above
    }
    assert not offenders


def test_the_domain_knows_neither_dagster_nor_the_outside() -> None:
    banned = {
        "dagster",
        "os",
        "socket",
        "subprocess",
        "urllib",
        "http",
        "requests",
        "sqlite3",
        "sqlalchemy",
        "time",
    }
    offenders = {
        str(file.relative_to(ROOT)): sorted(imported_roots(file) & banned)
        for file in (ROOT / "trading").rglob("*.py")
        if imported_roots(file) & banned
    }
    assert not offenders


def test_the_domain_has_no_clock_of_its_own() -> None:
    calls = ("datetime.now(", "datetime.utcnow(", "date.today(", "time.time(", "datetime.today(")
    offenders = [
        f"{file.relative_to(ROOT)}: {call}"
        for file in (ROOT / "trading").rglob("*.py")
        for call in calls
        if call in file.read_text(encoding="utf-8")
    ]
    assert not offenders


def test_loading_the_code_location_imports_no_heavy_package(tmp_path: Path) -> None:
    code = (
        "import sys, trading_assets.definitions\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(','.join(heavy))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "TRADING_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert result.stdout.strip() == ""


def test_loading_the_code_location_gives_no_warning(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "default", "-c", "import trading_assets.definitions"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "TRADING_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    ours = [line for line in result.stderr.splitlines() if "Warning" in line and "site-packages" not in line]
    assert not ours, result.stderr
