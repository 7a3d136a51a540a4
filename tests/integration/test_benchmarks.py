"""The benchmarks run, say what they skip, and the page in the documentation has the rows they print."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.bars.report import Backfill
from benchmarks.bars.report import as_markdown as bars_as_markdown
from benchmarks.bars.report import claims as bars_claims
from benchmarks.bars.resampling import Measured
from benchmarks.bars.ways import DUCKDB, OURS, PANDAS, READING, WAYS
from benchmarks.lake.claims import Claim
from benchmarks.lake.report import as_markdown
from benchmarks.lake.results import Results
from benchmarks.orders.kill import stop_once
from benchmarks.orders.report import as_markdown as orders_as_markdown
from benchmarks.replay import ways as replay_ways
from benchmarks.replay.comparison import Measured as Taken
from benchmarks.replay.comparison import check
from benchmarks.replay.report import Table
from benchmarks.replay.report import as_markdown as replay_as_markdown
from benchmarks.replay.report import claims as replay_claims

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "benchmarks.md"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A quick run of the lake and plain files, with git asked for where there is none."""
    directory = tmp_path_factory.mktemp("benchmark")
    nothing = tmp_path_factory.mktemp("nothing")
    arguments = ["--quick", "--markdown", "--peers", "plain", "git", "--directory", str(directory)]
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.lake", *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": str(nothing)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return result, directory


def rows(markdown: str) -> dict[str, list[str]]:
    """Cells by the first cell of each line, with sizes and counts left out of that."""
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in markdown.splitlines() if "|" in line]
    return {re.sub(r"\d[\d,.]*(?<=\d)( [KM]B)?", "N", row[0]): row[1:] for row in cells}


