"""`trading strategy`: what a quant types, and what is answered."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trading.errors import ConfigError
from trading.strategies import LEVELS, Params, Strategy, check_causality, get_strategy, registry, with_targets
from trading.synthetic import synthetic_bars
from trading_assets.cli import main
from trading_assets.settings import CONFIGS
from trading_assets.strategy_template import write_strategy


class RisesNext(Strategy[Params]):
    """Looks one bar ahead."""

    name = "rises_next"
    short_name = "RN"
    timeframes = ("5m",)
    parameters = Params
    ahead = -1

    def warmup(self, params: Params) -> int:
        return 0

    def compute(self, bars: pl.DataFrame, params: Params, instruments: Any) -> pl.DataFrame:
        moved = pl.col("Close").shift(self.ahead).over("Symbol") > pl.col("Close")
        none = pl.lit(None, pl.Float64)
        setups = bars.filter(moved).with_columns(
            long_entry=pl.col("High"), sl_long=pl.col("Low"), short_entry=none, sl_short=none
        )
        return with_targets(setups, 2.0).select("Symbol", "Timestamp", *LEVELS)


class FellBefore(RisesNext):
    """Looks one bar back."""

    name = "fell_before"
    ahead = 1


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    points = [
        EntryPoint("rises_next", f"{__name__}:RisesNext", registry.GROUP),
        EntryPoint("fell_before", f"{__name__}:FellBefore", registry.GROUP),
        EntryPoint("gone", "no_such_package:Gone", registry.GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    get_strategy.cache_clear()
    yield
    get_strategy.cache_clear()


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["strategy", *arguments])
    return int(ended.value.code or 0)


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    """Bars as a stranger has them: no session, and CSV."""
    columns = ["Symbol", "Timestamp", "Open", "High", "Low", "Close", "Volume"]
    file = tmp_path / "bars.csv"
    synthetic_bars("5m", symbols=2, sessions=3).select(columns).write_csv(file)
    return file


def test_a_look_ahead_is_shown_with_its_rows_and_ends_with_status_1(
    installed: None, bars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", "rises_next", "--bars", str(bars), "--home", str(tmp_path)) == 1
    shown = capsys.readouterr().out
    assert f"rises_next with its defaults on 5m, on {pl.read_csv(bars).height} bars of {bars}" in shown
    assert "tried: the same bars twice; everything after 8 cuts hidden, and forged" in shown
    assert "looks ahead: " in shown
    assert shown.count("signal of SYN") == 5 and "over all bars long_entry=" in shown
    assert "... and " in shown


def test_an_honest_one_ends_well(
    installed: None, bars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", "fell_before", "--bars", str(bars), "--home", str(tmp_path)) == 0
    assert "no look-ahead found in " in capsys.readouterr().out


def test_without_bars_a_synthetic_market_is_taken_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "insidebar_breakout", "--home", str(tmp_path)) == 0
    shown = capsys.readouterr().out
    assert "on a synthetic market of 120 sessions, because home" in shown
    assert "insidebar_breakout with its defaults on 1d" in shown
    assert "variant insidebar_breakout (insidebar_breakout) on 1d" in shown  # of configs/runs
    assert not (tmp_path / "lake").exists()


def test_without_a_signal_it_is_inconclusive(
    installed: None, bars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / "few.parquet"
    pl.read_csv(bars, try_parse_dates=True).head(9).write_parquet(few)
    assert run("check", "insidebar_intraday", "--bars", str(few), "--home", str(tmp_path)) == 0
    assert "inconclusive: 0 signals on 9 bars" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda frame: frame.rename({"Close": "close"}), "'close' must be spelled 'Close'"),
        (lambda frame: frame.with_columns(pl.col("Timestamp").dt.replace_time_zone(None)), "naive"),
        (lambda frame: frame.drop("Volume"), "'Volume' is missing"),
    ],
)
def test_wrong_bars_are_an_error_that_says_what_would_be_right(
    bars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Any, says: str
) -> None:
    file = tmp_path / "wrong.parquet"
    make(pl.read_csv(bars, try_parse_dates=True)).write_parquet(file)
    assert run("check", "insidebar_intraday", "--bars", str(file), "--home", str(tmp_path)) == 1
    assert says in capsys.readouterr().err


def test_a_file_of_another_kind_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photo.parquet").write_bytes(b"no bars")
    assert run("check", "risk1", "--bars", str(tmp_path / "photo.parquet"), "--home", str(tmp_path)) == 1
    assert "photo.parquet is neither Parquet nor CSV" in capsys.readouterr().err


def test_an_unknown_name_lists_strategies_and_variants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "nothing", "--home", str(tmp_path)) == 1
    error = capsys.readouterr().err
    assert "no strategy and no variant 'nothing'" in error and "insidebar_intraday" in error and "risk1" in error


def test_all_are_listed_and_a_broken_package_is_named(installed: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 1
    shown = capsys.readouterr()
    assert "marubozu_breakout (5m, 1d): trading.strategies.marubozu.MarubozuBreakout" in shown.out
    row = r"min_body_ratio +float >= 0 and <= 1 +0\.9 +least share of the bar's range that its body is\."
    assert re.search(row, shown.out)
    assert "FellBefore\n  no parameters\n" in shown.out
    assert "'gone' (no_such_package:Gone) cannot be imported" in shown.err
    assert run("list", "gone") == 1
    assert run("list", "marubozu_breakout") == 0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("GapFade", "small letters"),
        ("gap-fade", "small letters"),
        ("1gap", "a letter first"),
        ("gap__fade", "single _"),
        ("g", "2 to 48"),
        ("gap_", "small letters"),
        ("class", "no word of Python"),
        ("marubozu_breakout", "registered already"),
        ("polars", "a Python package 'polars' already"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, says: str
) -> None:
    assert run("new", name, "--dir", str(tmp_path)) == 1
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gap_fade").mkdir()
    assert run("new", "gap_fade", "--dir", str(tmp_path)) == 1
    assert "exists already; give another name, or another folder with --dir" in capsys.readouterr().err
    assert list((tmp_path / "gap_fade").iterdir()) == []


def test_what_is_written_is_a_strategy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_strategy(tmp_path / "two words" / "gap_fade", "gap_fade", "commands")
    assert all("$" not in file.read_text() for file in files)
    monkeypatch.syspath_prepend(str(tmp_path / "two words" / "gap_fade" / "src"))
    from gap_fade.strategy import GapFade  # type: ignore[import-not-found]

    try:
        found = GapFade()
        assert (found.name, found.short_name) == ("gap_fade", "GF")
        report = check_causality(found, synthetic_bars("5m", symbols=2, sessions=2), {"lookback": 5})
        assert report.passed and report.conclusive
    finally:
        for module in ("gap_fade", "gap_fade.strategy"):
            sys.modules.pop(module)


def test_the_template_is_the_example_of_the_how_to(tmp_path: Path) -> None:
    page = (CONFIGS.parent / "docs" / "how-to" / "write-a-strategy.md").read_text()
    write_strategy(tmp_path / "gap_fade", "gap_fade", "")
    code = (tmp_path / "gap_fade" / "src" / "gap_fade" / "strategy.py").read_text()
    strategy = next(node for node in ast.parse(code).body if isinstance(node, ast.ClassDef) and node.name == "GapFade")
    compute = next(node for node in strategy.body if isinstance(node, ast.FunctionDef) and node.name == "compute")
    shown = ast.get_source_segment(code, compute.body[-2])
    assert shown is not None and shown in page


def test_config_error_is_the_kind_of_all_of_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        write_strategy(tmp_path / "polars", "polars", "")