def test_every_work_is_measured(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    result, _ = run
    assert result.returncode == 0, result.stderr
    works = {title: cells for title, cells in rows(result.stdout).items() if title.endswith("(n=N)")}
    assert len(works) == 13
    for title, (ours, *_) in works.items():
        assert float(ours.replace(",", "")) > 0, title
    _, plain = works["publish N partition, N (n=N)"]
    assert re.fullmatch(r"[\d.,]+ \([\d.,]+x\)", plain)
    claims = [cells for cells in rows(result.stdout).values() if cells[-1] in ("met", "NOT MET")]
    assert len(claims) == 7


def test_a_peer_that_is_not_there_is_told(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    result, _ = run
    assert "git skipped" in result.stderr
    assert "| median, ms | lake | plain files |" in result.stdout


def test_nothing_is_left_behind(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    _, directory = run
    assert list(directory.iterdir()) == []


def test_the_page_has_the_rows_that_are_printed(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    result, _ = run
    page = rows(PAGE.read_text(encoding="utf-8"))
    assert [title for title in rows(result.stdout) if title not in page] == []


def test_the_fastest_way_of_a_peer_is_compared_and_a_missed_limit_is_told() -> None:
    results = Results()
    results.add("work", "peer", "slow way", [90.0, 80.0, 70.0])
    results.add("work", "peer", "fast way", [20.0], at_least=True)
    results.add("work", "lake", "", [3.0, 50.0, 4.0])
    claims = [
        Claim("in time", "2 ms", figure=2.0, limit=2.0, limit_text="2 ms"),
        Claim("late", "3 ms", figure=3.0, limit=2.0, limit_text="2 ms"),
    ]
    lines = as_markdown(results, claims, "a machine").splitlines()
    assert "| median, ms | lake | peer |" in lines
    assert "| work (n=3) | 4.00 | ≥ 20.0 (5.0x) |" in lines
    assert "- peer, work: fast way ≥ 20.0 ms (n=1); slow way 80.0 ms (n=3)" in lines
    assert "| in time | 2 ms | 2 ms | met |" in lines
    assert "| late | 2 ms | 3 ms | NOT MET |" in lines


@pytest.fixture(scope="module")
def bars_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A quick run of every way of resampling, which compares what they came to."""
    directory = tmp_path_factory.mktemp("bars")
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.bars", "--quick", "--parts", "resampling", "--directory", str(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return result, directory


def test_every_way_comes_to_the_same_bars(bars_run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    result, directory = bars_run
    assert result.returncode == 0, result.stderr
    printed = rows(result.stdout)
    assert [f"{way} (n=N)" for way in WAYS if f"{way} (n=N)" not in printed] == []
    assert list(directory.iterdir()) == []
    page = rows(PAGE.read_text(encoding="utf-8"))
    assert [title for title in printed if "usual ways" not in title and title not in page] == []


def test_claims_about_bars_are_against_the_fastest_peer_and_the_bare_computation() -> None:
    found = {
        OURS: Measured([4.0, 3.0, 9.0], [6.0, 6.0, 6.0], [1e9, 2.1e9, 1e9]),
        READING: Measured([2.0], [2.0], [1e9]),
        PANDAS: Measured([90.0], [90.0], [1e9]),
        DUCKDB: Measured([7.0], [14.0], [1e9]),
    }
    backfill = Backfill((30.0, 50.0, 1e9), (90.0, 100.0, 1e9), 100, 600, 40.0, 30.0)
    claimed = bars_claims(found, backfill)
    assert [(claim.claim, claim.holds) for claim in claimed] == [
        ("M1 to M5 against the usual ways, the fastest of them (DuckDB time_bucket)", False),  # 7 s against 4 s
        ("M1 to M5 against reading alone", True),
        ("peak memory of M1 to M5", False),
        ("publish, checks and metadata of a backfill, over the bare computation", True),  # (100 - 30 - 50) / 50
    ]
    lines = bars_as_markdown("a machine", 8000, found, backfill, claimed).splitlines()
    assert "| DuckDB time_bucket (n=1) | 7.0 | 1.75x | 1,143 | 14.0 | 1,000 MB |" in lines
    told = "100 partitions were published; Dagster stored 600 events, 66.7 ms each, 50.0 ms of it processor time."
    assert told in lines


@pytest.fixture(scope="module")
def replay_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A quick run of the replay, of vectorbt by the same rules, and of nautilus_trader where there is none."""
    directory = tmp_path_factory.mktemp("replay")
    result = subprocess.run(
        [
            *[sys.executable, "-m", "benchmarks.replay", "--quick", "--directory", str(directory)],
            *[
                *("--parts", "brackets", "sweep", "--nautilus"),
                str(directory / "nothing"),
                "--ways",
                replay_ways.OURS,
                replay_ways.ORDERS,
                replay_ways.NAUTILUS,
            ],
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return result, directory


def test_the_replay_and_vectorbt_come_to_the_same_trades(
    replay_run: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    result, directory = replay_run
    assert result.returncode == 0, result.stderr
    assert "nautilus_trader skipped: there is no" in result.stderr
    printed = rows(result.stdout)
    brackets = rows(result.stdout.partition("### A sweep")[0])
    ours, theirs = (int(brackets[f"{way} (n=N)"][-1]) for way in replay_ways.SAME_RULES)
    assert ours == theirs > 0
    claimed = [cells for cells in printed.values() if cells[-1] in ("met", "NOT MET")]
    assert len(claimed) == 3  # no engine of vectorbt has done the sweep
    assert list(directory.iterdir()) == []
    page = rows(PAGE.read_text(encoding="utf-8"))
    assert [title for title in printed if title not in page] == []


def taken(seconds: float, trades: int = 7, pnl: float = 1.0, **figures: float) -> Taken:
    return Taken([seconds], [seconds], [2e8], [figures.get("used", 1.0)], [figures.get("cold", 0.0)], 100, trades, pnl)


def test_ways_of_the_same_rules_must_come_to_the_same_trades() -> None:
    ours, rust = taken(1.0), taken(1.0, trades=8)
    check({replay_ways.OURS: ours, replay_ways.ORDERS: taken(2.0), replay_ways.RUST: rust})
    for other in (taken(2.0, trades=8), taken(2.0, pnl=1.01)):
        with pytest.raises(RuntimeError, match=r"from_order_func came to \d trades .* trading_assets to 7"):
            check({replay_ways.OURS: ours, replay_ways.ORDERS: other})


def test_claims_about_the_replay_are_against_vectorbts_fastest_engine() -> None:
    single = {
        replay_ways.OURS: taken(0.1, used=190.0, cold=1.2),
        replay_ways.RUST: taken(0.9),
        replay_ways.NUMBA: taken(0.7),
        replay_ways.BACKTESTING: taken(0.2),
    }
    swept = {replay_ways.OURS: taken(0.1), replay_ways.RUST: taken(4.0)}
    tables = {"brackets": Table("one", 1_000_000, single), "sweep": Table("many", 2_000_000, swept)}
    claimed = replay_claims(tables)
    assert [(claim.found, claim.holds) for claim in claimed] == [
        ("100.0 ms against 700.0 ms (vectorbt from_signals, numba), 7.0 times as fast", False),
        ("0 MB for 0 MB, 1.9 times", True),
        ("1.20 s", False),
        ("100.0 ms against 4.00 s (vectorbt from_signals, Rust), 40.0 times as fast", True),
    ]
    lines = replay_as_markdown("a machine", tables, claimed).splitlines()
    assert "| vectorbt from_signals, Rust (n=1) | 900.0 ms | 900.0 | 9.0x | 900.0 ms | 200 MB | 7 |" in lines


def test_a_loss_cancels_every_order_and_the_page_has_the_rows(tmp_path: Path) -> None:
    table = orders_as_markdown("about", 5, [stop_once(tmp_path / "round", 5)], 1.0)
    parts = rows(table)
    assert set(parts) - {"part", "---"} <= set(rows(PAGE.read_text(encoding="utf-8"))) | {
        title for title in parts if title.startswith("from the breaching fill")
    }
    assert any(title.startswith("from the breaching fill") for title in rows(PAGE.read_text(encoding="utf-8")))
